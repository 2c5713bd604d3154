# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about volumes, and which disk Windows runs from. They write to no disk: guard.py holds that."""

from __future__ import annotations

import contextlib
import re
from typing import List, Tuple

from ...disk.extents import ExtentSet
from ...disk.layout import DiskLayout, Partition
from ...disk.raw_source import RawSource
from ...host import windows_devices as devices
from ...host import windows_volumes as volumes
from ...host.windows_disks import path_of
from ...snapshot.contract import DiskToFreeze
from ...snapshot.vss.volumes import KnownVolumes
from .check import Answer, Check, among, at_least, equals, matches
from .powershell import lines_of

_CONVERSION = (
    "(Get-WmiObject -Namespace root\\CIMV2\\Security\\MicrosoftVolumeEncryption -Class Win32_EncryptableVolume "
    "-Filter \"DriveLetter='%s'\").GetConversionStatus().ConversionStatus"
)


def _volumes() -> Answer:
    names = volumes.volumes()
    system = volumes.volume_of(volumes.windows_folder())
    points = volumes.mount_points(system)
    return {
        "volumes": len(names),
        "system_is_among_them": system in names,
        "system_points": [one for one in points if re.fullmatch(r"[A-Z]:\\", one)][:1],
        "system_is_for_disks": volumes.is_for_disks(system),
        "name_shape": re.sub(r"[0-9a-f](?=[0-9a-f-]*\})", "x", system),
    }


def system_extent() -> volumes.Extent:
    for one in volumes.extents(volumes.volume_of(volumes.windows_folder())):
        return one
    raise ValueError("Windows does not tell where its own volume lies")


def _extents() -> Answer:
    found = volumes.extents(volumes.volume_of(volumes.windows_folder()))
    starts: List[int] = []
    for one in found[:1]:
        handle = devices.open_to_ask(path_of(one.disk))
        try:
            starts = [part.start_bytes for part in volumes.partitions(handle)]
        finally:
            devices.close_device(handle)
    return {
        "extents": len(found),
        "begins_where_a_partition_begins": any(one.start_bytes in starts for one in found),
        "volumes_without_an_answer": len(KnownVolumes().unknown),
    }


def _starts_from() -> Answer:
    device = volumes.starting_device()
    with contextlib.suppress(OSError):
        return {"device": device, "extents": len(volumes.extents(device)) if device else 0}
    return {"device": device, "extents": -1}


def _paging() -> Answer:
    return {"files": len(volumes.paging_files()), "first": (volumes.paging_files() or [""])[0][:3]}


def _last_sectors() -> Answer:
    point = volumes.mount_points(volumes.volume_of(volumes.windows_folder()))[0]
    source = RawSource("\\\\.\\" + point.rstrip("\\"))
    try:
        length = system_extent().length_bytes
        last = source.read(source.size_bytes - source.sector_bytes, source.sector_bytes)
        return {"is_as_long_as_its_extent": source.size_bytes == length, "last_sector_bytes": len(last)}
    finally:
        source.close()


def _bitlocker() -> Answer:
    """The header of the system volume on its disk, which Windows decrypts for everyone who reads the volume."""
    point = volumes.mount_points(volumes.volume_of(volumes.windows_folder()))[0].rstrip("\\")
    with contextlib.closing(RawSource("\\\\.\\" + point)) as source:
        size = source.size_bytes
        layout = DiskLayout("none", "", size, source.sector_bytes, [], ExtentSet(), [])
        partition = Partition(0, 0, size, "", "", "", "", False)
        placed = KnownVolumes().on(DiskToFreeze("\\\\.\\" + point, source, layout), partition)
    told = [line.strip() for line in lines_of(_CONVERSION % point) if line.strip().isdigit()]
    by_header = placed is not None and placed.is_encrypted
    return {
        "by_header": by_header,
        "conversion_status": int(told[0]) if told else -1,
        "agrees": not told or by_header == (told[0] != "0"),
    }


