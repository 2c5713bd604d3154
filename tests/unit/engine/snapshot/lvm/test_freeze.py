# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Freezing volumes: what is decided before anything is made, what is made in which order, and that all of it goes again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest
from engine.disk.extents import ExtentSet
from engine.disk.filesystems.contract import VolumeState
from engine.disk.layout import DiskLayout, Partition
from engine.disk.source import FileSource
from engine.disk.trust import Trust
from engine.disk.used import plan_disk
from engine.errors import SnapshotFailed, SnapshotOverflowed, VolumeMounted
from engine.host.linux_mounts import Use
from engine.snapshot import decisions
from engine.snapshot.contract import DiskToFreeze
from engine.snapshot.lvm import freeze
from engine.snapshot.lvm import report as lvm_report
from engine.snapshot.lvm import snapshots as lvm
from engine.snapshot.open import open_freeze, remove_stale_snapshots
from support.fake_lvm import EXTENT, FakeLvm, uuid_of
from support.refusing import failing

MIB = 1 << 20
PARTITIONS = {3: (1 * MIB, 162 * MIB), 4: (163 * MIB, 34 * MIB)}
DISK_BYTES = 198 * MIB


class FakeTree:
    """As much of /sys as the snapshots ask for."""

    slaves_of: Dict[str, List[str]] = {}

    def by_path(self, path: str) -> str:
        return path.rsplit("/", 1)[-1]

    def slaves(self, name: str) -> List[str]:
        return self.slaves_of.get(name, [])

    def parent(self, name: str) -> str:
        return "vda" if name.startswith("vda") else name

    def text(self, name: str, dummy_place: str) -> str:
        """The uuid of a mapped device; dm-5 is the hidden part of a volume with a snapshot."""
        part = {"mapped-root": "root", "dm-5": "data"}.get(name)
        hidden = "-real" if name == "dm-5" else ""
        return "LVM-" + "g" * 32 + uuid_of(part).replace("-", "") + hidden if part else ""

    def number(self, name: str, dummy_place: str) -> int:
        return PARTITIONS[int(name[3:])][0] // 512


