# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zips of entries that are taken over as they are: read by zipfile, the same bytes each time, false archives refused."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path

import pytest
from engine.install.stored_zip import StoredEntry, take_over, write_entries

CONTENT = b"text that compresses " * 1000


def wheel(level: int = 9) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        archive.writestr("a/b.py", CONTENT)
        archive.writestr(zipfile.ZipInfo("stored"), b"as it is")
    return file.getvalue()


def test_entries_keep_their_compressed_bytes(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel(1))) as archive:
        taken = [(info.filename, *take_over(archive, info)) for info in archive.infolist()]
    assert [content for dummy, dummy_entry, content in taken] == [CONTENT, b"as it is"]
    path = tmp_path / "out.zip"
    with open(path, "wb") as file:
        write_entries(file, [(name, entry) for name, entry, dummy in taken] + [("plain", StoredEntry.plain(b"x"))])
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.read("a/b.py") == CONTENT
        assert archive.read("plain") == b"x"
    subprocess.run(["python3", "-m", "zipfile", "-t", str(path)], check=True, stdout=subprocess.DEVNULL)
    assert taken[0][1].packed in path.read_bytes()


def test_a_false_archive_is_refused() -> None:
    data = bytearray(wheel())
    data[60] ^= 1  # inside the first entry's bytes
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive, pytest.raises((zipfile.BadZipFile, zipfile.zlib.error)):  # type: ignore[attr-defined]
        take_over(archive, archive.infolist()[0])
    with zipfile.ZipFile(io.BytesIO(wheel())) as archive:
        info = archive.infolist()[0]
        info.file_size = 1 << 40
        with pytest.raises(zipfile.BadZipFile):
            take_over(archive, info)


def test_more_than_a_plain_zip_holds_is_refused() -> None:
    entries = [("%d" % number, StoredEntry.plain(b"")) for number in range(0x10000)]
    with pytest.raises(ValueError, match="fewer than"):
        write_entries(io.BytesIO(), entries)
