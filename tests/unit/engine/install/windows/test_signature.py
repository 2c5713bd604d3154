# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPython's own files are signed by its maker; what was changed after that, or signed by others, is found."""

from __future__ import annotations

import contextlib
import hashlib
import struct
import zipfile
from typing import Dict, Tuple

import pytest
from engine.install.windows.pe import PeFile
from engine.install.windows.python_source import EXECUTABLES
from engine.install.windows.signature import SignatureWrong, read_signer
from hypothesis import given, settings
from hypothesis import strategies as st
from support.windows import parts

Files = Dict[str, bytes]


@pytest.fixture(scope="module")
def files() -> Files:
    return {name: content for name, (dummy_stored, content) in parts.cpython(parts.WINDOWS_7).items()}


def place_of_signature(content: bytes) -> Tuple[int, int]:
    place, size = struct.unpack_from("<II", content, struct.unpack_from("<I", content, 60)[0] + 24 + 112 + 32)
    return int(place), int(size)


@pytest.mark.parametrize("platform", [parts.WINDOWS_7, pytest.param(parts.CURRENT, marks=pytest.mark.long)])
def test_every_program_and_library_names_its_maker(platform: str) -> None:
    """Both are checked when the files are taken; here without the code that takes them."""
    makers = {}
    for name, (dummy_stored, content) in parts.cpython(platform).items():
        if name.endswith(EXECUTABLES):
            makers[name] = read_signer(PeFile(content)).organization
    assert makers.pop("vcruntime140.dll") == makers.pop("vcruntime140_1.dll") == "Microsoft Corporation"
    assert set(makers.values()) == {"Python Software Foundation"}
    assert len(makers) >= 25


def test_a_change_of_the_content_is_found(files: Files) -> None:
    content = bytearray(files["python.exe"])
    content[0x1000] ^= 1
    with pytest.raises(SignatureWrong, match="changed"):
        read_signer(PeFile(bytes(content)))


def test_the_signature_of_another_file_is_found(files: Files) -> None:
    """Both files are its maker's; the signature is real, but for the other one."""
    place, size = place_of_signature(files["python.exe"])
    other_place, other_size = place_of_signature(files["pythonw.exe"])
    content = bytearray(files["python.exe"][:place] + files["pythonw.exe"][other_place : other_place + other_size])
    header = struct.unpack_from("<I", content, 60)[0]
    struct.pack_into("<II", content, header + 24 + 112 + 32, place, other_size)
    assert size
    with pytest.raises(SignatureWrong, match="changed"):
        read_signer(PeFile(bytes(content)))


def test_a_forged_hash_in_the_signature_is_found(files: Files) -> None:
    """The hash in the document fits the changed file, but the key did not sign that."""
    content = bytearray(files["python.exe"])
    before = PeFile(bytes(content)).digest()
    content[0x1000] ^= 1
    after = PeFile(bytes(content)).digest()
    place = content.index(before)
    content[place : place + 32] = after
    with pytest.raises(SignatureWrong, match="other content"):
        read_signer(PeFile(bytes(content)))
    inner = bytes(content[place - 100 : place + 32])
    assert hashlib.sha256(inner).digest() not in content


def test_files_of_wheels_are_not_signed() -> None:
    path = next(iter(parts.wheels(parts.WINDOWS_7, "blake3").values()))
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".pyd"))
        with pytest.raises(SignatureWrong, match="not signed"):
            read_signer(PeFile(archive.read(name)))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_signature_is_read_or_refused(data: st.DataObject) -> None:
    """Damage of the certificate may be read: no authority's signature protects it here."""
    content = bytearray(parts_python())
    place, size = place_of_signature(bytes(content))
    at = data.draw(st.integers(place, place + size - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(SignatureWrong):
        assert len(read_signer(PeFile(bytes(content))).certificate_sha256) == 64


def parts_python() -> bytes:
    if not _PYTHON:
        _PYTHON.append(parts.cpython(parts.WINDOWS_7)["python.exe"][1])
    return _PYTHON[0]


_PYTHON: list[bytes] = []