@pytest.fixture
def fake(tmp_path: Path, memory_path: Path, monkeypatch: Any) -> FakeLvm:
    one = FakeLvm(memory_path)
    uses = {
        "mapped-root": [Use(0, 12 * EXTENT, "/", False)],
        "mapped-data": [Use(0, 4 * EXTENT, "/data", False)],
        "vda": [
            Use(MIB, 163 * MIB, "the mapped device mapped-root", False),
            Use(MIB, 163 * MIB, "the mapped device dm-5", False),
        ],
    }
    monkeypatch.setattr(one, "uses", uses, raising=False)
    monkeypatch.setattr(lvm_report, "run_tool", one.run)
    monkeypatch.setattr(lvm, "run_tool", one.run)
    monkeypatch.setattr(lvm, "_LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(lvm, "_PAUSE_SECONDS", 0)
    monkeypatch.setattr(lvm, "_LEAST_BYTES", EXTENT)
    monkeypatch.setattr(freeze, "find_tool", lambda: "/usr/sbin/lvm")
    monkeypatch.setattr(freeze.os, "geteuid", lambda: 0)
    monkeypatch.setattr(decisions, "BlockTree", FakeTree)
    monkeypatch.setattr(decisions, "uses_of", lambda path: uses.get(path.rsplit("/", 1)[-1], []))
    return one


@pytest.fixture
def disk(memory_path: Path) -> DiskToFreeze:
    """A disk whose raw bytes are all 0xEE, so that whatever comes from elsewhere shows."""
    path = memory_path / "vda"
    path.write_bytes(b"\xee" * DISK_BYTES)
    source = FileSource(str(path))
    source.is_device = True
    partitions = [
        Partition(number, start, length, "", "", "", "data", False) for number, (start, length) in PARTITIONS.items()
    ]
    layout = DiskLayout("gpt", "id", DISK_BYTES, 512, partitions, ExtentSet([(0, MIB)]), [])
    return DiskToFreeze(str(path), source, layout)


def test_a_physical_volume_that_something_else_claims_is_imaged_whole(fake: FakeLvm, disk: DiskToFreeze) -> None:
    """What LVM calls free may be what the other one uses; imaging_trust decides."""
    number, (start, length) = next(iter(PARTITIONS.items()))
    assert fake.commands == []
    with open(disk.path, "r+b") as file:
        file.seek(start + 65600)
        file.write(b"_BHRfS_M")
    part = ExtentSet([(start, length)])
    with open_freeze([disk], "required", "run-1") as held:
        frozen = held.frozen[disk.path]
        how = {"inside_of": frozen.inside_of}
        plan = plan_disk(frozen.source, disk.layout, frozen.state_of, **how)  # type: ignore[arg-type]
        assert not part.difference(plan.used)
        trusted = plan_disk(frozen.source, disk.layout, frozen.state_of, trust=Trust(partitions={number: "lvm"}), **how)  # type: ignore[arg-type]
        assert part.difference(trusted.used)


def test_volumes_are_read_from_snapshots_made_one_right_after_the_other(fake: FakeLvm, disk: DiskToFreeze) -> None:
    with open_freeze([disk], "required", "run-1") as held:
        fake.write("root", b"new" * (4 * EXTENT))  # what is written afterwards does not matter
        frozen = held.frozen[disk.path]
        assert frozen.how == "lvm"
        first_extent = 2 * MIB
        assert frozen.source.read(first_extent, 16) == b"r" * 16
        assert frozen.source.read(first_extent + 12 * EXTENT, 16) == b"r" * 16, "its second segment"
        assert frozen.source.read(first_extent + 10 * EXTENT, 16) == b"d" * 16, "a column of stripes"
        assert frozen.source.read(first_extent + 14 * EXTENT, 4) == b"\xee" * 4, "free extents are as they are"
        plan = plan_disk(frozen.source, disk.layout, frozen.state_of, inside_of=frozen.inside_of)
        assert [one.name for one in plan.volumes] == ["", "plant/root", "plant/data", ""]
        free = ExtentSet([(first_extent + 14 * EXTENT, 26 * EXTENT), (164 * MIB + 2 * EXTENT, 6 * EXTENT)])
        assert not plan.used.intersection(free)
        assert plan.used.union(free) == ExtentSet([(0, DISK_BYTES)])
        inside = frozen.inside_of(disk.layout.partitions[0])
        assert inside is not None
        assert {one.state for one in inside.volumes} == {VolumeState.FROZEN}
    verbs = [words[0] for words in fake.commands]
    assert verbs == ["pvs", "vgs", "lvs", "lvcreate", "lvcreate", "pvs", "vgs", "lvs", "lvremove", "lvremove"]
    assert fake.made() == ["plantops_run-1_0", "plantops_run-1_1"]
    assert not fake.snapshots


@pytest.mark.usefixtures("fake")
def test_the_image_holds_the_metadata_of_before_the_snapshots(disk: DiskToFreeze) -> None:
    """With the later one the restored group would have a snapshot without content and refuse to start the volume."""
    with open_freeze([disk], "required") as held:
        Path(disk.path).write_bytes(b"\x11" * DISK_BYTES)
        source = held.frozen[disk.path].source
        for number, (start, length) in PARTITIONS.items():
            data_bytes = (40 if number == 3 else 8) * EXTENT
            assert source.read(start, MIB) == b"\xee" * MIB
            assert source.read(start + MIB + data_bytes, length - MIB - data_bytes).strip(b"\xee") == b""
        assert source.read(0, 4) == b"\x11" * 4


def test_required_fails_before_anything_is_made_and_names_the_ways_out(fake: FakeLvm, disk: DiskToFreeze) -> None:
    fake.free = 1
    with failing(VolumeMounted, path="plant/root", reason="4.2 MB free") as refused:
        open_freeze([disk], "required")
    assert "imaging_snapshot to preferred" in refused.value.hint
    assert not fake.made()
    with open_freeze([disk], "preferred") as held:
        frozen = held.frozen[disk.path]
        assert frozen.how == "live"
        assert len(frozen.warnings) == 2
        assert frozen.source.read(2 * MIB, 4) == b"rrrr", "live volumes are read as their file systems see them"
    assert not fake.made()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": {"root": "raid1", "data": "striped"}}, "raid1"),
        ({"group_attributes": "wz-pn-"}, "exported, incomplete or shared"),
        (
            {"ranges": {"root": ["/dev/vda3:0-9", "[unknown]:0-1"], "data": ["/dev/vda3:10-11 /dev/vda4:0-1"]}},
            "do not report",
        ),
        ({"snapshots": {"mine": ("root", "", False)}}, "another snapshot"),
    ],
)
def test_volumes_that_no_snapshot_can_serve_are_refused_by_name(
    fake: FakeLvm, disk: DiskToFreeze, change: Dict[str, Any], reason: str
) -> None:
    for name, value in change.items():
        setattr(fake, name, value)
    with failing(VolumeMounted, reason=reason):
        open_freeze([disk], "required")
    assert not fake.made()


