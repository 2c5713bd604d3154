# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images from shadow copies: the calls of the service in their order, and a service that fails at each of its steps."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from engine.agent.field_test.catalogue import BY_NAME
from engine.errors import WriteFilterSilent
from support.imaging import PASSWORD, restore
from support.paths import SUPPORT
from support.whole_disks import Part, WholeDisk, build_disk
from support.windows.device import WindowsDevice
from support.windows.kinds import WINDOWS_7
from support.windows.shadow_copies import (
    DISK,
    ShadowedDevice,
    Volume,
    ask_all,
    check_restored,
    linked,
    refuse_without_writers,
    request,
    shadowed_device,
)

pytestmark = pytest.mark.root
MIB = 1 << 20


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> WholeDisk:
    """An EFI partition and two volumes of Windows."""
    parts = [Part("esp", "fat", 40), Part("windows", "ntfs", 48), Part("data", "ntfs", 24)]
    return build_disk(tmp_path_factory.mktemp("disk"), "gpt", parts, files=60)


@pytest.fixture(scope="module")
def shadowed(disk: WholeDisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShadowedDevice]:
    with shadowed_device(disk, tmp_path_factory.mktemp("double")) as device:
        yield device


@pytest.fixture(autouse=True)
def fresh(shadowed: ShadowedDevice) -> None:
    shadowed.forget()


def names(calls: List[str]) -> List[str]:
    return [call.split()[0] for call in calls]


def manifest(shadowed: ShadowedDevice, image: str) -> Dict[str, Any]:
    path = shadowed.device.host_path(r"C:\storage") / "pc" / image / "image.json"
    return dict(json.loads(path.read_text()))


def test_an_image_is_made_from_shadow_copies(shadowed: ShadowedDevice, tmp_path: Path) -> None:
    made = shadowed.image(timestamp="2026-11-29_10-00-00")
    assert made["event"] == "result", made
    assert made["snapshot"] == "vss"
    check_restored(shadowed, tmp_path)
    assert shadowed.left() == []
    assert shadowed.marks() == "none"


def test_the_calls_come_in_the_order_that_the_service_wants(shadowed: ShadowedDevice) -> None:
    shadowed.image(timestamp="2026-11-29_11-00-00")
    calls = shadowed.calls()
    last = len(calls) - 1 - calls[::-1].index("SetContext 0")
    steps = [call for call in calls[last:] if "." not in call.split()[0]]
    no_provider = "00000000-0000-0000-0000-000000000000"
    volumes = [one.name + "\\" for one in shadowed.volumes[1:]]
    assert steps[:8] == [
        *("SetContext 0", "SetBackupState 0 1 5 0", "GatherWriterMetadata", "FreeWriterMetadata", "StartSnapshotSet"),
        *("AddToSnapshotSet %s %s" % (volume, no_provider) for volume in volumes),
        "PrepareForBackup",
    ]
    assert names(steps[8:]) == [
        *("DoSnapshotSet", "GatherWriterStatus", "GetWriterStatusCount", "GetWriterStatus", "FreeWriterStatus"),
        *("GetSnapshotProperties", "GetSnapshotProperties", "BackupComplete", "DeleteSnapshots", "Release"),
    ]
    assert names(calls).count("CreateVssBackupComponentsInternal") == names(calls).count("Release"), (
        "a requester is left"
    )


STEPS = (
    *("CreateVssBackupComponentsInternal", "InitializeForBackup", "SetContext", "SetBackupState"),
    *("GatherWriterMetadata", "GatherWriterMetadata@", "FreeWriterMetadata", "StartSnapshotSet", "AddToSnapshotSet"),
    *("PrepareForBackup", "PrepareForBackup@", "DoSnapshotSet", "DoSnapshotSet@", "GetSnapshotProperties"),
)
# So often a run asks before it makes a set: which volumes are supported, and which shadow copies there are.
_BEFORE = {"CreateVssBackupComponentsInternal": 2, "InitializeForBackup": 2, "SetContext": 2, "SetBackupState": 2}


