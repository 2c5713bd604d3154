# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The places of methods, their arguments and the structures, held against the headers of the interface."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from engine.host.windows_com import Guid
from engine.snapshot.vss import interface
from engine.snapshot.vss.interface import ASYNC_METHODS, ENUM_METHODS, METHODS, ObjectProperties, SnapshotProperties

COMPILER = "x86_64-w64-mingw32-gcc"
HEADERS = """
#define COBJMACROS
#define CINTERFACE
#include <stddef.h>
#include <windows.h>
#include <vss.h>
#include <vswriter.h>
#include <vsbackup.h>
"""
TABLES: List[Tuple[str, Dict[str, Tuple[int, Tuple[Any, ...]]]]] = [
    ("IVssBackupComponents", METHODS),
    ("IVssAsync", ASYNC_METHODS),
    ("IVssEnumObject", ENUM_METHODS),
]


def compiled(folder: Path, checks: List[str]) -> subprocess.CompletedProcess[str]:
    source = folder / "checks.c"
    source.write_text(HEADERS + "\n".join('_Static_assert(%s, "%d");' % (one, at) for at, one in enumerate(checks)))
    command = [COMPILER, "-fsyntax-only", str(source)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(("name", "methods"), TABLES, ids=[name for name, dummy in TABLES])
def test_each_method_is_called_at_its_place(tmp_path: Path, name: str, methods: Any) -> None:
    places = [
        "offsetof(%sVtbl, %s) == %d * sizeof(void *)" % (name, one, slot) for one, (slot, dummy) in methods.items()
    ]
    done = compiled(tmp_path, places)
    assert done.returncode == 0, done.stderr
    wrong = [one.replace("== ", "== 1 + ") for one in places]
    assert compiled(tmp_path, wrong).stderr.count("static assertion failed") == len(wrong), "the check proves nothing"


def parameters(name: str, method: str) -> List[str]:
    """The parameters of a method after ``This``, as the header declares them."""
    shown = subprocess.run(
        [COMPILER, "-E", "-P", "-x", "c", "-"], input=HEADERS, capture_output=True, text=True, check=True
    )
    table = re.search(r"struct %sVtbl \{(.*?)\} %sVtbl;" % (name, name), shown.stdout, re.DOTALL)
    assert table is not None
    found = re.search(r"\*%s\)\s*\((.*?)\);" % method, table.group(1), re.DOTALL)
    assert found is not None
    return [" ".join(one.split()) for one in found.group(1).split(",")][1:]


@pytest.mark.parametrize(("name", "methods"), TABLES, ids=[name for name, dummy in TABLES])
def test_each_method_gets_arguments_of_their_size(tmp_path: Path, name: str, methods: Any) -> None:
    """By value or by address, and as long as the header says: on x86 a wrong length moves all that follow."""
    for method, (dummy_slot, types) in methods.items():
        declared = [re.sub(r"\b\w+$", "", one).strip() for one in parameters(name, method)]
        assert len(declared) == len(types), method
        checks = ["sizeof(%s) == %d" % (one, ctypes.sizeof(kind)) for one, kind in zip(declared, types)]
        done = compiled(tmp_path, checks)
        assert done.returncode == 0, (method, declared, done.stderr)
        for one, kind in zip(declared, types):
            is_address = one.endswith("*") or one in ("VSS_PWSZ", "LPCWSTR", "BSTR")
            by_address = kind in (ctypes.c_void_p, ctypes.c_wchar_p) or issubclass(kind, ctypes._Pointer)
            assert by_address == is_address, (method, one)
            assert (kind is Guid) == (one == "VSS_ID"), (method, one)


FIELDS = {
    "snapshot_id": "m_SnapshotId",
    "set_id": "m_SnapshotSetId",
    "count": "m_lSnapshotsCount",
    "device": "m_pwszSnapshotDeviceObject",
    "volume": "m_pwszOriginalVolumeName",
    "machine": "m_pwszOriginatingMachine",
    "service_machine": "m_pwszServiceMachine",
    "exposed_name": "m_pwszExposedName",
    "exposed_path": "m_pwszExposedPath",
    "provider_id": "m_ProviderId",
    "attributes": "m_lSnapshotAttributes",
    "created": "m_tsCreationTimestamp",
    "status": "m_eStatus",
}


def test_the_structures_are_those_of_the_headers(tmp_path: Path) -> None:
    assert list(FIELDS) == [name for name, dummy in SnapshotProperties._fields_]
    checks = [
        "offsetof(VSS_SNAPSHOT_PROP, %s) == %d" % (theirs, getattr(SnapshotProperties, ours).offset)
        for ours, theirs in FIELDS.items()
    ]
    checks += [
        "sizeof(VSS_SNAPSHOT_PROP) == %d" % ctypes.sizeof(SnapshotProperties),
        "sizeof(VSS_OBJECT_PROP) == %d" % ctypes.sizeof(ObjectProperties),
        "offsetof(VSS_OBJECT_PROP, Obj) == %d" % ObjectProperties.snapshot.offset,
        "sizeof(GUID) == %d" % ctypes.sizeof(Guid),
    ]
    done = compiled(tmp_path, checks)
    assert done.returncode == 0, done.stderr


def test_the_numbers_are_those_of_the_headers(tmp_path: Path) -> None:
    checks = [
        "VSS_CTX_BACKUP == %d" % interface.CONTEXT_BACKUP,
        "(LONG)VSS_CTX_ALL == %d" % interface.CONTEXT_ALL,
        "VSS_OBJECT_NONE == %d" % interface.OBJECT_NONE,
        "VSS_OBJECT_SNAPSHOT_SET == %d" % interface.OBJECT_SET,
        "VSS_OBJECT_SNAPSHOT == %d" % interface.OBJECT_SNAPSHOT,
        "VSS_BT_COPY == %d" % interface._BACKUP_COPY,
    ]
    done = compiled(tmp_path, checks)
    assert done.returncode == 0, done.stderr