def test_none_makes_no_snapshot_and_check_mode_makes_and_removes_nothing(fake: FakeLvm, disk: DiskToFreeze) -> None:
    with open_freeze([disk], "none") as held:
        assert held.frozen[disk.path].how == "live"
    fake.snapshots["plantops_dead_0"] = ("root", lvm.TAG, False)
    with open_freeze([disk], "required", check_mode=True) as held:
        assert held.frozen[disk.path].how == "lvm"
        inside = held.frozen[disk.path].inside_of(disk.layout.partitions[0])
        assert inside is not None
        assert {one.state for one in inside.volumes} == {VolumeState.FORETOLD}, "the run will freeze them"
    assert not fake.made()
    assert list(fake.snapshots) == ["plantops_dead_0"]


def test_unmounted_volumes_and_swap_need_no_snapshot(fake: FakeLvm, disk: DiskToFreeze) -> None:
    fake.open = {"root"}
    uses: Dict[str, List[Use]] = fake.uses  # type: ignore[attr-defined]
    uses["mapped-root"] = [Use(0, 1, "swap", False)]
    uses["mapped-data"] = []
    with open_freeze([disk], "required") as held:
        assert held.frozen[disk.path].how == "offline"
    assert not fake.made()


def test_a_volume_that_a_program_has_open_is_in_use(fake: FakeLvm, disk: DiskToFreeze) -> None:
    uses: Dict[str, List[Use]] = fake.uses  # type: ignore[attr-defined]
    uses["mapped-data"] = []
    with open_freeze([disk], "required"):
        assert len(fake.made()) == 2


def test_a_partition_in_use_by_something_else_than_its_volumes_is_live(fake: FakeLvm, disk: DiskToFreeze) -> None:
    fake.uses["vda"].append(Use(MIB, 163 * MIB, "the mapped device dm-9", False))  # type: ignore[attr-defined]
    with failing(VolumeMounted, mount_point="dm-9"):
        open_freeze([disk], "required")


@pytest.mark.usefixtures("fake")
def test_a_physical_volume_on_an_encrypted_partition_is_not_looked_into(disk: DiskToFreeze, monkeypatch: Any) -> None:
    monkeypatch.setattr(FakeTree, "slaves_of", {"vda3": ["sda1"], "vda4": ["sda2"]})
    with failing(VolumeMounted, reason="on this device"):
        open_freeze([disk], "required")


def test_when_one_snapshot_fails_the_others_are_removed(fake: FakeLvm, disk: DiskToFreeze) -> None:
    fake.fail_at = "plantops_r_1"
    with failing(SnapshotFailed, volume="plant/data", reason="insufficient free space"):
        open_freeze([disk], "required", "r")
    assert fake.made() == ["plantops_r_0", "plantops_r_1"]
    assert not fake.snapshots


