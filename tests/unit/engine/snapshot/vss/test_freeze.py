# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One volume that can't be frozen is named and does not cost the others, where the settings allow: a service in memory."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Dict, List, Optional, Sequence, Set

import pytest
from engine.disk.filesystems.contract import VolumeState
from engine.disk.layout import Partition, read_layout
from engine.disk.source import MemorySource
from engine.errors import PartitionNotStill, ShadowCopyFailed, VolumeMounted
from engine.snapshot.contract import LIVE, VSS, VSS_CRASH, DiskToFreeze
from engine.snapshot.vss import freeze as vss
from engine.snapshot.vss.crash_copies import CopyRefused
from engine.snapshot.vss.filtered import FilteredVolumes
from engine.snapshot.vss.freeze import VssFreeze
from engine.snapshot.vss.interface import Refused, Shadow
from engine.snapshot.vss.shadow_set import VolumeRefused
from engine.snapshot.vss.volumes import PlacedVolume
from support.windows.tables import BASIC, EFI, MIB, Part, gpt

DISK = r"\\.\PhysicalDrive0"
FAILED, TOO_MANY = 0x8004230F, 0x80042317
LETTERS = {2: "C:\\", 3: "D:\\", 4: "E:\\"}


class Device(MemorySource):
    """A disk that a program may write to."""

    is_device = True

    def __init__(self) -> None:
        parts = [Part(EFI, 1, 2), Part(BASIC, 3, 2), Part(BASIC, 5, 2), Part(BASIC, 7, 2)]
        super().__init__(bytes(gpt(10, parts)), 512)
        self.path = DISK
        self.changes: Dict[int, int] = {}

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        data = bytearray(super().read(offset_bytes, length_bytes))
        for at, value in self.changes.items():
            if offset_bytes <= at < offset_bytes + length_bytes:
                data[at - offset_bytes] = value
        return bytes(data)


class Service:
    """``alone``: volumes that fail in every set; ``refused``: volumes that no set takes; ``most``: how many one set can hold."""

    def __init__(self) -> None:
        self.alone: Set[str] = set()
        self.refused: Set[str] = set()
        self.most = 99
        self.sets: List[List[str]] = []
        self.open = 0
        self.works_without = False
        self.tried_without = 0

    def make(self, volumes: Sequence[str]) -> Made:
        self.sets.append([name[-3:-2] for name in volumes])
        for name in volumes:
            if name in self.refused:
                raise VolumeRefused(name, Refused("AddToSnapshotSet", TOO_MANY))
        if self.alone.intersection(volumes) or len(volumes) > self.most:
            raise Refused("DoSnapshotSet", FAILED)
        self.open += 1
        return Made(self, volumes)

    def make_without_writers(self, volumes: Sequence[str]) -> MadeWithoutWriters:
        self.tried_without += 1
        if not self.works_without:
            raise CopyRefused(volumes[0], "another (4711)", 4711)
        self.open += 1
        return MadeWithoutWriters(self, volumes)


class Made:
    how = VSS

    def __init__(self, service: Service, volumes: Sequence[str]) -> None:
        self._service = service
        self.shadows = {name: Shadow(uuid.UUID(int=1), uuid.UUID(int=2), "a device", name) for name in volumes}
        self.remarks: List[str] = []

    def close(self) -> List[str]:
        self._service.open -= 1
        return ["a set was closed"]


class MadeWithoutWriters(Made):
    how = VSS_CRASH


class Nothing:
    """Stands for the requester that asks which volumes are supported, and for the shadow copies of others."""

    notes: List[str] = []

    def begin(self, context: int) -> None:
        assert context == vss.CONTEXT_BACKUP

    def is_supported(self, name: str) -> bool:
        return bool(name)

    def release(self) -> None:
        self.notes = []

    def gone(self) -> List[str]:
        return self.notes


class Known:
    """The volumes of the disk; partition 1 is hidden."""

    unknown: List[str] = []

    def on(self, disk: DiskToFreeze, partition: Partition) -> Optional[PlacedVolume]:
        assert disk.path == DISK
        letter = LETTERS.get(partition.number)
        return PlacedVolume(name_of(partition.number), (letter,) if letter else (), "")


def name_of(number: int) -> str:
    return "\\\\?\\Volume{%d}\\" % number


