# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the Volume Shadow Copy Service. Two of them make a shadow copy of the system volume, which ends with the test."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import Tuple

from ...disk.raw_source import RawSource
from ...host import windows_volumes as volumes
from ...snapshot.vss import foreign, record
from ...snapshot.vss.codes import failed_state
from ...snapshot.vss.crash_copies import CrashCopies
from ...snapshot.vss.filtered import FilteredVolumes
from ...snapshot.vss.interface import CONTEXT_BACKUP, Components
from ...snapshot.vss.shadow_set import ShadowSet
from ...snapshot.vss.stale import remove_stale_shadow_copies
from .check import Answer, Check, at_least, equals, matches
from .of_files import output_of, program
from .waiting import within

_GATHER_SECONDS = 300.0
_HOLD = (
    "import sys; from {engine}.snapshot.vss.shadow_set import ShadowSet; made = ShadowSet([sys.argv[1]]); "
    "sys.stdout.write('%s\\n' % list(made.shadows.values())[0].shadow_id); sys.stdout.flush(); sys.stdin.read()"
)
_DEVICE = r"\\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy\d+"


def _system_volume() -> str:
    return volumes.volume_of(volumes.windows_folder()) + "\\"


def _writers() -> Answer:
    components = Components()
    try:
        components.begin(CONTEXT_BACKUP)
        supported = components.is_supported(_system_volume())
        components.gather_writers(_GATHER_SECONDS)
        states = components.writers(_GATHER_SECONDS)
    finally:
        components.release()
    return {
        "system_volume_is_supported": supported,
        "writers": len(states),
        "without_a_name": sum(not one.name for one in states),
        "failed": ["%s: %s" % (one.name, failed_state(one.state)) for one in states if failed_state(one.state)],
    }


def _listed() -> Answer:
    return {"shadow_copies": len(foreign.listed())}


def _set() -> Answer:
    before = {one.shadow_id for one in foreign.listed()}
    volume = _system_volume()
    filtered = FilteredVolumes({volume: volumes.mount_points(volume.rstrip("\\"))})
    began = time.monotonic()
    try:
        made = ShadowSet([volume])
    except BaseException:
        filtered.close()
        raise
    seconds = int(time.monotonic() - began)
    try:
        shadow = made.shadows[volume]
        is_listed = shadow.shadow_id in {one.shadow_id for one in foreign.listed()}
        source = RawSource(shadow.device)
        try:
            boot = source.read(0, source.sector_bytes)
            last = source.read(source.size_bytes - source.sector_bytes, source.sector_bytes)
            length = volumes.extents(volume.rstrip("\\"))[0].length_bytes
            answer: Answer = {
                "device": shadow.device,
                "volume_is_ours": shadow.volume.lower() == volume.lower(),
                "is_listed": is_listed,
                "is_lost": made.is_lost(shadow),
                "is_ntfs": boot[3:11] == b"NTFS    ",
                "bytes_shorter_than_the_volume": length - source.size_bytes,
                "last_sector_bytes": len(last),
                "remarks": made.remarks,
                "write_filters": filtered.warnings(volume, shadow.device),
                "seconds": seconds,
            }
        finally:
            source.close()
    finally:
        filtered.close()
        failed = made.close()
    after = {one.shadow_id for one in foreign.listed()}
    gone = not after - before
    return dict(answer, failed_at_the_end=failed, nothing_is_left=gone, none_of_others_is_gone=not before - after)


def _killed() -> Answer:
    words = [sys.executable, "-I", "-B", "-c", program(_HOLD), _system_volume()]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # pylint: disable=ansible-bad-function
    name = output_of(child).readline().decode("ascii", "replace").strip()
    child.kill()
    child.communicate()
    began = time.monotonic()
    ends = within(90.0, lambda: name not in {str(one.shadow_id) for one in foreign.listed()}, 1.0)
    seconds = int(time.monotonic() - began)
    on_record = len(record.stale())
    remove_stale_shadow_copies()
    still = {str(one.shadow_id) for one in foreign.listed()}
    return {
        "made": len(name) == 36,
        "ends_with_its_process": ends,
        "seconds": seconds,
        "on_record": on_record,
        "next_run_removes_it": name not in still and not record.stale(),
    }