def _claims() -> Answer:
    first = volumes.claim(9999)
    second = volumes.claim(9999)
    devices.close_device(first or 0)
    third = volumes.claim(9999)
    devices.close_device(third or 0)
    return {"claims": ["%d" % (one is not None) for one in (first, second, third)]}


_QUESTIONS = ("host/windows_volumes.py", "host/windows_disk_uses.py")
CHECKS: Tuple[Check, ...] = (
    Check(
        "volumes",
        _volumes,
        (
            "FindFirstVolume, FindNextVolume, FindVolumeClose",
            "GetVolumePathNamesForVolumeName",
            "GetVolumePathName, GetVolumeNameForVolumeMountPoint, GetDriveType",
        ),
        (
            at_least("volumes", 1),
            equals("system_is_among_them", True),
            equals("system_is_for_disks", True),
            matches("name_shape", re.escape(r"\\?\Volume{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}")),
        ),
        '"Naming a Volume", "Enumerating Volumes"',
        (*_QUESTIONS, "snapshot/vss/volumes.py"),
        "Drive letters are not mapped to partitions, and volumes get no shadow copy.",
    ),
    Check(
        "extents",
        _extents,
        ("DeviceIoControl(IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS)",),
        (
            at_least("extents", 1),
            equals("begins_where_a_partition_begins", True),
            equals("volumes_without_an_answer", 0),
        ),
        '"IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS control code"',
        (*_QUESTIONS, "snapshot/vss/volumes.py"),
        "A partition is read live or refused, since its volume is not found.",
        wine=(
            "extents",
            "begins_where_a_partition_begins",
            "volumes_without_an_answer",
        ),
    ),
    Check(
        "starting_device",
        _starts_from,
        ("SystemPartition of HKLM\\SYSTEM\\Setup", "CreateFile of \\\\?\\GLOBALROOT\\Device\\HarddiskVolumeN"),
        (matches("device", r"\\\\\?\\GLOBALROOT\\Device\\HarddiskVolume\d+"), at_least("extents", 1)),
        "in no page as an interface",
        _QUESTIONS,
        "No disk of this Windows counts as free, and a restore to a second disk is refused.",
        wine=(
            "device",
            "extents",
        ),
    ),
    Check(
        "paging_files",
        _paging,
        ("ExistingPageFiles, PagingFiles, DedicatedDumpFile",),
        (among("first", "", *("%s:\\" % one for one in "CDEFGHIJKLMNOPQRSTUVWXYZ")),),
        '"Introduction to page files", "CrashControl"',
        _QUESTIONS,
        "A disk with a paging file counts as free.",
    ),
    Check(
        "claims",
        _claims,
        ("CreateMutex in Global\\",),
        (equals("claims", ["1", "0", "1"]),),
        '"CreateMutexW function", "Kernel object namespaces"',
        ("host/windows_volumes.py",),
        "Two restores write to one disk.",
    ),
    Check(
        "last_sectors",
        _last_sectors,
        ("DeviceIoControl(FSCTL_ALLOW_EXTENDED_DASD_IO)", "CreateFile of \\\\.\\C:"),
        (equals("is_as_long_as_its_extent", True), at_least("last_sector_bytes", 512)),
        '"FSCTL_ALLOW_EXTENDED_DASD_IO control code"',
        ("host/windows_devices.py", "disk/raw_source.py"),
        "The spare boot sector of a volume that is imaged alone can't be read.",
        needs_administrator=True,
        wine=("",),
    ),
    Check(
        "bitlocker",
        _bitlocker,
        (
            "the header of BitLocker on the disk, while Windows has the volume unlocked",
            "Win32_EncryptableVolume by PowerShell",
        ),
        (equals("agrees", True),),
        '"Win32_EncryptableVolume class"; libbde, "BitLocker Drive Encryption format"',
        ("snapshot/vss/volumes.py", "host/windows_disk_uses.py"),
        "An encrypted volume is stored decrypted without a warning, or a plain one is refused.",
        needs_administrator=True,
        seconds=240.0,
        wine=("",),
    ),
)
