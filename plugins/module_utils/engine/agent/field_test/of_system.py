# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about the machine, its system and its processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Tuple

from ...device.document.collect import collect
from ...device.document.tree import SystemTree
from ...device.document.windows.machine import CURRENT_VERSION, product_type
from ...device.document.windows.reading import Reader
from ...device.document.windows.system import running_system
from ...host import identity, priority, process, windows_calls, windows_com, windows_preflight
from ...host.smbios import system_information
from ...host.windows_registry import RunningRegistry
from ...host.windows_write_filters import filters_of, has_tool, kinds_seen
from ...install.windows_layout import default_base
from .check import Answer, Check, among, at_least, contains, each_among, equals, matches

_SINCE_1601 = 116_444_736_000_000_000  # from 1601 to 1970, in units of 100 ns
_MINUTE = 600_000_000


def _version() -> Answer:
    major, minor, build = windows_calls.version()
    told = windows_calls.registry(CURRENT_VERSION, "CurrentBuildNumber")
    kind = windows_calls.product_type()
    return {"major": major, "minor": minor, "build": build, "kind": kind, "agrees_with_registry": told == str(build)}


def _firmware() -> Answer:
    raw = windows_calls.firmware_table()
    told = system_information(raw)
    has = {"has_" + name: bool(getattr(told, name)) for name in ("vendor", "product", "serial")}
    return dict(has, size_bytes=len(raw), uuid_shape=_shape(told.uuid))


def _shape(text: str) -> str:
    """The text with each hexadecimal digit as x: what is sent back identifies no machine."""
    return "".join("x" if one in "0123456789abcdef" else one for one in text)


def _machine_id() -> Answer:
    system = running_system()
    return {
        "shape": _shape(identity.machine_id()),
        "product_type": product_type(Reader(system, SystemTree("/"))),
        "has_product_name": bool(windows_calls.registry(CURRENT_VERSION, "ProductName")),
    }


def _boot() -> Answer:
    told = process.boot_id()
    now = int(time.time() * 10_000_000) + _SINCE_1601
    started = now - int(time.monotonic() * 10_000_000)
    apart = abs(windows_calls.boot_time() - started) // _MINUTE
    return {"kind": told.split(" ")[0], "stays": told == process.boot_id(), "minutes_apart": apart}


def _processes() -> Answer:
    child = subprocess.Popen([sys.executable, "-I", "-c", "input()"], stdin=subprocess.PIPE)  # pylint: disable=ansible-bad-function
    running = process.process_start(child.pid)
    child.communicate(b"\n")
    own = process.process_start(os.getpid()) or ""
    return {
        "own": _shape(own),
        "stays": own == process.process_start(os.getpid()),
        "child_is_later": bool(running) and str(running) >= own,
        "ended": process.process_start(child.pid),
    }


def _memory() -> Answer:
    return {"mib": windows_calls.memory_bytes() >> 20}


def _priority() -> Answer:
    return {"lowered": priority.lower_priority()}


def _com() -> Answer:
    return {"code": windows_com.start_com()}


def _document() -> Answer:
    document = collect()
    filled = sorted(name for name, items in document["sections"].items() if items)
    size = len(json.dumps(document))
    return {"filled": filled, "unreadable": sorted(document["unreadable"]), "characters": size}


def _preflight() -> Answer:
    facts = windows_preflight.gather(default_base())
    return {
        "machine": facts.machine,
        "has_runtime": facts.has_runtime,
        "has_search_flags": facts.has_search_flags,
        "volume": facts.volume,
        "has_free_space": facts.free_bytes > 0,
        "filters": ["%s %s" % (one.kind, one.protects) for one in facts.filters],
    }


def _filters() -> Answer:
    kinds = kinds_seen(RunningRegistry(), "")
    found = filters_of(windows_preflight.gather(default_base()).volume)
    return {
        "drivers": kinds,
        "tools": [one.kind for one in found if has_tool(one.kind)],
        "without_a_tool": [one for one in kinds if not has_tool(one)],
        "states": ["%s %s" % (one.kind, one.protects) for one in found],
        "silent": [one.kind for one in found if one.protects is None],
    }