def _without_writers() -> Answer:
    before = {one.shadow_id for one in foreign.listed()}
    volume = _system_volume()
    made = CrashCopies([volume])
    try:
        shadow = made.shadows[volume]
        is_lost = made.is_lost(shadow)
        with contextlib.closing(RawSource(shadow.device)) as source:
            boot = source.read(0, source.sector_bytes)
    finally:
        failed = made.close()
    after = {one.shadow_id for one in foreign.listed()}
    return {
        "device": shadow.device,
        "is_lost": is_lost,
        "is_ntfs": boot[3:11] == b"NTFS    ",
        "failed_at_the_end": failed,
        "nothing_is_left": not after - before,
        "none_of_others_is_gone": not before - after,
    }


_CODE = ("snapshot/vss/interface.py", "snapshot/vss/shadow_set.py")
CHECKS: Tuple[Check, ...] = (
    Check(
        "shadow_writers",
        _writers,
        (
            "CreateVssBackupComponentsInternal, IVssBackupComponents::InitializeForBackup, SetContext, SetBackupState",
            "IVssBackupComponents::IsVolumeSupported, GatherWriterMetadata, GatherWriterStatus, GetWriterStatus",
            "IVssAsync::Wait, QueryStatus",
            "SysFreeString",
        ),
        (
            equals("system_volume_is_supported", True),
            at_least("writers", 1),
            equals("without_a_name", 0),
            equals("failed", []),
        ),
        '"IVssBackupComponents interface", "Overview of Processing a Backup Under VSS"; vsbackup.h',
        _CODE,
        "Programs of the device can't be brought to rest: images are as after a loss of power, or not made.",
        needs_administrator=True,
        seconds=900.0,
        wine=("",),
    ),
    Check(
        "shadow_list",
        _listed,
        ("IVssBackupComponents::Query", "IVssEnumObject::Next", "VssFreeSnapshotPropertiesInternal"),
        (at_least("shadow_copies", 0),),
        '"IVssEnumObject interface"; vss.h',
        ("snapshot/vss/foreign.py",),
        "A run does not notice that Windows dropped shadow copies of other programs.",
        needs_administrator=True,
        seconds=300.0,
        wine=("",),
    ),
    Check(
        "shadow_set",
        _set,
        (
            "IVssBackupComponents::StartSnapshotSet, AddToSnapshotSet, PrepareForBackup, DoSnapshotSet",
            "IVssBackupComponents::GetSnapshotProperties, BackupComplete, DeleteSnapshots",
            "RegCreateKeyExW with REG_OPTION_VOLATILE",
            "ReadFile of HarddiskVolumeShadowCopyN; a file under a write filter, looked for in a shadow copy by its name",
        ),
        (
            matches("device", _DEVICE),
            *(equals(name, True) for name in ("volume_is_ours", "is_listed", "is_ntfs", "nothing_is_left")),
            equals("none_of_others_is_gone", True),
            equals("is_lost", ""),
            at_least("bytes_shorter_than_the_volume", 0),
            at_least("last_sector_bytes", 512),
            equals("failed_at_the_end", []),
        ),
        '"Overview of Processing a Backup Under VSS"; reads of the device are in no page as an interface',
        (*_CODE, "snapshot/vss/source.py", "host/windows_marks.py"),
        "Volumes in use can't be imaged on this Windows.",
        needs_administrator=True,
        makes_shadow_copy=True,
        seconds=1500.0,
        wine=("",),
    ),
    Check(
        "shadow_of_a_killed_process",
        _killed,
        ("VSS_CTX_BACKUP: the shadow copies of a process that ended",),
        (equals("made", True), equals("ends_with_its_process", True), equals("next_run_removes_it", True)),
        '"_VSS_SNAPSHOT_CONTEXT enumeration"',
        ("snapshot/vss/stale.py", "snapshot/vss/record.py"),
        "A killed run leaves a shadow copy that fills the disk.",
        needs_administrator=True,
        makes_shadow_copy=True,
        seconds=1500.0,
        wine=("",),
    ),
    Check(
        "shadow_without_writers",
        _without_writers,
        ("Win32_ShadowCopy: Create, DeviceObject, Delete, by PowerShell",),
        (
            matches("device", _DEVICE),
            equals("is_lost", ""),
            *(equals(name, True) for name in ("is_ntfs", "nothing_is_left", "none_of_others_is_gone")),
            equals("failed_at_the_end", []),
        ),
        '"Create method of the Win32_ShadowCopy class", "about_PowerShell_exe"',
        ("snapshot/vss/crash_copies.py", "host/windows_powershell.py"),
        "Where the service fails, no second way leads to an image of a volume in use.",
        needs_administrator=True,
        makes_shadow_copy=True,
        seconds=1500.0,
        wine=("",),
    ),
)
