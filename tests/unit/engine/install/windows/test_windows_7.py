# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle for Windows 7 imports only what Windows 7 has; a package that needs more is named with the file and the function."""

from __future__ import annotations

import zipfile
from typing import Dict

import pytest
from engine.errors import WindowsFileUnfit, WindowsImportTooNew
from engine.install.windows.pe import PeFile
from engine.install.windows.windows_7 import check_windows_7, windows_7_exports
from support.windows import parts
from support.windows.forwarder import forwarding_library


def executables(platform: str, *packages: str) -> Dict[str, PeFile]:
    found = {}
    for path in parts.wheels(platform, *packages).values():
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith((".pyd", ".dll", ".exe")):
                    found["lib/" + name] = PeFile(archive.read(name))
    return found


@pytest.fixture(scope="module")
def python() -> Dict[str, PeFile]:
    taken = parts.cpython(parts.WINDOWS_7)
    return {
        "python/" + name: PeFile(content)
        for name, (dummy_stored, content) in taken.items()
        if name.endswith((".exe", ".dll", ".pyd"))
    }


def test_everything_of_the_bundle_loads_there(python: Dict[str, PeFile]) -> None:
    packages = executables(parts.WINDOWS_7)
    assert len(python) >= 28
    assert len(packages) >= 8, "each package with a library brings it"
    check_windows_7({**python, **packages})


@pytest.mark.parametrize(
    "package", ["blake3", *(pytest.param(name, marks=pytest.mark.long) for name in ("cryptography", "bcrypt"))]
)
def test_a_package_of_today_is_refused_with_file_and_function(python: Dict[str, PeFile], package: str) -> None:
    """Other reasons are set aside: those packages are for another Python."""
    function = "ProcessPrng"
    files = executables(parts.CURRENT, package)
    name = next(iter(files))
    newer = [one for one in files[name].imports() if "python" not in one.library]
    assert function in {one.function for one in newer}
    libraries: Dict[str, list[str]] = {}
    for one in newer:
        libraries.setdefault(one.library, []).append(one.function)
    with pytest.raises(WindowsImportTooNew) as caught:
        check_windows_7({**python, "lib/x.pyd": PeFile(parts.executable(libraries, {}))})
    assert caught.value.fields["file"] == "lib/x.pyd"
    refused = set()
    for one in newer:
        try:
            check_windows_7({"x.pyd": PeFile(parts.executable({one.library: [one.function]}, {}))})
        except WindowsImportTooNew as error:
            refused.add(error.fields["function"])
    assert function in refused


@pytest.mark.parametrize(
    ("library", "function"),
    [
        ("bcryptprimitives.dll", "ProcessPrng"),
        ("api-ms-win-core-synch-l1-2-0.dll", "WaitOnAddress"),
        ("api-ms-win-core-synch-l1-2-0.dll", "Sleep"),
        ("api-ms-win-core-file-l1-2-0.dll", "CreateFile2"),
        ("api-ms-win-core-path-l1-1-0.dll", "PathCchCombineEx"),
        ("api-ms-win-core-winrt-l1-1-0.dll", "RoInitialize"),
        ("kernel32.dll", "CreateFile2"),
        ("kernel32.dll", "GetSystemTimePreciseAsFileTime"),
        ("kernel32.dll", "SetThreadDescription"),
        ("kernel32.dll", "PrefetchVirtualMemory"),
        ("kernel32.dll", "CopyFile2"),
        ("kernel32.dll", "#17"),
        ("ntdll.dll", "RtlWaitOnAddress"),
        ("msvcp140.dll", "_Thrd_sleep"),
        ("combase.dll", "CoCreateInstance"),
    ],
)
@pytest.mark.parametrize("delayed", [True, False])
def test_what_came_with_a_newer_windows_is_refused(library: str, function: str, delayed: bool) -> None:
    wanted, none = {library: [function]}, {}
    file = PeFile(parts.executable(*((none, wanted) if delayed else (wanted, none))))
    with pytest.raises(WindowsImportTooNew) as caught:
        check_windows_7({"lib/one.pyd": file})
    told = {"file": "lib/one.pyd", "library": library, "function": function}
    assert caught.value.fields == told


def test_sets_of_windows_7_hold_what_its_libraries_hold() -> None:
    wanted = {"api-ms-win-core-file-l1-1-0.dll": ["CreateFileW"], "api-ms-win-crt-heap-l1-1-0.dll": ["malloc"]}
    check_windows_7({"one.pyd": PeFile(parts.executable(wanted, {}))})


def test_a_library_of_the_bundle_must_have_the_function() -> None:
    own = PeFile(forwarding_library("own.dll", {"There": "kernel32.Sleep"}))
    check_windows_7({"own.dll": own, "one.pyd": PeFile(parts.executable({"OWN.dll": ["There"]}, {}))})
    with pytest.raises(WindowsImportTooNew):
        check_windows_7({"own.dll": own, "one.pyd": PeFile(parts.executable({"own.dll": ["Elsewhere"]}, {}))})


def test_a_damaged_file_is_named() -> None:
    content = bytearray(parts.executable({"kernel32.dll": ["Sleep"]}, {}))
    place = content.index(b"kernel32.dll")
    with pytest.raises(WindowsFileUnfit) as caught:
        check_windows_7({"lib/one.pyd": PeFile(bytes(content[:place]))})
    assert caught.value.fields["file"] == "lib/one.pyd"


def test_the_list_knows_nothing_newer() -> None:
    """Names that the documentation of the Windows API dates to Windows 8 or later."""
    newer = {"ProcessPrng", "WaitOnAddress", "WakeByAddressAll", "WakeByAddressSingle", "CreateFile2", "CopyFile2"}
    newer |= {"GetSystemTimePreciseAsFileTime", "SetThreadDescription", "PrefetchVirtualMemory", "GetTempPath2W"}
    newer |= {
        "GetOverlappedResultEx",
        "SetProcessMitigationPolicy",
        "GetCurrentThreadStackLimits",
        "CreateWaitableTimer2",
    }
    exports = windows_7_exports()
    assert not newer & set().union(*exports.values())
    assert all(library == library.lower() for library in exports)
    assert {"CloseHandle", "CreateFileW", "AcquireSRWLockExclusive"} <= exports["kernel32.dll"]
