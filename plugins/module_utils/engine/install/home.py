# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's folder on a device: made, locked, and changed so that a kill at any moment leaves something whole.

It goes with the installer, so its syntax is that of Python 3.6.
"""

import contextlib
import errno
import os
import secrets
import shutil
from typing import Iterator, List, Optional

from ..errors import (
    BundleInvalid,
    InstallationBusy,
    InstallationFailed,
    InstallationFull,
    InstallationRunLives,
    InstallationUnsafe,
)
from ..host.locks import is_locked, lock_exclusive
from . import probe
from .bundle_document import MAX_DOCUMENT_BYTES, read_document

_FULL = (errno.ENOSPC, errno.EDQUOT)
UNFINISHED = ".new-"


@contextlib.contextmanager
def told(base: str) -> Iterator[None]:
    """Turn what the operating system refuses into one error of the catalogue."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise InstallationFull(base=base) from None
        raise InstallationFailed(path=error.filename or base, reason=error.strerror or str(error)) from None


class Home:
    """A base that is there, is ours alone, and is locked for this process."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.parts = os.path.join(base, "parts")
        self.versions = os.path.join(base, "versions")

    def version(self, identity: str) -> str:
        """Return the folder of an installation."""
        return os.path.join(self.versions, identity)

    def prepare(self) -> None:
        """Make what every installation needs, and delete what a killed one left."""
        for folder in (self.parts, self.versions):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        self.sweep()

    def sweep(self) -> None:
        """Delete everything unfinished. No other process works here: the base is locked."""
        for folder in (self.base, self.parts, self.versions):
            for name in os.listdir(folder) if os.path.isdir(folder) else []:
                if name.startswith(UNFINISHED):
                    delete(os.path.join(folder, name))

    def unfinished(self) -> str:
        """Return a path for an installation in the making."""
        return os.path.join(self.versions, UNFINISHED + secrets.token_hex(8))

    def publish(self, folder: str, identity: str) -> None:
        """Make a whole installation visible under its id; a broken one of the same id makes way."""
        sync_tree(folder)
        target = self.version(identity)
        if os.path.lexists(target):
            os.rename(target, self.unfinished())
        os.rename(folder, target)
        sync(self.versions)

    def write(self, **texts: str) -> None:
        """Replace small files, each as a whole, in the order given, and only when there is room for all of them."""
        written = []
        for name, text in texts.items():
            temporary = os.path.join(self.base, UNFINISHED + secrets.token_hex(8))
            with open(temporary, "x", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            written.append((temporary, os.path.join(self.base, name)))
        for temporary, target in written:
            os.replace(temporary, target)
        sync(self.base)

    def activate(self, identity: str) -> Optional[str]:
        """Let ``current`` name the installation and ``previous`` the one before; return that."""
        current = probe.read_name(self.base, "current")
        if current == identity:
            return None
        if current is None:
            self.write(current=identity + "\n")
        else:
            # In this order: a kill in between leaves the old one in use.
            self.write(previous=current + "\n", current=identity + "\n")
        return current

    def prune(self) -> None:
        """Delete installations and parts that nothing refers to any more; not while a run lives, which may use them."""
        if self.run_lives():
            return
        kept = {probe.read_name(self.base, "current"), probe.read_name(self.base, "previous")}
        needed = set()
        for identity in probe.names(self.versions, probe.IDENTITY):
            if identity in kept:
                needed.update(self._parts_of(identity))
            else:
                # Renamed first, so that half a folder is never seen under an id.
                os.rename(self.version(identity), self.unfinished())
        for name in os.listdir(self.parts):
            if name not in needed:
                os.unlink(os.path.join(self.parts, name))
        self.sweep()

    def _parts_of(self, identity: str) -> List[str]:
        try:
            with open(os.path.join(self.version(identity), "bundle.json"), "rb") as file:
                document = read_document(file.read(MAX_DOCUMENT_BYTES + 1), "bundle.json")
        except (FileNotFoundError, BundleInvalid):  # damaged since: the next installation brings the parts again
            return []
        return [part.sha256 for part in document.parts]

    def run_lives(self) -> bool:
        """Return whether a runner holds ``run.lock``."""
        try:
            descriptor = os.open(os.path.join(self.base, "run.lock"), os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            return is_locked(descriptor)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def no_run(self) -> Iterator[None]:
        """Keep runs from starting.

        :raises InstallationRunLives: when one lives.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        descriptor = os.open(os.path.join(self.base, "run.lock"), flags, 0o600)
        try:
            if not lock_exclusive(descriptor):
                raise InstallationRunLives(base=self.base)
            yield
        finally:
            os.close(descriptor)

    def demolish(self) -> None:
        """Delete the base, and the directories above it that were made for it, as far as they are empty.

        ``current`` goes first: from then on nothing here is used. ``made`` goes last, so that a killed removal can continue.
        """
        made = self._made()
        for name in ("current", "previous"):
            delete(os.path.join(self.base, name))
        sync(self.base)
        for name in sorted(os.listdir(self.base)):
            if name != "made":
                delete(os.path.join(self.base, name))
        delete(os.path.join(self.base, "made"))
        os.rmdir(self.base)
        for folder in made:
            try:
                os.rmdir(folder)
            except OSError:  # another process uses it by now
                return

    def _made(self) -> List[str]:
        try:
            with open(os.path.join(self.base, "made"), encoding="utf-8") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []


def make_base(base: str) -> None:
    """Make the base and what lacks above it.

    :raises InstallationUnsafe: when another user could change the files.
    """
    check(base)
    if os.path.isdir(base):
        return
    lacking = []
    folder = os.path.dirname(base)
    while not os.path.lexists(folder):
        lacking.append(folder)
        folder = os.path.dirname(folder)
    for folder in reversed(lacking):
        os.mkdir(folder, 0o755)
    os.mkdir(base, 0o700)
    os.chmod(base, 0o700)
    if lacking:
        Home(base).write(made="".join(folder + "\n" for folder in lacking))
    check(base)


def check(base: str) -> None:
    """:raises InstallationUnsafe: when another user could change the files in ``base``."""
    found = probe.distrust(base)
    if found is not None:
        raise InstallationUnsafe(base=base, path=found.path, reason=found.reason)


@contextlib.contextmanager
def locked(base: str) -> Iterator[Home]:
    """Open a base that exists, for this process alone.

    :raises InstallationBusy: when another process works there, or has just removed it.
    """
    descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if (
            not lock_exclusive(descriptor)
            or not os.path.isdir(base)
            or not os.path.samestat(os.fstat(descriptor), os.stat(base))
        ):
            raise InstallationBusy(base=base)
        yield Home(base)
    finally:
        os.close(descriptor)


def delete(path: str) -> None:
    """Delete a file or a tree; what is not there is deleted already."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def sync(path: str) -> None:
    """Have a file, or the names in a directory, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: str) -> None:
    """Have a whole tree on the disk, the directories after what is in them."""
    for inside, dummy_folders, files in os.walk(folder, topdown=False):
        for name in files:
            sync(os.path.join(inside, name))
        sync(inside)
