# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a bundle for Windows: CPython, the wheels unpacked, the engine, the licences, the policies."""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Set, Tuple

from ...errors import BundleWheelDamaged, WindowsFileUnfit
from ..bundle_document import DOCUMENT
from ..bundle_format import ENGINE
from ..stored_zip import UNREADABLE, StoredEntry, take_over
from ..wheel_store import hash_file
from . import policies
from .by_hand_script import field_test_cmd, install_cmd
from .document import SUMS, File, WindowsDocument, checked_name, make_document
from .lock import WindowsPlatform
from .pe import PeFile, PeInvalid
from .python_source import EXECUTABLES, Taken
from .windows_7 import check_windows_7

_LICENCE = re.compile(r"(LICEN[CS]E|COPYING|NOTICE|AUTHORS)[^/]*", re.IGNORECASE)
_COLLECTION_LICENCE = "COPYING"
Entries = Dict[str, StoredEntry]


class Contents(NamedTuple):
    """All files of a bundle by name, and its document."""

    entries: Entries
    document: WindowsDocument


class _Collected:
    """Files so far, with what is known of each."""

    def __init__(self) -> None:
        self.entries: Entries = {}
        self.files: Dict[str, File] = {}
        self.executables: Dict[str, PeFile] = {}
        self._names: Set[str] = set()

    def add(self, name: str, content: bytes, stored: StoredEntry) -> None:
        """:raises WindowsFileUnfit: when the name is taken or Windows can't store it, or it is a damaged executable."""
        try:
            if checked_name(name).lower() in self._names:
                raise ValueError("another file of the bundle has this name")
            digest = ""
            if name.lower().endswith(EXECUTABLES):
                self.executables[name] = PeFile(content)
                digest = self.executables[name].digest().hex()
        except (PeInvalid, ValueError) as error:
            raise WindowsFileUnfit(file=name, reason=str(error)) from None
        self._names.add(name.lower())
        self.entries[name] = stored
        self.files[name] = File(name, hashlib.sha256(content).hexdigest(), len(content), digest)

    def add_own(self, name: str, content: bytes) -> None:
        self.add(name, content, StoredEntry.plain(content))


def collect(platform: WindowsPlatform, version: str, python: Taken, wheels: Mapping[str, Path]) -> Contents:
    """Return the bundle's files, checked: all for the platform's processor, and for Windows 7 only imports that it has.

    :raises WindowsFileUnfit: :raises WindowsImportTooNew: :raises BundleWheelDamaged:
    """
    found = _Collected()
    _add_python(found, platform, python)
    for file_name in sorted(wheels):
        _add_wheel(found, file_name, wheels[file_name])
    for path in sorted(ENGINE.rglob("*.py")):
        found.add_own("code/engine/" + path.relative_to(ENGINE).as_posix(), path.read_bytes())
    found.add_own("install.cmd", install_cmd(platform, version))
    found.add_own("field-test.cmd", field_test_cmd())
    for name, file in sorted(found.executables.items()):
        if file.machine != platform.machine:
            raise WindowsFileUnfit(file=name, reason="it is for another processor than %s" % platform.name)
    if platform.for_windows_7:
        check_windows_7(found.executables)
    title = "plantops-imaging %s %s" % (version, platform.name)
    known = _sorted(found)
    found.add_own("policy/hashes.csv", policies.hash_list(known))
    found.add_own("policy/app-control.xml", policies.app_control(known, title))
    found.add_own("policy/applocker.xml", policies.app_locker(known, title))
    return _finished(found, platform, version)


def _sorted(found: _Collected) -> List[File]:
    return [found.files[name] for name in sorted(found.files)]


def _finished(found: _Collected, platform: WindowsPlatform, version: str) -> Contents:
    """Add the two lists of files: the document, and one that ``sha256sum -c`` reads."""
    files = _sorted(found)
    document = make_document(version, platform.name, platform.packages.python, files)
    sums = [(file.sha256, file.name) for file in files] + [(hashlib.sha256(document.raw).hexdigest(), DOCUMENT)]
    lines = "".join("%s *%s\n" % (sha256, name) for sha256, name in sums)
    entries = {name: found.entries[name] for name in sorted(found.entries)}
    entries[DOCUMENT] = StoredEntry.plain(document.raw)
    entries[SUMS] = StoredEntry.plain(lines.encode("ascii"))
    return Contents(entries, document)


def _add_python(found: _Collected, platform: WindowsPlatform, python: Taken) -> None:
    """Add CPython as it is, but for the file that says where it looks for modules: nowhere outside of the bundle."""
    search = platform.stem + "._pth"
    for name, (stored, content) in sorted(python.items()):
        if name != search:
            found.add("python/" + name, content, stored)
    paths = "%s.zip\r\n.\r\n..\\lib\r\n..\\code\r\n" % platform.stem
    found.add_own("python/" + search, paths.encode("ascii"))
    stored, content = python["LICENSE.txt"]
    found.add("licences/CPython/LICENSE.txt", content, stored)
    licence = ENGINE.parent.parent.parent / _COLLECTION_LICENCE
    if licence.is_file():
        found.add_own("licences/plantops-imaging/COPYING.txt", licence.read_bytes())


def _add_wheel(found: _Collected, file_name: str, path: Path) -> None:
    """Add the files of a wheel as they are compressed in it, and its licence a second time where people look for it."""
    package = file_name.partition("-")[0]
    licences: List[Tuple[str, StoredEntry, bytes]] = []
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
                name = entry.filename
                if name.endswith("/"):
                    continue
                stored, content = take_over(archive, entry)
                found.add("lib/" + name, content, stored)
                last = name.rpartition("/")[2]
                if (".dist-info/" in name and _LICENCE.fullmatch(last)) or name.endswith(".dist-info/METADATA"):
                    licences.append((last, stored, content))
    except UNREADABLE:
        raise BundleWheelDamaged(path=path, sha256=hash_file(path)) from None
    for last, stored, content in licences:
        name = "licences/%s/%s" % (package, last)
        if name not in found.files:
            found.add(name, content, stored)