def test_a_failure_at_each_step_leaves_nothing(shadowed: ShadowedDevice) -> None:
    """Each run of one process fails a step later than the one before it: one sentence with the code of Windows each time.

    Of a set that was not aborted the stand-in would tell every later run.
    """
    refuse_without_writers(shadowed)
    wrong = ",".join("%s:%d:8004230f" % (step, _BEFORE.get(step, 0) + 1) for step in STEPS)
    *failed, made = ask_all(shadowed, [request(1) for dummy in range(len(STEPS) + 1)], fail=wrong)
    for step, one in zip(STEPS, failed):
        assert one["code"] == "N140", (step, one)
        assert step.rstrip("@").replace("Internal", "") in one["message"], (step, one)
        assert "0x8004230F" in one["message"]
        assert one["message"].count(". ") == 0, "more than one sentence"
    assert made.get("snapshot") == "vss", made
    assert shadowed.left() == []
    assert shadowed.marks() == "none"
    calls = names(shadowed.calls())
    begun = [step for step in STEPS if STEPS.index(step) > STEPS.index("StartSnapshotSet")]
    assert calls.count("AbortBackup") == len(begun)
    assert calls.count("CreateVssBackupComponentsInternal") == calls.count("Release") + 3, "a requester is left"


@pytest.mark.parametrize("step", ["BackupComplete", "BackupComplete@", "DeleteSnapshots", "GatherWriterStatus"])
def test_a_failure_after_the_set_is_a_warning(shadowed: ShadowedDevice, step: str) -> None:
    """The image is whole; what failed is told, and no shadow copy outlives the run."""
    number = 16 + len(step) % 7
    made = ask_all(shadowed, [request(number)], fail="%s:1:8004230f" % step)[0]
    assert made.get("snapshot") == "vss", made
    assert [one for one in made["warnings"] if "0x8004230F" in one], made["warnings"]
    assert shadowed.left() == []


@pytest.mark.parametrize(
    "step",
    [
        pytest.param("GatherWriterMetadata@", marks=pytest.mark.long),
        "StartSnapshotSet",
        pytest.param("AddToSnapshotSet", marks=pytest.mark.long),
        pytest.param("PrepareForBackup@", marks=pytest.mark.long),
        "DoSnapshotSet@",
        pytest.param("BackupComplete", marks=pytest.mark.long),
    ],
)
def test_a_run_that_is_killed_at_a_step_stops_no_other(shadowed: ShadowedDevice, step: str) -> None:
    ran = shadowed.device.python(
        *(r"C:\shadowed_disk.py", "requests"),
        given=json.dumps([request(0)]),
        more=shadowed.environment(kill=step, keep="1"),
    )
    assert (ran.status, ran.output) == (77, "")
    assert shadowed.calls()[-1] == "killed in %s" % step
    made = ask_all(shadowed, [request(0)], keep="1")[0]
    assert made.get("snapshot") == "vss", made
    assert shadowed.left() == [], "shadow copies of the killed run were not deleted"
    assert shadowed.marks() == "none"


def test_shadow_copies_of_other_programs_stay(shadowed: ShadowedDevice) -> None:
    foreign = shadowed.folder / "shadow-7.txt"
    ids = ["99999999-0000-0000-0000-%012d" % number for number in (1, 2)]
    foreign.write_text("0 %s %s %s\\\n" % (*ids, shadowed.volumes[1].name))
    made = ask_all(shadowed, [request(0)])[0]
    assert made.get("snapshot") == "vss", made
    assert shadowed.left() == ["shadow-7.txt"]
    assert not [call for call in shadowed.calls() if call.startswith("DeleteSnapshots 99999999")]


