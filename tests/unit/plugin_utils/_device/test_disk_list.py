# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a device as a person chooses them: one line a disk, its logical volumes below it."""

from __future__ import annotations

from typing import Any, Dict

import yaml
from ansible_collections.plantops.imaging.plugins.modules import device_info
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.disk_list import (
    MOST_WARNINGS,
    disk_list,
    lines_of,
    warnings_of,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._units import size
from engine.device.discovery import discover
from engine.disk.mark_table import LVM_KIND
from hypothesis import given
from hypothesis import strategies as st
from support.paths import ROOT

GIB = 1 << 30


def volume(path: str, disk: str = "", **more: Any) -> Dict[str, Any]:
    found = {"path": path, "disk": disk, "size_bytes": GIB, "kind": "ext4", "label": "", "mount_points": []}
    return dict(found, mounted_read_only=None, used_bytes=None, **more)


def mounted(path: str, disk: str, *points: str, **more: Any) -> Dict[str, Any]:
    found = dict(volume(path, disk), mount_points=list(points), mounted_read_only=False, used_bytes=200 << 20)
    return dict(found, **more)


DISK = {"name": "sda", "path": "/dev/sda", "vendor": "QEMU", "model": "HARDDISK", "stable_id": "serial:1"}
INFORMATION: Dict[str, Any] = {
    "disks": [
        dict(DISK, size_bytes=int(2.3 * GIB), why_not_in_all=""),
        dict(DISK, name="sdb", path="/dev/sdb", size_bytes=4 * GIB, why_not_in_all="it is removable", stable_id=""),
    ],
    "volumes": [
        mounted("/dev/sda1", "sda", "/boot/efi", kind="fat32"),
        volume("/dev/sda2", "sda", kind="lvm"),
        mounted("/dev/vg/root", "", "/"),
        mounted("/dev/vg/data", "", "/data", label="recipes"),
        volume("/dev/sdb1", "sdb"),
    ],
    "layers": [
        {"path": "/dev/vg/root", "kind": "lvm", "disks": ["/dev/sda"], "size_bytes": GIB},
        {"path": "/dev/vg/data", "kind": "lvm", "disks": ["/dev/sda"], "size_bytes": GIB},
        {"path": "/dev/loop0", "kind": "loop", "disks": ["/dev/sda"], "size_bytes": GIB},
    ],
}


def test_one_line_a_disk_says_what_to_choose_by() -> None:
    lines = lines_of(disk_list(INFORMATION))
    system, usb = (line for line in lines if not line.startswith(" "))
    for words in (
        "/dev/sda  %s  QEMU HARDDISK  serial:1  system (/boot/efi, /, /data)" % size(int(2.3 * GIB)),
        "in all: yes",
    ):
        assert words in system
    assert system.endswith("frozen by: nothing, LVM"), "the EFI partition is not on LVM"
    assert "no serial number" in usb
    assert "not mounted" in usb
    assert "in all: no (it is removable)" in usb
    assert usb.endswith("frozen by: nothing to freeze")


def test_logical_volumes_are_under_their_disk() -> None:
    lines = lines_of(disk_list(INFORMATION))
    below = lines[: next(number for number, line in enumerate(lines) if line.startswith("/dev/sdb"))]
    assert [line.split()[0] for line in below] == ["/dev/sda", "/dev/sda1", "/dev/sda2", "logical", "logical"]
    assert (
        "/dev/vg/data  %s  ext4 'recipes'  /data  %s used  frozen by: LVM" % (size(GIB), size(200 << 20)) in below[-1]
    )
    assert not any("loop" in line for line in lines)


def test_sizes_are_for_people_and_for_programs() -> None:
    system, dummy = disk_list(INFORMATION)
    assert (system["size"], system["size_bytes"]) == (size(int(2.3 * GIB)), int(2.3 * GIB))
    assert (system["volumes"][0]["used"], system["volumes"][0]["used_bytes"]) == (size(200 << 20), 200 << 20)
    assert system["is_system"] is True


def test_a_volume_mounted_read_only_need_not_be_frozen() -> None:
    found = dict(INFORMATION, volumes=[mounted("/dev/sda1", "sda", "/", mounted_read_only=True)], layers=[])
    assert disk_list(found)[0]["frozen_by"] == "nothing to freeze"


def test_windows_freezes_what_it_makes_shadow_copies_of() -> None:
    kinds = ["ntfs", "BitLocker", "ReFS", "fat32", "exfat", ""]
    disk = {"name": "disk0", "path": "disk0"}
    volumes = [mounted(str(number), "disk0", "%s:" % kind, kind=kind) for number, kind in enumerate(kinds)]
    told = disk_list({"operating_system": {"family": "windows"}, "disks": [disk], "volumes": volumes})
    assert [one["frozen_by"] for one in told[0]["volumes"]] == ["VSS", "VSS", "VSS", "nothing", "nothing", "nothing"]
    told = disk_list({"operating_system": {"family": "linux"}, "disks": [disk], "volumes": volumes})
    assert {one["frozen_by"] for one in told[0]["volumes"]} == {"nothing"}


def test_this_machine() -> None:
    information = discover()
    disks = disk_list(information)
    assert [disk["path"] for disk in disks] == [disk["path"] for disk in information["disks"]]
    assert len(lines_of(disks)) >= len(disks)


def test_the_guide_shows_lines_as_they_are_printed() -> None:
    size_bytes = 240_057_409_536
    told = {
        "disks": [
            dict(DISK, vendor="ATA", model="Samsung SSD 870", stable_id="serial:S6PTNZ0R", size_bytes=size_bytes)
        ],
        "volumes": [
            dict(mounted("/dev/sda1", "sda", "/boot/efi", kind="fat32"), size_bytes=512 << 20, used_bytes=6_186_598),
            dict(volume("/dev/sda2", "sda"), kind=LVM_KIND, size_bytes=size_bytes - (513 << 20)),
            dict(mounted("/dev/mapper/vg-root", "", "/"), size_bytes=40 * GIB, used_bytes=12 * GIB),
            dict(
                mounted("/dev/mapper/vg-data", "", "/data", label="recipes"), size_bytes=150 * GIB, used_bytes=31 * GIB
            ),
        ],
        "layers": [
            {"path": "/dev/mapper/vg-%s" % name, "kind": "lvm", "disks": ["/dev/sda"]} for name in ("root", "data")
        ],
    }
    guide = (ROOT / "docs" / "guide_first_image.md").read_text(encoding="utf-8")
    assert "\n".join(["```", *("press-07: %s" % line for line in lines_of(disk_list(told))), "```"]) in guide


def test_the_sample_of_the_module_is_what_it_returns() -> None:
    (sample,) = yaml.safe_load(device_info.RETURN)["disks"]["sample"]
    assert sample["size"] == size(sample["size_bytes"])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.just("/dev/sda")
    | st.just("sda"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["disks", "volumes", "layers", "path", "disk", "name", "kind", "mount_points", "size_bytes"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["disks", "volumes", "layers"]), JSON))
def test_whatever_a_device_tells_becomes_lines(information: Dict[str, Any]) -> None:
    assert all(line.isprintable() for line in lines_of(disk_list(information)))


def test_warnings_of_a_device_are_bounded_and_tamed() -> None:
    """A description comes from the device and may hold anything."""
    assert warnings_of({}) == warnings_of({"warnings": "x"}) == warnings_of({"warnings": {"a": 1}}) == []
    assert warnings_of({"warnings": ["The filter\x1b[2J\nprotects C:.", 5, None, ["x"]]}) == [
        "The filter\\x1b[2J\\nprotects C:."
    ]
    found = warnings_of({"warnings": ["x" * 5000] * 500})
    assert len(found) == MOST_WARNINGS
    assert max(map(len, found)) == 1000
