# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which loader becomes the boot fallback, what comes beside it, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import pytest
from engine.errors import EngineError, RestoreFallbackAmbiguous, RestoreFallbackImpossible
from engine.restore.boot_look import loaders_on
from engine.restore.fallback import loaders
from engine.restore.fallback.fat_writer import FatWriter
from engine.restore.fallback.loaders import Chosen, Place, choose
from support.efi_volumes import AA64, IA32, debian, loader, make, volume_of
from support.refusing import check_sentence

PLACE = Place("disk0", "/dev/sdx", 1)
WINDOWS = {"EFI/Microsoft/Boot/bootmgfw.efi": loader(4000), "EFI/Microsoft/Boot/BCD": b"regf"}
SYSTEMD = {"EFI/systemd/systemd-bootx64.efi": loader(5000)}


@pytest.fixture(autouse=True)
def tools(need: Any) -> None:
    need("mkfs.fat", "mcopy", "mmd")


def chosen(path: Path, files: Dict[str, bytes], named: str = "") -> Optional[Chosen]:
    volume = volume_of(make(path / "esp", files))
    return choose(PLACE, FatWriter(volume), loaders_on(volume)[1], named)


def refused(kind: type, path: Path, files: Dict[str, bytes], named: str = "") -> EngineError:
    with pytest.raises(kind) as caught:
        chosen(path, files, named)
    error = caught.value
    assert isinstance(error, EngineError)
    check_sentence(error)
    return error


def without(name: str) -> Dict[str, bytes]:
    return {path: content for path, content in debian().items() if path != name}


SHIM = ["EFI/debian/shimx64.efi", "EFI/debian/grubx64.efi", "EFI/debian/mmx64.efi"]


@pytest.mark.parametrize(
    ("files", "named", "names", "sources"),
    [
        (debian(), "", ["BOOTX64.EFI", "GRUBX64.EFI", "MMX64.EFI"], SHIM),
        (debian(), "efi/DEBIAN/shimx64.efi", ["BOOTX64.EFI", "GRUBX64.EFI", "MMX64.EFI"], None),
        (without(SHIM[2]), "", ["BOOTX64.EFI", "GRUBX64.EFI"], SHIM[:2]),
        (without(SHIM[0]), "", ["BOOTX64.EFI"], [SHIM[1]]),
        (SYSTEMD, "", ["BOOTX64.EFI"], ["EFI/systemd/systemd-bootx64.efi"]),
        (WINDOWS, "", ["BOOTX64.EFI"], ["EFI/Microsoft/boot/bootmgfw.efi"]),
        (dict(debian(), **WINDOWS), SHIM[0], ["BOOTX64.EFI", "GRUBX64.EFI", "MMX64.EFI"], SHIM),
        (dict(debian(), **WINDOWS), "EFI/Microsoft/Boot/bootmgfw.efi", ["BOOTX64.EFI"], None),
        (debian(AA64, "aa64"), "", ["BOOTAA64.EFI", "GRUBAA64.EFI", "MMAA64.EFI"], None),
        ({"EFI/own/start.efi": loader(3000, IA32)}, "EFI/own/start.efi", ["BOOTIA32.EFI"], ["EFI/own/start.efi"]),
    ],
    ids=["debian", "named", "no mm", "no shim", "systemd", "windows", "one of two", "the other", "arm", "own"],
)
def test_the_loader_and_what_it_needs(
    files: Dict[str, bytes], named: str, names: List[str], sources: Optional[Sequence[str]], tmp_path: Path
) -> None:
    found = chosen(tmp_path, files, named)
    assert found is not None
    assert [one.name for one in found.files] == names
    assert found.path == "EFI/BOOT/" + names[0]
    assert sources is None or [one.lower() for one in found.sources] == [one.lower() for one in sources]
    upper = {name.upper(): content for name, content in files.items()}
    assert [one.content for one in found.files] == [upper[source.upper()] for source in found.sources]