def test_leftovers_of_a_killed_run_are_removed_and_nothing_of_others(fake: FakeLvm, disk: DiskToFreeze) -> None:
    fake.snapshots["plantops_dead_0"] = ("root", lvm.TAG, False)
    fake.snapshots["plantops_mine_0"] = ("spare", "", False)
    with open_freeze([disk], "required", "r"):
        assert set(fake.snapshots) == {"plantops_mine_0", "plantops_r_0", "plantops_r_1"}
    assert set(fake.snapshots) == {"plantops_mine_0"}


def test_a_group_that_changes_meanwhile_stops_the_run(fake: FakeLvm, disk: DiskToFreeze, monkeypatch: Any) -> None:
    create = fake._create

    def changed(arguments: Any) -> Any:
        fake.lengths["root"], fake.ranges["root"] = [10, 3], ["/dev/vda3:0-9", "/dev/vda3:12-14"]
        return create(arguments)

    monkeypatch.setattr(fake, "_create", changed)
    with failing(SnapshotFailed, reason="changed while"):
        open_freeze([disk], "required")
    assert not fake.snapshots


def test_a_snapshot_that_can_not_be_removed_is_tried_again_and_then_told(fake: FakeLvm, disk: DiskToFreeze) -> None:
    held = open_freeze([disk], "required", "r")
    fake.removals_refused = 3
    held.close()
    assert not held.warnings
    assert not fake.snapshots
    held = open_freeze([disk], "required", "r")
    fake.removals_refused = 5
    held.close()
    assert len(held.warnings) == 1
    assert "plant/plantops_r_1 failed: Logical volume" in held.warnings[0]


def test_two_runs_at_once_do_not_remove_each_others_snapshots(fake: FakeLvm, disk: DiskToFreeze) -> None:
    with open_freeze([disk], "required", "a"):
        with failing(SnapshotFailed, reason="another run"):
            open_freeze([disk], "required", "b")
        assert set(fake.snapshots) == {"plantops_a_0", "plantops_a_1"}
    with open_freeze([disk], "required", "b"):
        assert set(fake.snapshots) == {"plantops_b_0", "plantops_b_1"}
    assert not Path(lvm._LOCK).exists()


def test_a_logical_volume_named_itself_is_read_from_its_snapshot(fake: FakeLvm) -> None:
    path = fake.device("root")
    source = FileSource(str(path))
    source.is_device = True
    whole = Partition(0, 0, 12 * EXTENT, "", "", "", "data", False)
    layout = DiskLayout("none", "", 12 * EXTENT, 512, [whole], ExtentSet(), [])
    volume = DiskToFreeze(str(path), source, layout)
    with open_freeze([volume], "required", "r") as held:
        fake.write("root", b"new" * (4 * EXTENT))
        frozen = held.frozen[str(path)]
        assert frozen.how == "lvm"
        assert frozen.state_of(whole) is VolumeState.FROZEN
        assert frozen.source.read(0, 4) == b"rrrr"
        assert list(frozen.mount_points_of(whole)) == ["/"]
        assert fake.made() == ["plantops_r_0"]
    assert not fake.snapshots
    fake.free = 0
    with failing(VolumeMounted, path="plant/root", reason="0 bytes free"):
        open_freeze([volume], "required")


def test_lvm_without_its_tools_is_live_and_imaged_whole(fake: FakeLvm, disk: DiskToFreeze, monkeypatch: Any) -> None:
    monkeypatch.setattr(freeze, "find_tool", lambda: "")
    with open(disk.path, "r+b") as file:
        file.seek(MIB + 512)
        file.write(b"LABELONE")
    with failing(VolumeMounted, reason="lvm2"):
        open_freeze([disk], "required")
    with open_freeze([disk], "preferred") as held:
        frozen = held.frozen[disk.path]
        plan = plan_disk(frozen.source, disk.layout, frozen.state_of, inside_of=frozen.inside_of)
        assert plan.volumes[0].in_use_bytes == plan.volumes[0].size_bytes
        assert "an LVM physical volume" in plan.volumes[0].reason
    assert not fake.commands