CHECKS: Tuple[Check, ...] = (
    Check(
        "version",
        _version,
        ("RtlGetVersion",),
        (at_least("major", 6), among("kind", 1, 2, 3), equals("agrees_with_registry", True)),
        '"RtlGetVersion function"',
        ("host/windows_calls.py", "install/windows/preflight.py", "device/operating_system.py"),
        "The agent takes this Windows for another one: its bundle may be refused, or one that can't run be accepted; "
        "imaging_operating_system may be compared with a wrong kind.",
    ),
    Check(
        "firmware",
        _firmware,
        ("GetSystemFirmwareTable('RSMB')",),
        (at_least("size_bytes", 100), equals("uuid_shape", "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")),
        '"GetSystemFirmwareTable function"; DMTF DSP0134, 7.2',
        ("host/smbios.py", "host/windows_identity.py"),
        "The identity of the machine rests on MachineGuid alone, which a cloned disk shares.",
    ),
    Check(
        "machine_id",
        _machine_id,
        ("RegQueryValueEx of MachineGuid, ProductType, ProductName", "KEY_WOW64_64KEY"),
        (
            equals("shape", "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
            among("product_type", "workstation", "server"),
            equals("has_product_name", True),
        ),
        'in no page as an interface; "Registry Functions"',
        ("host/windows_identity.py", "device/document/windows/machine.py"),
        "A directory in the storage can't be held for this machine, or its kind of Windows is unknown.",
    ),
    Check(
        "boot",
        _boot,
        ("NtQuerySystemInformation(SystemTimeOfDayInformation)", "BootId"),
        (equals("kind", "start"), equals("stays", True)),
        '"NtQuerySystemInformation function"; the fields and BootId are in no page',
        ("host/windows_process.py",),
        "A lease of a run that a loss of power ended is waited for, instead of taken over at once.",
        wine=("kind",),
    ),
    Check(
        "processes",
        _processes,
        ("OpenProcess", "WaitForSingleObject", "GetProcessTimes", "CloseHandle"),
        (
            matches("own", "x{18}"),
            equals("stays", True),
            equals("child_is_later", True),
            equals("ended", ""),
        ),
        '"GetProcessTimes function", "Process Security and Access Rights"',
        ("host/windows_process.py", "snapshot/vss/record.py"),
        "A run that has ended counts as running, or one that runs as ended: a lease is held too long or too short.",
    ),
    Check(
        "memory",
        _memory,
        ("GlobalMemoryStatusEx",),
        (at_least("mib", 256),),
        '"GlobalMemoryStatusEx function"',
        ("host/windows_memory.py",),
        "The key of an image is derived with too much or too little memory.",
    ),
    Check(
        "priority",
        _priority,
        ("SetPriorityClass", "GetCurrentProcess", "NtSetInformationProcess(ProcessIoPriority, ProcessPagePriority)"),
        (contains("lowered", "idle class", "I/O priority very low", "first to go when memory is short"),),
        '"SetPriorityClass function"; the others are in no page, their values those of phnt (System Informer)',
        ("host/windows_priority.py",),
        "A run competes with the plant's programs for the processor, the disk or memory.",
        wine=("lowered",),
    ),
    Check(
        "com",
        _com,
        ("CoInitializeEx", "CoInitializeSecurity"),
        (equals("code", 0),),
        '"Security Considerations for Requesters", "CoInitializeSecurity function"',
        ("host/windows_com.py",),
        "No shadow copy can be made.",
    ),
    Check(
        "preflight",
        _preflight,
        (
            "ucrtbase.dll",
            "AddDllDirectory",
            "uwfmgr.exe",
            "EwfMgrOpenProtected, EwfMgrGetProtectedVolumeConfig, EwfMgrClose",
            "FbwfIsFilterEnabled, FbwfIsVolumeProtected",
        ),
        (
            among("machine", "AMD64", "x86", "ARM64"),
            equals("has_runtime", True),
            equals("has_search_flags", True),
            matches("volume", "[A-Z]:"),
            equals("has_free_space", True),
        ),
        '"Universal CRT deployment", "LoadLibraryExW function", "uwfmgr.exe", "EWF API", "FBWF API"',
        ("host/windows_preflight.py",),
        "install.cmd refuses this device, or installs an agent that can't stay.",
    ),
    Check(
        "write_filters",
        _filters,
        ("the drivers uwfvol, uwfrtl, ewf, fbwf below Services", "uwfmgr.exe get-config"),
        (equals("without_a_tool", []), equals("silent", [])),
        '"uwfmgr.exe", "EWF API", "FBWF API"; the names of the drivers are in no page as an interface',
        ("host/windows_write_filters.py", "snapshot/vss/filtered.py"),
        "A run does not warn that a filter drops changes, or warns of one that is not there. Run it on a device with a filter, too.",
        needs_administrator=True,
        seconds=240.0,
    ),
    Check(
        "document",
        _document,
        (
            "RegOpenKeyEx, RegEnumKeyEx, RegEnumValue through winreg",
            "Uninstall, SystemComponent, ParentKeyName; Start, Type, ImagePath of services",
            "Component Based Servicing, TaskCache, MountedDevices, the SAM, SystemCertificates",
            "UBR, DisplayVersion",
            "files of tasks below System32\\Tasks",
        ),
        (
            contains(
                "filled",
                "hardware",
                "operating_system",
                "mounts",
                "software",
                "updates",
                "services",
                "drivers",
                "network",
            ),
            contains("filled", "scheduled_tasks", "certificates"),
            each_among("unreadable", "listening_ports", "users", "groups"),
        ),
        '"Registry Key Security and Access Rights", [MS-TSCH] 2.5; Component Based Servicing, TaskCache and the SAM are in no page',
        ("device/document/windows",),
        "The device document of an image lacks a section. Users and groups are read by SYSTEM alone, so they may be missing here.",
        needs_administrator=True,
        wine=("filled",),
    ),
)
