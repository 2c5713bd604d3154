# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about disks and volumes. They write to no disk: guard.py holds that."""

from __future__ import annotations

import contextlib
import mmap
import re
from typing import Any, Callable, Iterator, List, Tuple

from ...disk.raw_source import RawSource
from ...host import windows_devices as devices
from ...host import windows_disks as disks
from ...host import windows_volumes as volumes
from .check import Answer, Check, among, at_least, at_most, each_among, equals
from .of_volumes import system_extent
from .powershell import lines_of

_LOOK_BYTES, _STEP_BYTES = 1 << 20, 64 << 10
_CYLINDER_BYTES = (
    255 * 63 * 4096
)  # WMI rounds the size of a disk down to whole cylinders, of sectors of up to 4096 bytes
_WMI = (
    "Get-WmiObject Win32_DiskDrive | ForEach-Object "
    "{ '{0}|{1}|{2}|{3}' -f $_.Index, $_.BytesPerSector, $_.Size, $_.SerialNumber }"
)
_BUSES = 20  # STORAGE_BUS_TYPE ends at 19 (NVMe-oF is 20)


def _of_each_disk(ask: Callable[[int], Any]) -> Tuple[List[Any], List[int]]:
    """The answer for each disk that has a medium, and the errors of the others."""
    found: List[Any] = []
    errors: List[int] = []
    for name in devices.disk_names():
        try:
            handle = devices.open_to_ask(name)
            try:
                found.append(ask(handle))
            finally:
                devices.close_device(handle)
        except OSError as error:
            if volumes.number_of(error) not in volumes.NO_MEDIUM:
                errors.append(volumes.number_of(error) or -1)
    return found, errors


def _names() -> Answer:
    return {"disks": len(devices.disk_names()), "volumes": len(volumes.volume_devices())}


def _numbers() -> Answer:
    found, errors = _of_each_disk(volumes.disk_number)
    wanted = [int(re.sub(r"\D", "", name)) for name in devices.disk_names()]
    return {"asked": len(wanted), "known": sum(one in wanted for one in found), "errors": errors}


def _bus() -> Answer:
    found, errors = _of_each_disk(volumes.bus)
    return {"buses": found, "errors": errors}


def _state() -> Answer:
    flags, errors = _of_each_disk(volumes.disk_flags)
    clustered, more = _of_each_disk(volumes.is_clustered)
    writable, most = _of_each_disk(volumes.is_writable)
    return {
        "offline": sum(one.is_offline for one in flags),
        "read_only": sum(one.is_read_only for one in flags),
        "clustered": sum(clustered),
        "writable": sum(writable),
        "errors": errors + more + most,
    }


