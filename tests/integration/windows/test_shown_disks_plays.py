# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks on a Windows with disks that offers nothing but SMB: its disks are shown, chosen, and imaged from shadow copies."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest
from support.imaging import PASSWORD, run_verb, verify
from support.samba_server import SambaServer, samba
from support.sftp_server import SftpServer
from support.whole_disks import Part, WholeDisk, build_disk, copy_range
from support.windows.admin_device import AdminShareDevice
from support.windows.kinds import WINDOWS_7, WINDOWS_10
from support.windows.plays import MAKE, STORAGE, SmbSite, error_of, left_behind, ok
from support.windows.real_data import real_file, real_shadow
from support.windows.shadow_copies import linked
from support.windows.shown import Shown, ShownDisks

pytestmark = [pytest.mark.long, pytest.mark.root]
STORAGE_PASSWORD = "Unc-door 4711"
FIRST, SECOND = (r"\\.\PhysicalDrive%d" % number for number in (1, 2))


@pytest.fixture
def disks(tmp_path: Path) -> List[WholeDisk]:
    """One with what Windows starts from and Windows, and one with a volume that a real Windows made shadow copies of."""
    for name in ("system", "data"):
        (tmp_path / name).mkdir()
    system = build_disk(tmp_path / "system", "gpt", [Part("esp", "fat", 40), Part("windows", "ntfs", 48)], files=80)
    data = build_disk(tmp_path / "data", "dos", [Part("data", "raw", 79)])
    volume = real_file("dfvfs", "vss.raw")
    copy_range(volume, 0, data.path, data.parts[0].start_bytes, volume.stat().st_size)
    return [system, data]


@pytest.fixture(params=[WINDOWS_7, WINDOWS_10], ids=lambda kind: str(kind.name))
def device(
    request: pytest.FixtureRequest, tmp_path: Path, disks: List[WholeDisk]
) -> Iterator[Tuple[AdminShareDevice, ShownDisks]]:
    shown = [
        Shown(1, disks[0], [[], ["C:\\"]], "SAMSUNG MZVLB256", "S4GGNX0R123456"),
        Shown(2, disks[1], [["D:\\"]], "ST1000", "Z4Y1ABCD", frozen={0: real_shadow(1)}),
    ]
    (tmp_path / "frozen").mkdir()
    found = ShownDisks(tmp_path / "frozen", shown)
    with AdminShareDevice(tmp_path / "prefix", request.param) as made, linked(made, found.links):
        found.give_to(made)
        made.manager.corrections.append(found.correct)
        made.host_path(STORAGE).mkdir()
        yield made, found
        assert not made.faults


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[SftpServer]:
    with SftpServer(tmp_path / "sftp") as server:
        yield server


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SambaServer]:
    with samba(tmp_path / "samba") as server:
        server.set_password("backup", STORAGE_PASSWORD)
        yield server


def check(storage: Path, shown: ShownDisks, restored: Dict[int, WholeDisk], folder: Path) -> None:
    """Restore the newest image and compare each file of its disks."""
    folder.mkdir()
    assert verify(storage)["ok"]
    assert not any(PASSWORD.encode() in path.read_bytes() for path in storage.rglob("*") if path.is_file())
    targets = {"disk%d" % place: str(folder / ("restored-%d" % number)) for place, number in enumerate(restored)}
    run_verb(storage, "restore", image="latest", map=targets)
    for number, disk in restored.items():
        shown.check(number, disk, folder / ("restored-%d" % number), folder / ("compared-%d" % number))


def test_disks_are_shown_chosen_imaged_and_restored(
    device: Tuple[AdminShareDevice, ShownDisks],
    disks: List[WholeDisk],
    sftp: SftpServer,
    shared: SambaServer,
    tmp_path: Path,
) -> None:
    (pc, found), (system, data) = device, disks
    site = SmbSite(tmp_path / "site", pc)
    site.use(sftp.settings(private_key_file=None, private_key=sftp.key.read_text(encoding="utf-8")), sftp.root)

    told = ok(site.play("device_info")).result("Ask the device")
    assert [(one["path"], one["model"], one["id"]) for one in told["disks"]] == [
        (FIRST, "SAMSUNG MZVLB256", "serial:S4GGNX0R123456"),
        (SECOND, "ST1000", "serial:Z4Y1ABCD"),
    ]
    assert [one["is_system"] for one in told["disks"]] == [True, False]
    assert [one["why_not_in_all"] for one in told["disks"]] == ["", ""]
    assert told["disks"][0]["frozen_by"] == "VSS"
    assert told["information"]["unreadable"] == []

    site.settings["imaging_drives"] = ["C:"]
    first = ok(site.play("image")).result(MAKE)
    assert (first["snapshot"], [one["path"] for one in first["disks"]]) == ("vss", [FIRST])
    check(sftp.root, found, {1: system}, tmp_path / "from-letter")
    again = ok(site.play("image")).result(MAKE)
    assert (again["snapshot"], again["bytes_stored"]) == ("vss", 0)
    assert again["device_changes"] == []

    site.settings["imaging_drives"] = "all"
    both = ok(site.play("image")).result(MAKE)
    assert (both["snapshot"], [one["path"] for one in both["disks"]]) == ("vss", [FIRST, SECOND])
    assert both["disks"][0]["stable_id"] == first["disks"][0]["stable_id"]
    check(sftp.root, found, {1: system, 2: data}, tmp_path / "from-all")
    site.use(dict(shared.settings, password=STORAGE_PASSWORD, own_ntlm=True), shared.root / shared.below)
    to_share = ok(site.play("image")).result(MAKE)
    assert (to_share["snapshot"], len(to_share["disks"])) == ("vss", 2)
    check(shared.root / shared.below, found, {1: system, 2: data}, tmp_path / "from-share")
    assert found.left(pc) == []
    assert left_behind(pc) == []

    # The storage is now on C:, so that its disk is not in all.
    site.use({"url": STORAGE}, pc.host_path(STORAGE))
    rest = ok(site.play("image")).result(MAKE)
    assert [one["path"] for one in rest["disks"]] == [SECOND]
    check(pc.host_path(STORAGE), found, {2: data}, tmp_path / "from-directory")
    site.settings["imaging_drives"] = ["Q:"]
    assert error_of(site.play("image")) == "D104"
    # The device is not what the inventory says it is: nothing is frozen.
    (pc.drive / "vss" / "log.txt").unlink()
    site.settings.update(imaging_drives=["D:"], imaging_operating_system="server")
    assert error_of(site.play("image")) == "N145"
    assert not (pc.drive / "vss" / "log.txt").exists()
