# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of an rpm system, from its database without rpm: SQLite and ndb are read, for Berkeley DB rpm itself is asked.

Sources of the formats: lib/header.c, lib/backend/sqlite.c and lib/backend/ndb/rpmpkg.c of rpm 4.18.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import tempfile
from typing import Any, Dict, Iterable, Iterator, List, Tuple

from .tree import SystemTree, TookTooLong, Unreadable

_FOLDERS = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
_MOST_BYTES = 512 << 20
_MOST_HEADER_BYTES = 64 << 20
_MOST_ENTRIES = 65536
_NAME, _VERSION, _RELEASE, _EPOCH, _ARCHITECTURE = 1000, 1001, 1002, 1003, 1022
_STRING, _INT32 = 6, 4
_ENTRY = struct.Struct(">IIII")
_NDB_PAGE_BYTES = 4096
_NDB_SLOT_BYTES = 16
_Package = Tuple[str, List[str], str, bool]
_Header = Dict[int, str]


def packages(tree: SystemTree) -> Iterator[_Package]:
    """Yield name, versions, architecture and "not held" of each package; a kernel has several versions."""
    found: Dict[Tuple[str, str], List[str]] = {}
    for header in _headers(tree):
        version = "%s-%s" % (header.get(_VERSION, ""), header.get(_RELEASE, ""))
        epoch = header.get(_EPOCH, "")
        version = "%s:%s" % (epoch, version) if epoch not in ("", "0") else version
        found.setdefault((header.get(_NAME, ""), header.get(_ARCHITECTURE, "")), []).append(version)
    native = {name: architecture for name, architecture in sorted(found) if architecture != "i686"}
    for (name, architecture), versions in sorted(found.items()):
        if name:
            key = name if native.get(name, architecture) == architecture else "%s.%s" % (name, architecture)
            yield key, sorted(versions), architecture, False


def _headers(tree: SystemTree) -> Iterator[_Header]:
    for folder in _FOLDERS:
        if tree.exists(folder + "/rpmdb.sqlite"):
            yield from (_parse(tree, blob) for blob in _sqlite(tree, folder + "/rpmdb.sqlite"))
            return
        if tree.exists(folder + "/Packages.db"):
            yield from (_parse(tree, blob) for blob in _ndb(tree, folder + "/Packages.db"))
            return
        if tree.exists(folder + "/Packages"):
            yield from _asked(tree)
            return


def _sqlite(tree: SystemTree, place: str) -> Iterator[bytes]:
    try:
        import sqlite3
    except ImportError:
        raise Unreadable("the Python of the agent has no sqlite3, which reads %s" % place) from None
    path = tree.path(place)
    with contextlib.ExitStack() as closing:
        try:
            if os.path.getsize(path) > _MOST_BYTES:
                raise Unreadable("%s is larger than %d bytes" % (place, _MOST_BYTES))
            if os.path.exists(path + "-wal") and os.path.getsize(path + "-wal"):
                path = closing.enter_context(_copied(path))  # what is in its log is read without writing to the system
            address = "file:%s?immutable=1" % path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
            database = closing.enter_context(contextlib.closing(sqlite3.connect(address, uri=True)))
            for number, (blob,) in enumerate(database.execute("SELECT blob FROM Packages ORDER BY hnum")):
                if number % 100 == 0:
                    tree.check_time()
                if isinstance(blob, bytes):
                    yield blob
        except (sqlite3.Error, OSError) as error:
            raise Unreadable("%s: %s" % (place, error)) from None


@contextlib.contextmanager
def _copied(path: str) -> Iterator[str]:
    """A copy of the database with the content of its write-ahead log, in a folder of this user."""
    import sqlite3

    if os.path.getsize(path) + os.path.getsize(path + "-wal") > _MOST_BYTES // 4:
        raise Unreadable("%s has a large log that rpm did not merge yet" % os.path.basename(path))
    with tempfile.TemporaryDirectory(prefix="plantops-") as folder:
        copy = os.path.join(folder, "rpmdb.sqlite")
        for suffix in ("", "-wal"):
            shutil.copyfile(path + suffix, copy + suffix)
        with contextlib.closing(sqlite3.connect(copy)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        yield copy


def _ndb(tree: SystemTree, place: str) -> Iterator[bytes]:
    """The blobs of the package database of ndb: pages of slots, each with the place of a blob in units of 16 bytes."""
    data = tree.data(place, _MOST_BYTES) or b""
    if len(data) < 32 or data[:4] != b"RpmP":
        raise Unreadable("%s is not a package database" % place)
    (pages,) = struct.unpack_from("<I", data, 12)
    for at in range(32, min(pages * _NDB_PAGE_BYTES, len(data)) - _NDB_SLOT_BYTES + 1, _NDB_SLOT_BYTES):
        magic, package, block, dummy_count = struct.unpack_from("<4sIII", data, at)
        if magic != b"Slot":
            raise Unreadable("%s is damaged" % place)
        start = block * 16
        if not package or not block or start + 16 > len(data):
            continue
        mark, number, dummy_generation, size = struct.unpack_from("<4sIII", data, start)
        if mark != b"BlbS" or number != package or start + 16 + size > len(data):
            raise Unreadable("%s is damaged" % place)
        yield data[start + 16 : start + 16 + size]


def _parse(tree: SystemTree, blob: bytes) -> _Header:
    """The few tags of a header: number of entries and size of the data, entries of tag, type, offset and count, the data."""
    tree.check_time()
    found: _Header = {}
    if not 8 <= len(blob) <= _MOST_HEADER_BYTES:
        return found
    entries, size = struct.unpack_from(">II", blob)
    start = 8 + entries * _ENTRY.size
    if entries > _MOST_ENTRIES or start + size > len(blob):
        return found
    for at in range(8, start, _ENTRY.size):
        tag, kind, offset, count = _ENTRY.unpack_from(blob, at)
        if tag not in (_NAME, _VERSION, _RELEASE, _EPOCH, _ARCHITECTURE) or count != 1 or offset >= size:
            continue
        place = start + offset
        if kind == _STRING:
            found[tag] = blob[place : blob.find(b"\0", place, place + 500)].decode("utf-8", "replace")
        elif kind == _INT32 and offset + 4 <= size:
            found[tag] = str(struct.unpack_from(">I", blob, place)[0])
    return found


def _asked(tree: SystemTree) -> Iterable[_Header]:
    """The answer of rpm: its Berkeley DB is read by its own program, on the system that it belongs to."""
    if not tree.is_running:
        raise Unreadable("the rpm database is a Berkeley DB, which only rpm on that system reads")
    wanted = "%{NAME}\t%{VERSION}\t%{RELEASE}\t%{EPOCHNUM}\t%{ARCH}\n"
    tree.check_time()
    words = ["rpm", "-qa", "--queryformat", wanted]
    options: Dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    try:
        answer = subprocess.run(words, timeout=tree.left_seconds, check=True, **options)  # pylint: disable=ansible-bad-function
    except subprocess.TimeoutExpired:
        raise TookTooLong("rpm -qa took too long") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise Unreadable("rpm -qa failed: %s" % error) from None
    lines = [line.split("\t") for line in answer.stdout.decode("utf-8", "replace").split("\n")]
    names = (_NAME, _VERSION, _RELEASE, _EPOCH, _ARCHITECTURE)
    return [dict(zip(names, fields)) for fields in lines if len(fields) == len(names)]