def test_two_loaders_are_both_named(tmp_path: Path) -> None:
    error = refused(RestoreFallbackAmbiguous, tmp_path, dict(debian(), **WINDOWS))
    assert error.code == "R165"
    named = str(error.fields["loaders"]).lower()
    assert "efi/debian/shimx64.efi" in named
    assert "bootmgfw.efi" in named


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"EFI/BOOT/BOOTX64.EFI": b"mine"}, "EFI/BOOT/BOOTX64.EFI"),
        ({"efi/boot/bootx64.efi": b"mine", "EFI/own/grubx64.efi": b"not a loader"}, "EFI/BOOT/BOOTX64.EFI"),
        (
            dict(debian(AA64, "aa64"), **{"EFI/BOOT/BOOTX64.EFI": b"x", "EFI/BOOT/BOOTAA64.EFI": b"a"}),
            "EFI/BOOT/BOOTX64.EFI",
        ),
    ],
    ids=["one machine", "another file", "two machines"],
)
def test_several_loaders_with_their_fallback_leave_nothing_to_choose(
    more: Dict[str, bytes], path: str, tmp_path: Path
) -> None:
    arm = {name.replace("debian", "arm"): content for name, content in more.items()}
    assert chosen(tmp_path, dict(debian(), **WINDOWS, **arm)) == Chosen(path, [], [])


@pytest.mark.parametrize(
    "more",
    [
        {"EFI/BOOT/BOOTIA32.EFI": b"of another machine"},
        dict(
            {name.replace("debian", "arm"): content for name, content in debian(AA64, "aa64").items()},
            **{"EFI/BOOT/BOOTX64.EFI": b"x"},
        ),
    ],
    ids=["other", "one of two"],
)
def test_a_fallback_that_does_not_start_all_loaders_machines_leaves_the_choice(
    more: Dict[str, bytes], tmp_path: Path
) -> None:
    error = refused(RestoreFallbackAmbiguous, tmp_path, dict(debian(), **WINDOWS, **more))
    assert error.code == "R165"


def test_of_several_files_that_are_no_loaders_none_is_chosen(tmp_path: Path) -> None:
    files = {"EFI/one/grubx64.efi": b"no", "EFI/two/grubx64.efi": b"no", "EFI/BOOT/BOOTX64.EFI": b"mine"}
    assert refused(RestoreFallbackAmbiguous, tmp_path, files).code == "R165"


def test_a_partition_without_a_known_loader_is_left_as_it_is(tmp_path: Path) -> None:
    assert chosen(tmp_path, {"EFI/own/start.efi": loader(), "readme.txt": b""}) is None


@pytest.mark.parametrize("name", ["EFI/BOOT/BOOTX64.EFI", "efi/boot/bootx64.efi"])
def test_an_existing_fallback_is_never_replaced(name: str, tmp_path: Path) -> None:
    found = chosen(tmp_path, dict({name: b"mine"}, **debian()))
    assert found == Chosen("EFI/BOOT/BOOTX64.EFI", [], [])


def test_a_companion_that_is_there_is_taken_only_if_it_is_the_same(tmp_path: Path) -> None:
    same = dict(debian(), **{"EFI/BOOT/grubx64.efi": debian()[SHIM[1]]})
    found = chosen(tmp_path, same)
    assert found is not None
    assert [one.name for one in found.files] == ["BOOTX64.EFI", "MMX64.EFI"]
    error = refused(RestoreFallbackImpossible, tmp_path, dict(debian(), **{"EFI/BOOT/grubx64.efi": loader(25_001)}))
    assert error.code == "R164"


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (without(SHIM[1]), ""),
        (debian(), "EFI/debian/missing.efi"),
        (debian(), "EFI/missing/shimx64.efi"),
        (debian(), "EFI/debian/grub.cfg"),
        (debian(), "EFI/debian"),
        ({"EFI/debian/grubx64.efi": b"MZ" + bytes(100)}, ""),
        ({"EFI/debian/grubx64.efi": b"MZ"}, ""),
        ({"EFI/debian/grubx64.efi": loader(3000, 0x200)}, ""),
        ({"EFI/debian/grubx64.efi": b"MZ" + bytes(58) + b"\xff\xff\xff\xff" + bytes(100)}, ""),
    ],
)
def test_what_is_no_loader_or_lacks_a_part_is_refused(files: Dict[str, bytes], named: str, tmp_path: Path) -> None:
    assert refused(RestoreFallbackImpossible, tmp_path, files, named).code == "R164"


def test_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "_MOST_BYTES", 30_000)  # each fits, all three do not
    refused(RestoreFallbackImpossible, tmp_path, debian())
    monkeypatch.setattr(loaders, "_MOST_BYTES", 20_000)
    refused(RestoreFallbackImpossible, tmp_path, debian())
