# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Executables of Windows are read as other tools read them, and hostile ones end with a word about them."""

from __future__ import annotations

import contextlib
import re
import struct
import subprocess
from pathlib import Path
from typing import Set, Tuple

import pytest
from engine.install.windows.pe import PeFile, PeInvalid, authenticode
from hypothesis import given, settings
from hypothesis import strategies as st
from support.windows import parts
from support.windows.forwarder import forwarding_library

IMPORTS = {"KERNEL32.dll": ["CloseHandle", "#12"], "ws2_32.dll": ["#115"]}
LATE = {"bcrypt.dll": ["BCryptGenRandom"]}
WHOLE = parts.executable(IMPORTS, LATE, certificates=parts.certificate_table(b"signature"))


@pytest.mark.parametrize("wide", [True, False])
def test_imports_by_name_by_number_and_delayed(wide: bool) -> None:
    found = PeFile(parts.executable(IMPORTS, LATE, wide=wide)).imports()
    assert found == [
        ("kernel32.dll", "CloseHandle"),
        ("kernel32.dll", "#12"),
        ("ws2_32.dll", "#115"),
        ("bcrypt.dll", "BCryptGenRandom"),
    ]


def test_exports() -> None:
    made = forwarding_library("a.dll", {"One": "b.Two", "Three": "b.Four"})
    assert sorted(PeFile(made).exports()) == ["One", "Three"]
    assert PeFile(parts.executable({}, {})).exports() == []
    assert PeFile(parts.executable({}, {})).imports() == []


def by_objdump(path: Path) -> Set[Tuple[str, str]]:
    told = subprocess.run(["objdump", "-p", path], stdout=subprocess.PIPE, check=True).stdout.decode()
    found, library = set(), ""
    for line in told.partition("Export Tables")[0].splitlines():
        named = re.match(r"\s+DLL Name: (\S+)$", line)
        function = re.match(r"\s+[0-9a-f]+\s+\d+\s+([A-Za-z_?]\S*)$", line)
        if named:
            library = named[1].lower()
        elif function and library:
            found.add((library, function[1]))
    return found


@pytest.mark.parametrize("name", ["python.exe", "python38.dll", "_ssl.pyd"])
def test_imports_are_those_that_binutils_reads(name: str, tmp_path: Path) -> None:
    content = parts.cpython(parts.WINDOWS_7)[name][1]
    (tmp_path / name).write_bytes(content)
    read = {(library, function) for library, function in PeFile(content).imports() if not function.startswith("#")}
    assert read == by_objdump(tmp_path / name)


def test_a_signature_and_the_checksum_do_not_change_the_hash() -> None:
    plain, signed = bytearray(parts.executable(IMPORTS, LATE)), bytearray(WHOLE)
    digest = authenticode(bytes(plain))
    assert re.fullmatch(r"[0-9a-f]{64}", digest)
    assert authenticode(bytes(signed)) == digest
    struct.pack_into("<I", plain, 64 + 24 + 64, 0x12345678)
    assert authenticode(bytes(plain)) == digest
    plain[-1] ^= 1
    assert authenticode(bytes(plain)) != digest
    assert PeFile(WHOLE).signatures() == [b"signature".ljust(16, b"\0")]
    assert PeFile(bytes(plain)).signatures() == []


def test_what_follows_the_signature_is_refused() -> None:
    with pytest.raises(PeInvalid):
        PeFile(WHOLE + b"more").digest()
    assert authenticode(b"no executable") == ""


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=8)), max_size=6),
    st.integers(0, len(WHOLE)),
)
def test_a_damaged_file_is_read_or_refused(changes: Tuple[Tuple[int, bytes], ...], length: int) -> None:
    content = bytearray(WHOLE)
    for place, piece in changes:
        content[place : place + len(piece)] = piece
    for damaged in (bytes(content), bytes(content[:length])):
        with contextlib.suppress(PeInvalid):
            file = PeFile(damaged)
            for call in (file.imports, file.exports, file.digest, file.signatures):
                call()