def test_another_program_that_makes_a_shadow_copy_is_waited_for(shadowed: ShadowedDevice) -> None:
    made = ask_all(shadowed, [request(1)], fail="StartSnapshotSet:3:80042316,DoSnapshotSet@:2:80042314")[0]
    assert made.get("snapshot") == "vss", made
    assert names(shadowed.calls()).count("StartSnapshotSet") == 6
    assert shadowed.left() == []


def test_one_that_never_ends_is_named(shadowed: ShadowedDevice) -> None:
    refuse_without_writers(shadowed)
    failed = ask_all(shadowed, [request(2)], fail="StartSnapshotSet:999:80042316")[0]
    assert failed["code"] == "N140", failed
    assert "0x80042316" in failed["message"]


def test_a_service_that_takes_long_is_polled(shadowed: ShadowedDevice) -> None:
    made = ask_all(shadowed, [request(3)], pending="DoSnapshotSet:40")[0]
    assert made.get("snapshot") == "vss", made
    assert names(shadowed.calls()).count("DoSnapshotSet.Wait") == 41


def test_a_writer_that_failed_is_named(shadowed: ShadowedDevice) -> None:
    made = ask_all(shadowed, [request(4)], writers="SqlServerWriter:9:800423f4")[0]
    assert made.get("snapshot") == "vss", made
    assert [one for one in made["warnings"] if "SqlServerWriter" in one and "0x800423F4" in one], made["warnings"]


@pytest.mark.parametrize("wrong", [{"fail": "Add2:99:80042317"}, {"fail": "Add2:99:8004230c"}])
def test_one_volume_that_is_refused_costs_the_others_nothing(shadowed: ShadowedDevice, wrong: Dict[str, str]) -> None:
    code = wrong["fail"][-8:].upper()
    required, preferred = ask_all(shadowed, [request(5), request(5, snapshot="preferred")], **wrong)
    assert required["code"] == "N140", required
    assert "Partition 3" in required["message"]
    assert "D:\\" in required["message"]
    assert code in required["message"]
    assert preferred.get("snapshot") == "live", preferred
    assert [one for one in preferred["warnings"] if "D:\\" in one and code in one], preferred["warnings"]
    states = {one["number"]: one["state"] for one in preferred["volumes"]} if "volumes" in preferred else {}
    assert states in ({}, {1: "frozen", 2: "frozen", 3: "live"})
    assert shadowed.left() == []


def test_a_volume_without_shadow_copies_is_read_until_it_stands_still(shadowed: ShadowedDevice) -> None:
    made = ask_all(shadowed, [request(6)], unsupported=shadowed.volumes[2].name + "\\")[0]
    assert made.get("snapshot") == "vss", made
    calls = shadowed.calls()
    assert not [call for call in calls if call.startswith("AddToSnapshotSet") and "2}" in call]


def test_a_partition_that_is_written_to_while_it_is_read_is_named_and_costs_the_others_nothing(
    shadowed: ShadowedDevice,
) -> None:
    """The EFI partition stood still before."""
    place = str(shadowed.disk.parts[0].start_bytes + 4096)
    required = ask_all(shadowed, [request(13, device="written")], change=place)[0]
    assert required["code"] == "N142", required
    assert "Partition 1" in required["message"]
    preferred = ask_all(shadowed, [request(14, device="written", snapshot="preferred")], change=place)[0]
    assert preferred.get("snapshot") == "live", preferred
    assert len([one for one in preferred["warnings"] if "Partition 1" in one and "was read live" in one]) == 1
    stored = shadowed.device.host_path(r"C:\storage") / "written" / preferred["image"] / "image.json"
    assert json.loads(stored.read_text())["snapshot"] == "live"
    calm = ask_all(shadowed, [request(15, device="written", snapshot="preferred")])[0]
    assert calm.get("snapshot") == "vss", calm
    assert shadowed.left() == []


