# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadow copies without the writers of programs, by PowerShell, where the requester of a backup fails."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest
from support.imaging import PASSWORD
from support.whole_disks import Part, WholeDisk, build_disk
from support.windows.shadow_copies import ShadowedDevice, ask_all, check_restored, request, shadowed_device

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> WholeDisk:
    parts = [Part("esp", "fat", 40), Part("windows", "ntfs", 48), Part("data", "ntfs", 24)]
    return build_disk(tmp_path_factory.mktemp("disk"), "gpt", parts, files=60)


@pytest.fixture(scope="module")
def shadowed(disk: WholeDisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShadowedDevice]:
    with shadowed_device(disk, tmp_path_factory.mktemp("double")) as device:
        yield device


@pytest.fixture(autouse=True)
def fresh(shadowed: ShadowedDevice) -> None:
    shadowed.forget()


NO_REQUESTER = "CreateVssBackupComponentsInternal:99:80040154"


def test_without_a_requester_shadow_copies_are_made_without_writers(shadowed: ShadowedDevice, tmp_path: Path) -> None:
    secrets = {"password": PASSWORD}
    (shadowed.folder / "codes").write_text("9\n0\n0\n", encoding="ascii")  # at first another program makes one
    made = ask_all(shadowed, [request(13, device="pc", secrets=secrets)], fail=NO_REQUESTER)[0]
    assert made.get("snapshot") == "vss-crash", made
    assert [one for one in made["warnings"] if "writers" in one and "0x80040154" in one], made["warnings"]
    assert [one for one in made["warnings"] if "one moment" in one], made["warnings"]
    check_restored(shadowed, tmp_path)
    assert shadowed.left() == []
    assert shadowed.marks() == "none"


@pytest.mark.parametrize("codes", ["6\n", "0\n6\n"], ids=["the-first", "the-second"])
def test_both_ways_that_fail_are_told_and_nothing_is_left(shadowed: ShadowedDevice, codes: str) -> None:
    (shadowed.folder / "codes").write_text(codes, encoding="ascii")
    failed = ask_all(shadowed, [request(14)], fail=NO_REQUESTER)[0]
    assert failed["code"] == "N140", failed
    assert "0x80040154" in failed["message"]
    assert "(6)" in failed["message"], failed["message"]
    assert shadowed.left() == []
    assert shadowed.marks() == "none"


def test_lasting_shadow_copies_of_killed_runs_go_and_no_others(shadowed: ShadowedDevice) -> None:
    ids = ["99999999-0000-0000-0000-%012d" % number for number in (1, 2)]
    for number, one in enumerate(ids, 150):
        line = "0 %s %s %s\\\n" % (one, one, shadowed.volumes[1].name)
        (shadowed.folder / ("shadow-%d.txt" % number)).write_text(line)
    shadowed.mark_lasting(ids[0], "999999:1")
    shadowed.mark_lasting("coming-1", "999999:1:%s\\" % shadowed.volumes[2].name)
    made = ask_all(shadowed, [request(15)])[0]
    assert made.get("snapshot") == "vss", made
    assert [one for one in made["warnings"] if "vssadmin" in one and shadowed.volumes[2].name in one], made["warnings"]
    assert shadowed.left() == ["shadow-151.txt"]
    assert shadowed.marks() == "none", "what is not known is told once"
