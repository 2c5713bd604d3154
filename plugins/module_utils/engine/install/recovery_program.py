# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the recovery program, one file: the engine and the packages that it needs, for several platforms.

The same collection makes the same bytes, wherever and whenever it runs. A file that several wheels hold is carried once.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import BundleFailed, BundleWheelDamaged
from .bundle import collection_version
from .bundle_format import ENGINE
from .publishing import publish, publish_changed, sha256_of
from .stored_zip import UNREADABLE, StoredEntry, take_over, write_entries
from .wheel_lock import LockedPlatform, locked_platform
from .wheel_store import default_cache, fetch_wheels, hash_file

PROGRAM_NAME = "plantops-recovery.pyz"
DEFAULT_PLATFORMS = tuple("linux-x86_64-glibc-cp3%d" % minor for minor in range(8, 15))
_FORMAT = 1
_LOADER = "recovery_loader.py"
# Runs on any Python: what is too old, or not whole, gets a sentence.
_MAIN = b'''\
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recovery program of plantops.imaging. Start it with --help."""

import os
import sys


def refused(words):
    sys.stderr.write("plantops-recovery: %s\\n" % words)
    sys.exit(3)


if sys.version_info < (3, 8):
    refused("This is Python %d.%d; the program needs CPython 3.8 or newer (try python3)." % sys.version_info[:2])
try:
    import zlib

    import plantops_loader

    status = plantops_loader.main(sys.argv[1:], os.path.dirname(os.path.abspath(__file__)))
except ImportError as error:
    if (error.name or "").split(".")[0] in ("engine", "plantops_loader"):
        raise
    refused(
        "This Python lacks a part of its standard library (%s); install the whole of it: python3, not python3-minimal."
        % error
    )
sys.exit(status)
'''
# Files that the program does not need: headers, hints for type checkers, tests, and the second back end of zstandard,
# which is its largest file.
_LEFT_OUT = re.compile(
    r".*\.(pyi|h|lib|pyx|pxd)|.*/py\.typed|.*/tests?/.*|zstandard/(_cffi.*|backend_cffi\.py)|.*/__pycache__/.*"
)
_KEPT_OF_RECORDS = re.compile(
    r".*\.dist-info/(METADATA|.*licen[cs]e.*|.*COPYING.*|.*NOTICE.*|.*AUTHORS.*)", re.IGNORECASE
)
_NAME = re.compile(r"[0-9A-Za-z._+-]+(/[0-9A-Za-z._+ -]+)*")


class BuiltProgram(NamedTuple):
    """The program's file. ``sha256`` and ``size_bytes`` are None where check mode has built nothing.

    ``replaced`` is the SHA-256 of another file that was there before, None for none.
    """

    path: str
    version: str
    platforms: List[str]
    sha256: Optional[str]
    size_bytes: Optional[int]
    changed: bool
    replaced: Optional[str]


def build_program(
    destination: str,
    *,
    platforms: Sequence[str] = DEFAULT_PLATFORMS,
    cache_folder: Optional[str] = None,
    wheel_folder: Optional[str] = None,
    check: bool = False,
) -> BuiltProgram:
    """Have the program in the folder ``destination``. One that is there with the same bytes stays; ``check`` only looks.

    :param wheel_folder: holds the wheels, for a machine that reaches no package index.
    :raises BundleError: A200 to A204.
    """
    locked = [locked_platform(name) for name in sorted(set(platforms))]
    path = os.path.join(destination, PROGRAM_NAME)
    version, names = collection_version(), [one.name for one in locked]
    cache = Path(cache_folder) if cache_folder else default_cache()
    carried = Path(wheel_folder) if wheel_folder else None
    if check and not all(
        (carried or cache).joinpath(wheel.file_name).is_file() for one in locked for wheel in one.wheels
    ):
        return BuiltProgram(path, version, names, None, None, True, sha256_of(path))
    content = _content(version, locked, cache, carried)
    sha256, changed, replaced = publish_changed(path, content, check)
    return BuiltProgram(path, version, names, sha256, len(content), changed, replaced)