def test_a_shadow_copy_that_is_lost_ends_the_run(shadowed: ShadowedDevice) -> None:
    failed = ask_all(shadowed, [request(7, device="lost")], lose_after=str(24 * MIB))[0]
    assert failed["code"] == "N141", failed
    assert "C:\\" in failed["message"] or "D:\\" in failed["message"]
    assert "0x80042308" in failed["message"]
    assert not list((shadowed.device.host_path(r"C:\storage") / "lost").rglob("image.json"))
    assert shadowed.left() == []
    made = ask_all(shadowed, [request(8, device="lost")])[0]
    assert made.get("snapshot") == "vss", made
    assert made["bytes_reused"] > 0, "nothing of what the first run sent was used again"


@pytest.mark.long
def test_a_shadow_copy_that_is_lost_for_three_nights_is_complete_on_the_fourth(tmp_path: Path) -> None:
    """Each night it is lost after 30 % of the bytes to be sent."""
    disk = build_disk(tmp_path, "gpt", [Part("data", "raw", 96)])
    frozen = tmp_path / "frozen"
    frozen.write_bytes(os.urandom(96 * MIB))
    volume = Volume(1, disk.parts[0], "E:\\", "q", frozen)
    links = {"PhysicalDrive1": disk.path, "q:": frozen}
    with WindowsDevice(tmp_path / "prefix", WINDOWS_7) as device, linked(device, links):
        nights = ShadowedDevice(device, disk, [volume], disk.path)
        storage, total_bytes = device.host_path(r"C:\storage"), 96 * MIB
        stored = [0]
        for night in range(3):
            to_send = total_bytes - stored[-1]
            lost = ask_all(nights, [request(night, limit_read_rate=12)], lose_sent=str(int(to_send * 0.3)))[0]
            assert lost.get("code") == "N141", (night, stored, lost)
            assert nights.left() == []
            stored.append(sum(path.stat().st_size for path in storage.rglob("*") if path.is_file()))
            assert stored[-1] >= stored[-2] + to_send * 0.3, "what was sent does not stay"
        made = ask_all(nights, [request(3)])[0]
        assert made.get("snapshot") == "vss", made
        assert made["bytes_stored"] < total_bytes - stored[-1] + 2 * MIB, "what three nights sent is sent again"
        restored = tmp_path / "restored"
        restore(storage, restored, device="clear", secrets={})
        assert disk.volume(disk.parts[0], restored, tmp_path).read_bytes() == frozen.read_bytes()


def test_a_service_that_does_not_tell_what_it_supports_is_tried(shadowed: ShadowedDevice) -> None:
    made = ask_all(shadowed, [request(17)], fail="IsVolumeSupported:1:8004230f")[0]
    assert made.get("snapshot") == "vss", made


def test_check_mode_makes_nothing(shadowed: ShadowedDevice) -> None:
    planned = ask_all(shadowed, [request(9, check=True, device="planned")])[0]
    assert planned["image"] is None, planned
    assert shadowed.calls() == []
    assert shadowed.left() == []


def test_nothing_is_asked_of_the_service_where_it_is_not_wanted(shadowed: ShadowedDevice) -> None:
    made = ask_all(shadowed, [request(10, device="live", snapshot="none")])[0]
    assert made.get("snapshot") == "live", made
    assert shadowed.calls() == []


def test_a_volume_of_bitlocker_takes_a_password_or_a_yes(shadowed: ShadowedDevice) -> None:
    """Windows hands its shadow copy out decrypted."""
    placed = shadowed.disk.parts[1]
    with open(shadowed.live, "r+b") as stream:
        stream.seek(placed.start_bytes)
        before = stream.read(512)
        stream.seek(placed.start_bytes)
        stream.write(b"\xeb\x58\x90-FVE-FS-".ljust(512, b"\0"))
    try:
        asked = [request(11, device="locked"), request(11, device="locked", check=True)]
        agreed = [
            request(11, device="locked", allow_clear=True),
            request(12, device="locked2", secrets={"password": PASSWORD}),
        ]
        refused, foreseen, yes, encrypted = ask_all(shadowed, [*asked, *agreed])
    finally:
        with open(shadowed.live, "r+b") as stream:
            stream.seek(placed.start_bytes)
            stream.write(before)
    assert (refused["code"], foreseen["code"]) == ("N143", "N143"), foreseen
    assert "C:\\" in refused["message"]
    for made in (yes, encrypted):
        assert made.get("snapshot") == "vss", made
        assert [one for one in made["warnings"] if "BitLocker" in one and "C:\\" in one], made["warnings"]
    assert shadowed.left() == []