@pytest.mark.parametrize("run", ["../x", "A b", "", "x" * 65])
def test_a_run_id_that_is_no_name_becomes_one(fake: FakeLvm, disk: DiskToFreeze, run: str) -> None:
    with open_freeze([disk], "required", run):
        assert all(lvm._NAME.fullmatch(name) for name in fake.made())


def test_a_full_snapshot_is_an_error_of_its_own(fake: FakeLvm, disk: DiskToFreeze) -> None:
    with open_freeze([disk], "required", "r") as held:
        fake.device("plantops_r_0").write_bytes(b"")  # reads fail, as those of an invalid snapshot do
        fake.snapshots["plantops_r_0"] = ("root", lvm.TAG, True)
        with failing(SnapshotOverflowed, volume="plant/root"):
            held.frozen[disk.path].source.read(2 * MIB, 4096)
        with pytest.raises(SnapshotOverflowed):
            held.frozen[disk.path].source.read_into(2 * MIB, memoryview(bytearray(4096)))


@pytest.mark.usefixtures("fake")
def test_tools_that_fail_or_talk_nonsense_are_an_error_of_the_catalogue(disk: DiskToFreeze, monkeypatch: Any) -> None:
    for answer in ((5, "", "Permission denied"), (0, "no json", ""), (0, '{"report": [{}]}', ""), (0, "[]", "")):
        monkeypatch.setattr(lvm_report, "run_tool", lambda *dummy, answer=answer: answer)
        with failing(SnapshotFailed, reason="LVM tools"):
            open_freeze([disk], "required")


def test_leftovers_go_without_a_run(fake: FakeLvm, tmp_path: Path) -> None:
    """Else they would slow the device down until somebody makes the next image, or for ever where the agent is removed."""
    assert remove_stale_snapshots() == ([], [])
    fake.snapshots["plantops_dead_0"] = ("root", lvm.TAG, False)
    fake.snapshots["plantops_mine_0"] = ("spare", "", False)
    held = lvm.lock_snapshots()
    assert remove_stale_snapshots() == ([], []), "a run that lives may have made it"
    lvm.unlock_snapshots(held)
    fake.removals_refused = 100
    removed, stays = remove_stale_snapshots()
    assert removed == []
    assert "plant/plantops_dead_0" in stays[0]
    fake.removals_refused = 0
    assert remove_stale_snapshots() == (["plant/plantops_dead_0"], [])
    assert set(fake.snapshots) == {"plantops_mine_0"}
    assert not (tmp_path / "lock").exists()


def test_a_lock_that_somebody_tidied_up_is_no_failure(fake: FakeLvm, disk: DiskToFreeze, tmp_path: Path) -> None:
    with open_freeze([disk], "required", "r"):
        (tmp_path / "lock").unlink()
    assert not fake.snapshots


@pytest.mark.parametrize(
    ("point", "is_stable"),
    [("/boot", True), ("/boot/firmware", True), ("/efi", True), ("/bootleg", False), ("/data", False)],
)
def test_small_partitions_that_a_machine_boots_with_are_read_until_stable(
    point: str, is_stable: bool, fake: FakeLvm, disk: DiskToFreeze, monkeypatch: Any
) -> None:
    """Boards of ARM have theirs at /boot/firmware, with the type of any FAT."""
    asked: List[str] = []

    def read_stable(dummy_disk: Any, dummy_partition: Any, mount_point: str) -> List[Any]:
        asked.append(mount_point)
        return []

    monkeypatch.setattr(decisions, "read_stable", read_stable)
    fake.uses["vda"].append(Use(163 * MIB, 197 * MIB, point, False))  # type: ignore[attr-defined]
    if is_stable:
        open_freeze([disk], "required").close()
        assert asked == [point]
    else:
        with failing(VolumeMounted, mount_point=point):
            open_freeze([disk], "required")
        assert asked == []
