# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore of some partitions warns where the GRUB outside of them is not that of the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import pytest
from support.filled import run
from support.imaging import image, restore

from .test_boot_look import table


@pytest.fixture(autouse=True)
def tools(need: Any) -> None:
    need("sfdisk", "mke2fs")


BOOT_CODE = b"\xeb\x63" + bytes(380) + b"GRUB \0Geom"


def with_grub(path: Path, core: bytes, code: bytes = BOOT_CODE) -> Path:
    """A disk with an MBR, GRUB in front of its partitions, and their content."""
    table(path, "dos", "start=1MiB, size=4MiB, type=83, bootable", "size=4MiB, type=83")
    with open(str(path), "r+b") as file:
        file.write(code)
        file.seek(512)
        file.write(core * 100)
    for place in (1, 5):
        run("mke2fs", "-q", "-F", "-E", "offset=%d" % (place << 20), path, "4096k")
    return path


@pytest.mark.parametrize(
    ("core", "code", "partitions", "warns"),
    [
        (b"2.06", BOOT_CODE, ["1"], False),
        (b"2.12", BOOT_CODE, ["1"], True),
        (b"2.06", bytes(400), ["1"], True),
        (b"2.12", BOOT_CODE, [], False),
    ],
    ids=["same", "other core", "no code", "whole disk"],
)
def test_the_grub_outside_of_restored_partitions_is_compared(
    core: bytes, code: bytes, partitions: List[str], warns: bool, tmp_path: Path
) -> None:
    image(tmp_path / "storage", with_grub(tmp_path / "disk.raw", b"2.06"))
    target = with_grub(tmp_path / "target.raw", core, code)
    identity = (tmp_path / "disk.raw").read_bytes()[440:512]
    with open(str(target), "r+b") as file:
        file.seek(440)
        file.write(identity)
    done = restore(tmp_path / "storage", target, check=True, overwrite=True, partitions=partitions)
    assert any("grub-install" in text for text in done["warnings"]) == warns


def test_boot_code_of_another_system_is_not_compared(tmp_path: Path) -> None:
    """The boot code of Windows is the same for all of its versions that matter here."""
    image(tmp_path / "storage", with_grub(tmp_path / "disk.raw", b"", b"\x33\xc0Missing operating system"))
    target = tmp_path / "target.raw"
    target.write_bytes(
        (tmp_path / "disk.raw").read_bytes()[:440].replace(b"\x33", b"\x34")
        + (tmp_path / "disk.raw").read_bytes()[440:]
    )
    done = restore(tmp_path / "storage", target, check=True, overwrite=True, partitions=["1"])
    assert not any("grub-install" in text for text in done["warnings"])