def _partitions() -> Answer:
    found, errors = _of_each_disk(volumes.partitions)
    parts = [one for disk in found for one in disk]
    return {
        "partitions": len(parts),
        "in_sectors": all(one.start_bytes % 512 == 0 and one.length_bytes % 512 == 0 for one in parts),
        "kinds_have_a_shape": all(
            re.fullmatch(r"[0-9a-f]{2}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one.kind) for one in parts
        ),
        "errors": errors,
    }


@contextlib.contextmanager
def _system_disk() -> Iterator[RawSource]:
    source = RawSource(disks.path_of(system_extent().disk))
    try:
        yield source
    finally:
        source.close()


def _lengths() -> Answer:
    sectors: List[int] = []
    odd = 0
    for name in devices.disk_names():
        try:
            handle = devices.open_device(name)
        except OSError as error:
            if volumes.number_of(error) in volumes.NO_MEDIUM:
                continue
            raise
        try:
            sectors.append(devices.sector_bytes(handle))
            odd += devices.length_bytes(handle) % sectors[-1] != 0
        except OSError as error:
            if volumes.number_of(error) not in volumes.NO_MEDIUM:
                raise
        finally:
            devices.close_device(handle)
    return {"disks": len(sectors), "sectors": sectors, "odd": odd}


def _error_of_read(handle: int, offset_bytes: int, buffer: memoryview) -> int:
    try:
        devices.read_at(handle, offset_bytes, buffer)
    except OSError as error:
        return volumes.number_of(error) or -1
    return 0


def _reads() -> Answer:
    from concurrent.futures import ThreadPoolExecutor  # no other question needs it

    with _system_disk() as source:
        starts = list(range(0, _LOOK_BYTES, _STEP_BYTES))
        one_by_one = [source.read(start, _STEP_BYTES) for start in starts]
        with ThreadPoolExecutor(8) as threads:
            at_once = list(threads.map(lambda start: source.read(start, _STEP_BYTES), starts))
        within = source.read(511, 3) == one_by_one[0][511:514]
        last = len(source.read(source.size_bytes - source.sector_bytes, source.sector_bytes)) == source.sector_bytes
        handle, sector = source._handle, source.sector_bytes
        with mmap.mmap(-1, 4 * sector) as memory, memoryview(memory) as view:
            answer: Answer = {
                "parallel_reads_agree": one_by_one == at_once,
                "widened_read_agrees": within,
                "last_sector": last,
                "unaligned_place": _error_of_read(handle, 1, view[:sector]),
                "unaligned_length": _error_of_read(handle, 0, view[: sector - 1]),
                "memory_at_16_bytes": _error_of_read(handle, 0, view[16 : 16 + sector]),
                "memory_at_1_byte": _error_of_read(handle, 0, view[1 : 1 + sector]),
                "past_the_end": _error_of_read(handle, source.size_bytes, view[:sector]),
            }
    return answer


def _by_wmi() -> Answer:
    """The disks as PowerShell tells them: an answer that no code of the engine had a part in."""
    told = [line.split("|") for line in lines_of(_WMI) if re.fullmatch(r"\d+\|\d+\|\d+\|.*", line)]
    sizes = serials = 0
    for number, sector, size, serial in told:
        found = disks.facts_of(int(number))
        is_near = 0 <= found.size_bytes - int(size) <= _CYLINDER_BYTES
        sizes += not (is_near and found.sector_bytes == int(sector))
        serials += found.serial != serial.strip()
    return {"disks": len(told), "sizes_differ": sizes, "serials_differ": serials}


def _facts() -> Answer:
    found = [disks.facts_of(number) for number in disks.numbers()]
    return {
        "disks": len(found),
        "with_a_size": sum(one.size_bytes > 0 for one in found),
        "with_a_model": sum(bool(one.model) for one in found),
        "with_a_serial": sum(bool(one.serial) for one in found),
        "with_a_world_wide_name": sum(bool(one.wwn) for one in found),
        "buses": sorted({one.bus for one in found}),
        "physical_sectors": sorted({one.physical_sector_bytes for one in found}),
        "rotating": sum(one.rotational for one in found),
        "problems": [one.problem for one in found if one.problem],
    }


_QUESTIONS = ("host/windows_volumes.py", "host/windows_disk_uses.py")
CHECKS: Tuple[Check, ...] = (
    Check(
        "disk_names",
        _names,
        ("QueryDosDevice",),
        (at_least("disks", 1), at_least("volumes", 1)),
        '"QueryDosDeviceW function"',
        ("host/windows_devices.py", "device/windows_selection.py"),
        "The device shows no disks.",
        wine=("volumes",),
    ),
    Check(
        "disk_numbers",
        _numbers,
        ("CreateFile without rights", "DeviceIoControl(IOCTL_STORAGE_GET_DEVICE_NUMBER)"),
        (at_least("known", 1), equals("errors", [])),
        '"IOCTL_STORAGE_GET_DEVICE_NUMBER control code", "CreateFileW function"',
        _QUESTIONS,
        "A volume is placed on another disk, and a restore refuses a free disk.",
    ),
    Check(
        "disk_bus",
        _bus,
        ("DeviceIoControl(IOCTL_STORAGE_QUERY_PROPERTY)",),
        (each_among("buses", *range(1, _BUSES + 1)), equals("errors", [])),
        '"IOCTL_STORAGE_QUERY_PROPERTY control code", "STORAGE_BUS_TYPE enumeration"',
        _QUESTIONS,
        "A USB disk counts as internal, or a virtual disk of Storage Spaces as a real one.",
    ),
    Check(
        "disk_state",
        _state,
        (
            "DeviceIoControl(IOCTL_DISK_GET_DISK_ATTRIBUTES)",
            "DeviceIoControl(IOCTL_DISK_IS_CLUSTERED)",
            "DeviceIoControl(IOCTL_DISK_IS_WRITABLE)",
        ),
        (at_least("writable", 1), equals("errors", [])),
        "the page of each control code",
        _QUESTIONS,
        "A restore refuses a disk that is free, since Windows does not tell about it.",
        wine=(
            "writable",
            "errors",
        ),
    ),
    Check(
        "partitions",
        _partitions,
        ("DeviceIoControl(IOCTL_DISK_GET_DRIVE_LAYOUT_EX)",),
        (
            at_least("partitions", 1),
            equals("in_sectors", True),
            equals("kinds_have_a_shape", True),
            equals("errors", []),
        ),
        '"IOCTL_DISK_GET_DRIVE_LAYOUT_EX control code", "PARTITION_INFORMATION_EX structure"',
        _QUESTIONS,
        "Partitions are taken for others: dynamic disks and Storage Spaces are not recognised.",
        wine=(
            "partitions",
            "errors",
        ),
    ),
    Check(
        "disk_facts",
        _facts,
        (
            "DeviceIoControl(IOCTL_DISK_GET_DRIVE_GEOMETRY_EX)",
            "StorageDeviceProperty, StorageDeviceIdProperty",
            "StorageAccessAlignmentProperty, StorageDeviceSeekPenaltyProperty",
        ),
        (
            at_least("with_a_size", 1),
            at_least("with_a_model", 1),
            at_least("with_a_serial", 1),
            each_among("physical_sectors", 512, 4096),
            equals("problems", []),
        ),
        '"DISK_GEOMETRY_EX structure", "STORAGE_DEVICE_DESCRIPTOR structure"',
        ("host/windows_disks.py", "host/windows_disk_facts.py"),
        "Disks are known by other names than the maker's, so that an image of a replaced disk is not noticed. "
        "Disks of virtual machines may have no serial number.",
        wine=(
            "with_a_model",
            "with_a_serial",
        ),
    ),
    Check(
        "disk_lengths",
        _lengths,
        (
            "CreateFile of \\\\.\\PhysicalDriveN with FILE_FLAG_NO_BUFFERING and FILE_FLAG_OVERLAPPED",
            "DeviceIoControl(IOCTL_DISK_GET_LENGTH_INFO)",
            "DeviceIoControl(IOCTL_DISK_GET_DRIVE_GEOMETRY)",
        ),
        (at_least("disks", 1), each_among("sectors", 512, 4096), equals("odd", 0)),
        'the page of each control code; "CreateFileW function", section "Physical Disks and Volumes"',
        ("host/windows_devices.py", "disk/raw_source.py"),
        "No disk can be imaged.",
        needs_administrator=True,
        wine=("",),
    ),
    Check(
        "raw_reads",
        _reads,
        ("ReadFile with OVERLAPPED", "GetOverlappedResult", "CreateEvent", "error 87 of unaligned reads"),
        (
            equals("parallel_reads_agree", True),
            equals("widened_read_agrees", True),
            equals("last_sector", True),
            equals("unaligned_place", 87),
            equals("unaligned_length", 87),
            equals("memory_at_16_bytes", 0),
            among("past_the_end", 0, 27, 87),
        ),
        '"File Buffering", section "Alignment and File Access Requirements"; "Synchronous and Asynchronous I/O"',
        ("host/windows_devices.py", "disk/raw_source.py"),
        "Reads of disks fail, or what is read in parallel belongs elsewhere. Memory that is aligned to 16 bytes is what Python gives.",
        needs_administrator=True,
        wine=("",),
    ),
    Check(
        "disks_by_wmi",
        _by_wmi,
        ("Win32_DiskDrive by PowerShell",),
        (at_least("disks", 1), at_most("sizes_differ", 0), at_most("serials_differ", 0)),
        '"Win32_DiskDrive class"',
        ("host/windows_disks.py", "host/windows_disk_facts.py"),
        "Our size, sector size or serial number of a disk is another than Windows' own.",
        seconds=240.0,
        wine=("disks",),
    ),
)