def cached_program() -> str:
    """Return the path of the program that is kept for copies on this machine, made now where it is not the present one.

    :raises BundleError: A201 to A204.
    """
    folder = str(default_cache().parent / "recovery")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        # Several copies of one play ask for it at once; one builds, the others find it.
        with open(os.path.join(folder, ".lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            recipe, path = _recipe(), os.path.join(folder, PROGRAM_NAME)
            note = os.path.join(folder, "recipe")
            if not os.path.exists(path) or _read_text(note) != "%s %s" % (recipe, hash_file(Path(path))):
                built = build_program(folder)
                publish(note, ("%s %s" % (recipe, built.sha256)).encode("ascii"))
            return path
    except OSError as error:
        raise BundleFailed(path=error.filename or folder, reason=error.strerror or str(error)) from None


def _recipe() -> str:
    """The inputs of the program: this engine and its lock."""
    digest = hashlib.sha256(collection_version().encode("utf-8") + _MAIN)
    for path in sorted([*ENGINE.rglob("*.py"), *ENGINE.rglob("*.lock.json")]):
        digest.update(("%s %s\n" % (path.relative_to(ENGINE).as_posix(), hash_file(path))).encode("utf-8"))
    return digest.hexdigest()


def _read_text(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read(1000)
    except (OSError, ValueError):
        return ""


def _content(version: str, locked: List[LockedPlatform], cache: Path, carried: Optional[Path]) -> bytes:
    blobs: Dict[str, StoredEntry] = {}
    index: Dict[str, Any] = {"format": _FORMAT, "version": version, "platforms": {}}
    index["engine"] = _engine_files(blobs)
    wheels: Dict[str, Dict[str, str]] = {}
    for platform in locked:
        found = fetch_wheels(platform, cache, carried)
        files: Dict[str, str] = {}
        for wheel in platform.wheels:
            if wheel.file_name not in wheels:
                wheels[wheel.file_name] = _wheel_files(found[wheel.file_name], blobs)
            files.update(wheels[wheel.file_name])
        index["platforms"][platform.name] = {"libc": platform.libc, "files": files}
    document = json.dumps(index, sort_keys=True, separators=(",", ":")).encode("ascii")
    entries = [
        ("__main__.py", StoredEntry.plain(_MAIN)),
        ("plantops_loader.py", StoredEntry.plain((ENGINE / "install" / _LOADER).read_bytes())),
        ("index.json", StoredEntry.plain(document)),
    ]
    file = io.BytesIO()
    write_entries(file, entries + sorted(blobs.items()))
    return file.getvalue()


def _engine_files(blobs: Dict[str, StoredEntry]) -> Dict[str, str]:
    names = sorted(path.relative_to(ENGINE).as_posix() for path in ENGINE.rglob("*.py"))
    contents = [("engine/" + name, (ENGINE / name).read_bytes()) for name in names]
    return {name: _add(blobs, StoredEntry.plain(data), data) for name, data in contents}


def _wheel_files(path: Path, blobs: Dict[str, StoredEntry]) -> Dict[str, str]:
    """The files of a wheel that the program carries, each with the name of its entry."""
    files: Dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in sorted(archive.infolist(), key=lambda one: one.filename):
                if _is_needed(info.filename):
                    entry, content = take_over(archive, info)
                    files[info.filename] = _add(blobs, entry, content)
    except UNREADABLE as error:
        raise BundleWheelDamaged(path="%s (%s)" % (path, error), sha256=hash_file(path)) from None
    return files


def _is_needed(name: str) -> bool:
    if not _NAME.fullmatch(name) or ".." in name.split("/"):
        return False  # folders end in a slash
    if ".dist-info/" in name:
        return _KEPT_OF_RECORDS.fullmatch(name) is not None
    return not _LEFT_OUT.fullmatch(name)


def _add(blobs: Dict[str, StoredEntry], entry: StoredEntry, content: bytes) -> str:
    """Keep a content once. Of two ways to compress it the first one in the order of wheels stays, as it always does."""
    name = "b/" + hashlib.sha256(content).hexdigest()[:32]
    blobs.setdefault(name, entry)
    return name


def entries_of(path: str) -> Tuple[str, List[str]]:
    """Return the version and the platforms of a program that was built.

    :raises BundleFailed: when it is none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            index = json.loads(archive.read("index.json").decode("ascii"))
        return str(index["version"]), sorted(index["platforms"])
    except (*UNREADABLE, TypeError) as error:
        raise BundleFailed(path=path, reason="it is not a recovery program: %s" % error) from None