class FrozenSource(MemorySource):
    def __init__(self, shadow: Shadow, made: Made, name: str) -> None:
        assert made.shadows[shadow.volume] is shadow
        super().__init__(bytes([255]) * 2 * MIB, 512)
        self.path = name


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    found = Service()
    monkeypatch.setattr(vss, "ShadowSet", found.make)
    monkeypatch.setattr(vss, "CrashCopies", found.make_without_writers)
    monkeypatch.setattr(vss, "Components", Nothing)
    monkeypatch.setattr(vss, "Foreign", Nothing)
    monkeypatch.setattr(vss, "KnownVolumes", Known)
    monkeypatch.setattr(vss, "ShadowSource", FrozenSource)
    monkeypatch.setattr(vss, "FilteredVolumes", partial(FilteredVolumes, ask=lambda volume: []))
    monkeypatch.setattr(vss, "remove_stale_shadow_copies", lambda: (0, []))
    return found


def disk_of(source: Device) -> DiskToFreeze:
    return DiskToFreeze(DISK, source, read_layout(source))  # type: ignore[arg-type]


def states(freeze: VssFreeze) -> Dict[int, VolumeState]:
    disk = freeze.frozen[DISK]
    return {one.number: disk.state_of(one) for one in read_layout(Device()).partitions}


def frozen_or_live(*live: int) -> Dict[int, VolumeState]:
    return {number: VolumeState.LIVE if number in live else VolumeState.FROZEN for number in (1, 2, 3, 4)}


def test_all_volumes_are_frozen_in_one_set(service: Service) -> None:
    with VssFreeze([disk_of(Device())], "required") as freeze:
        assert freeze.frozen[DISK].how == VSS
        assert states(freeze) == frozen_or_live()
        assert freeze.frozen[DISK].source.read(3 * MIB, 4) == bytes([255]) * 4
        assert service.open == 1
    assert service.sets == [["2", "3", "4"]]
    assert service.open == 0


# -- shadow copies without writers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["required", "preferred"])
def test_a_set_that_fails_is_made_without_writers_and_the_reason_is_told(service: Service, setting: str) -> None:
    service.alone, service.works_without = {name_of(3)}, True
    with VssFreeze([disk_of(Device())], setting) as freeze:
        assert freeze.frozen[DISK].how == VSS_CRASH
        assert states(freeze) == frozen_or_live()
        (warning,) = (one for one in freeze.warnings if "writers" in one)
        assert "DoSnapshotSet" in warning
        assert "0x8004230F" in warning
        assert service.open == 1
    assert service.open == 0


def test_a_volume_that_no_set_takes_costs_no_writers(service: Service) -> None:
    service.refused, service.works_without = {name_of(3)}, True
    with VssFreeze([disk_of(Device())], "preferred") as freeze:
        assert states(freeze) == frozen_or_live(3)
    assert service.tried_without == 0


def test_both_failures_are_told(service: Service) -> None:
    service.alone = {name_of(2), name_of(3), name_of(4)}
    with pytest.raises(ShadowCopyFailed) as caught:
        VssFreeze([disk_of(Device())], "required")
    assert "0x8004230F" in str(caught.value)
    assert "4711" in str(caught.value)


# -- a set that fails as a whole --------------------------------------------------------------------------------------


def test_the_volume_that_fails_alone_is_read_live_and_the_others_are_frozen(service: Service) -> None:
    service.alone = {name_of(3)}
    with VssFreeze([disk_of(Device())], "preferred") as freeze:
        assert states(freeze) == frozen_or_live(3)
        assert freeze.frozen[DISK].how == LIVE
        (warning,) = freeze.frozen[DISK].warnings
        assert "D:\\" in warning
        assert "DoSnapshotSet" in warning
        assert "0x8004230F" in warning
        assert freeze.frozen[DISK].source.read(5 * MIB, 4) == bytes(4), "the live volume"
        assert freeze.frozen[DISK].source.read(7 * MIB, 4) == bytes([255]) * 4
        assert service.open == 1, "the sets that only looked for the volume are closed"
    assert service.sets == [["2", "3", "4"], ["2"], ["3"], ["4"], ["2", "4"]]
    assert service.open == 0