def test_a_32_bit_agent_on_a_64_bit_windows_is_told(shadowed: ShadowedDevice) -> None:
    environment = dict(shadowed.environment(), PLANTOPS_ARCHITECTURE="AMD64")
    failed = shadowed.device.image(DISK, stands_in=r"C:\shadowed_disk.py", environment=environment)
    assert failed["code"] == "N140", failed
    assert "windows-amd64" in failed["message"]


def test_the_field_test_is_satisfied_by_the_stand_in(shadowed: ShadowedDevice) -> None:
    """Its questions call the service as a run does; a real Windows may answer otherwise, and then it says so."""
    requests = shadowed.device.host_path(r"C:\requests.py")
    before = requests.read_bytes()
    requests.write_bytes((SUPPORT / "windows" / "field_shadows.py").read_bytes())
    try:
        ran = shadowed.device.python(r"C:\shadowed_disk.py", "requests", more=shadowed.environment())
    finally:
        requests.write_bytes(before)
    assert ran.status == 0, ran.errors
    found = json.loads(ran.output)
    assert len(found) == 6
    for name, one in found.items():
        assert one["state"] == "answered", one
        # Wine's own drive C: has other bytes in use and other files than the volume of the stand-in.
        rules = [rule for rule in BY_NAME[name].rules if rule.field not in ("percent_apart", "files_equal")]
        assert [rule.words() for rule in rules if not rule.holds(one["answer"])] == [], one
    assert names(shadowed.calls()).count("DoSnapshotSet") == 3
    assert shadowed.left() == []
    assert shadowed.marks() == "none"


@pytest.fixture
def driver(shadowed: ShadowedDevice) -> Iterator[None]:
    """The driver of the unified write filter in the registry, for which no tool speaks."""
    key = r"SYSTEM\CurrentControlSet\Services\uwfvol"
    add = "import winreg as w; w.SetValueEx(w.CreateKey(w.HKEY_LOCAL_MACHINE, r'%s'), 'Start', 0, w.REG_DWORD, 0)" % key
    remove = "import winreg as w; w.DeleteKey(w.HKEY_LOCAL_MACHINE, r'%s')" % key
    script = shadowed.device.host_path(r"C:\key.py")
    script.write_text(add + "\n")
    assert shadowed.device.python(r"C:\key.py").status == 0
    yield
    script.write_text(remove + "\n")
    assert shadowed.device.python(r"C:\key.py").status == 0


@pytest.mark.usefixtures("driver")
def test_a_write_filter_that_does_not_tell_is_a_warning_for_each_volume(shadowed: ShadowedDevice) -> None:
    before = set(shadowed.device.drive.iterdir())
    made = shadowed.image(timestamp="2026-11-29_23-00-00")
    assert made["event"] == "result", made
    told = [one for one in made["warnings"] if WriteFilterSilent.code in one]
    assert ["C:" in told[0], "D:" in told[1], len(told)] == [True, True, 2], made["warnings"]
    planned = shadowed.image(timestamp="2026-11-29_23-30-00", check=True)
    assert sum(WriteFilterSilent.code in one for one in planned["warnings"]) == 2
    assert set(shadowed.device.drive.iterdir()) == before, "the file that asks is left"


def test_without_a_write_filter_there_is_no_word_of_one(shadowed: ShadowedDevice) -> None:
    made = shadowed.image(timestamp="2026-11-29_23-45-00")
    assert not [one for one in made["warnings"] if "filter" in one]