def test_one_that_alone_is_refused_is_found_as_well(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of several may fail where one alone is refused by its name."""

    def make(volumes: Sequence[str]) -> Made:
        if name_of(4) in volumes:
            service.refused, service.alone = ({name_of(4)}, set()) if len(volumes) == 1 else (set(), {name_of(4)})
        return service.make(volumes)

    monkeypatch.setattr(vss, "ShadowSet", make)
    with VssFreeze([disk_of(Device())], "preferred") as freeze:
        assert states(freeze) == frozen_or_live(4)
        assert "0x80042317" in freeze.frozen[DISK].warnings[0]
    assert service.open == 0


def test_all_that_fail_alone_are_named(service: Service) -> None:
    service.alone = {name_of(number) for number in LETTERS}
    with VssFreeze([disk_of(Device())], "preferred") as freeze:
        assert states(freeze) == frozen_or_live(2, 3, 4)
        for letter in LETTERS.values():
            assert [one for one in freeze.frozen[DISK].warnings if letter in one]
    assert service.sets == [["2", "3", "4"], ["2"], ["3"], ["4"]]


def test_where_each_alone_succeeds_all_are_read_live(service: Service) -> None:
    """No volume is to blame, and a set of each would not be one moment."""
    service.most = 1
    with VssFreeze([disk_of(Device())], "preferred") as freeze:
        assert states(freeze) == frozen_or_live(2, 3, 4)
        assert freeze.warnings.count("a set was closed") == 3, "what closing a set tells is not lost"
    assert service.open == 0


def test_the_only_volume_is_not_tried_again(service: Service) -> None:
    service.alone = {name_of(3)}
    disk = disk_of(Device())._replace(selected={3})
    with VssFreeze([disk], "preferred") as freeze:
        assert states(freeze)[3] is VolumeState.LIVE
    assert service.sets == [["3"]]


def test_where_the_settings_do_not_allow_it_one_volume_ends_the_run(service: Service) -> None:
    service.alone = {name_of(3)}
    with pytest.raises(ShadowCopyFailed) as caught:
        VssFreeze([disk_of(Device())], "required")
    assert caught.value.fields["step"] == "DoSnapshotSet"
    assert service.sets == [["2", "3", "4"]], "nothing more is tried"
    assert service.open == 0


def test_a_record_that_can_not_be_written_ends_the_run_wherever_a_set_is_made(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shadow copy without a record would not be found by the next run."""
    for most in (0, 1):

        def make(volumes: Sequence[str], most: int = most) -> Made:
            if len(volumes) > most:
                raise Refused("DoSnapshotSet", FAILED)
            raise OSError(5, "Access is denied")

        monkeypatch.setattr(vss, "ShadowSet", make if most else lambda volumes: make(volumes, 99))
        with pytest.raises(ShadowCopyFailed) as caught:
            VssFreeze([disk_of(Device())], "preferred")
        assert caught.value.fields["step"] == "the record of shadow copies"
    assert service.open == 0


def test_a_volume_that_no_set_takes_is_left_out_of_the_next(service: Service) -> None:
    service.refused = {name_of(2)}
    with VssFreeze([disk_of(Device())], "preferred") as freeze:
        assert states(freeze) == frozen_or_live(2)
    assert service.sets == [["2", "3", "4"], ["3", "4"]]
    with pytest.raises(ShadowCopyFailed) as caught:
        VssFreeze([disk_of(Device())], "required")
    assert "C:\\" in str(caught.value.fields["volume"])
    assert service.open == 0


# -- a partition that stood still and is written to while it is read --------------------------------------------------


@pytest.mark.usefixtures("service")
def test_a_partition_that_changes_after_it_stood_still_ends_the_run_or_is_live_as_the_settings_say() -> None:
    source = Device()
    with VssFreeze([disk_of(source)], "required") as freeze:
        assert freeze.frozen[DISK].how == VSS
        source.changes = {MIB + 100: 7}
        with pytest.raises(PartitionNotStill):
            freeze.frozen[DISK].source.read(MIB, 4096)
        assert freeze.changed_uses() == []


@pytest.mark.usefixtures("service")
def test_where_the_settings_allow_it_the_changed_partition_is_named_and_costs_nothing_else() -> None:
    source = Device()
    with VssFreeze([disk_of(source)], "preferred") as freeze:
        disk = freeze.frozen[DISK].source
        assert disk.read(MIB, 4096) == bytes(4096)
        assert freeze.changed_uses() == []
        source.changes = {MIB + 100: 7}
        assert disk.read(MIB, 4096)[100] == 7
        assert disk.read(3 * MIB, 4) == bytes([255]) * 4
        (use,) = freeze.changed_uses()
        assert use.what.startswith("Partition 1")
        assert states(freeze) == frozen_or_live()


@pytest.mark.usefixtures("service")
def test_one_that_never_stands_still_is_live_where_the_settings_allow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vss, "stand_still", lambda *dummy, **more: None if "accepts_changes" in more else 1)
    with VssFreeze([disk_of(Device())], "preferred") as freeze:
        assert states(freeze) == frozen_or_live(1)
        assert freeze.changed_uses() == []
    with pytest.raises(VolumeMounted):
        VssFreeze([disk_of(Device())], "required")
