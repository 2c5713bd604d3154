# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of the image that a run makes: claimed for this run alone, filled, published by its manifest.

Two things may happen to it while the run works: a sweep on another host treats it as debris of a killed run and moves
the whole directory away, or this run sleeps so long that another one takes the same name. In both cases the next file
of this run finds no directory, or a file of another run. Then the run stores all files again under a new name: a
manifest is only ever published next to files that all come from this run.
"""

from __future__ import annotations

import contextlib
import hashlib
from datetime import datetime, timedelta
from typing import Callable, Container, Dict, List, Mapping, Tuple

from ..errors import StorageExists, StorageFailed, StorageNotFound, StoragePermissionDenied
from ..storage.contract import Storage
from ..storage.shared_connect import together
from .device_directory import DeviceDirectory
from .format import constants as fmt
from .format.packs import fingerprint
from .newest import NAME_PATTERN, horizon
from .writing.sender import store_verified

_CLAIMS = 20
_TAKEN_BACK = "image.json.taken-back"


class FolderLost(Exception):
    """The directory is not this run's any more. Never leaves the writer."""


class Overtaken(FolderLost):
    """Another run has committed under a later name, or a number that is not below ours."""


class Withdrawn(FolderLost):
    """The image was published and is none: what it needs is not there, or its manifest is not what was written."""

    def __init__(self, image: str, reason: str, is_gone: bool) -> None:
        stays = "it was removed" if is_gone else "this account can't remove it, so it is marked as damaged"
        super().__init__("The image %s is not usable: %s; %s, and the run commits another." % (image, reason, stays))
        self.reason = reason


class ImageFolder:
    """A claimed directory; ``name`` is the image's name."""

    def __init__(
        self,
        directory: DeviceDirectory,
        wanted: str,
        sleep: Callable[[float], None],
        newest: Callable[[], str] = lambda: "",
        last: str = "",
        proves: bool = False,
    ) -> None:
        """
        :param newest: returns the name of the newest image that counts, "" where there is none.
        :param last: the last name that is plausible now; no later one of others moves ours.
        :param proves: whether a key proves the images that count: then no other name at all moves ours.
        """
        self._directory = directory
        self._newest = newest
        self._last = "" if proves else last or horizon(wanted)
        self._storage: Storage = directory.storage
        self._wanted = wanted
        self._sleep = sleep
        self.name = ""
        self._may_replace = True
        self._stored_checkpoints: List[str] = []
        self._checkpoints: Dict[str, Tuple[int, int]] = {}  # how often one was to be stored, and after which was

    def claim(self) -> None:
        """Take an unused name, after that of the newest image. A name that no image proves is only skipped: any name
        where a key proves images, else one in the future.

        :raises StorageFailed: when other runs take every chosen name first.
        """
        refused: List[str] = []
        for dummy in range(_CLAIMS):
            # Names of directories in the trash stay taken: a run that still works in one finds no other in its place.
            taken = [one.image for one in self._directory.put_aside()]
            names = {*self._directory.image_names(), *taken, *refused}
            likely = [one for one in names if one <= self._last]
            name = next_name(self._wanted, max([self._newest(), *likely]), names)
            try:
                self._storage.make_directory(self._directory.path(name), exclusive=True)
            except StorageExists:
                refused.append(name)  # another run's directory, or a foreign file
                continue
            self.name = name
            return
        raise StorageFailed(
            storage=self._storage.description,
            operation="creating a directory for the image in",
            path=self._directory.device,
            reason="other runs claim each name first",
        )

    def path(self, *names: str) -> str:
        return self._directory.path(self.name, *names)

    def make_directory(self, name: str) -> None:
        try:
            self._storage.make_directory(self.path(name), exclusive=True)
        except StorageExists:
            return  # ours from before, or another run's: the files in it tell
        except StorageNotFound as error:
            raise FolderLost from error

    def store(self, name: str, data: bytes) -> str:
        """Store a file, prove it by reading back, and return its SHA-256.

        :raises FolderLost: when the directory was taken away, or holds another run's file of this name.
        """
        digest = hashlib.sha256(data).hexdigest()
        try:
            store_verified(self._storage, self.path(name), [data], fingerprint([data]), self._sleep, replace=False)
        except (StorageExists, StorageNotFound) as error:
            raise FolderLost from error
        return digest

    def store_all(self, contents: Mapping[str, bytes]) -> Dict[str, str]:
        """The same for files that belong together, in no order; return the SHA-256 of each by its name."""
        names = list(contents)
        return dict(zip(names, together(self._storage, lambda name: self.store(name, contents[name]), names)))

    def store_checkpoint(self, name: str, seal: Callable[[str], bytes]) -> None:
        """Store a checkpoint that a later run may continue from; a directory that was swept is claimed again.

        Without it no data are lost, but the next run reads all uploaded packs to prove them. Where a sweep is quicker,
        the next checkpoint replaces this one. An account that may only create stores one under the next number whenever
        a quarter more is done.

        :param seal: makes the bytes for an image of the given name.
        """
        for is_last in (False, True):
            try:
                if self._may_replace:
                    self._storage.put(self.path(name), [seal(self.name)], replace=True)
                    if self.path(name) not in self._stored_checkpoints:
                        self._stored_checkpoints.append(self.path(name))
                else:
                    self._store_numbered(name, seal)
            except StoragePermissionDenied:
                self._may_replace = False
            except StorageNotFound:
                if is_last:
                    return
                self.claim()
            else:
                return

    def take_back(self) -> bool:
        """Rename the manifest away, so that this directory holds no image; False where the account may not."""
        manifest = self.path(fmt.MANIFEST_NAME)
        for away in (self.path(_TAKEN_BACK), self.path(_TAKEN_BACK + ".2")):
            try:
                self._storage.rename(manifest, away)
            except StorageExists:
                continue
            except StorageNotFound:
                return True  # it never came to be there, or a sweep took the directory
            except StoragePermissionDenied:
                return False
            if not self._storage.exists(manifest):
                return True
        with contextlib.suppress(StorageNotFound, StoragePermissionDenied):
            self._storage.delete(manifest)
        return not self._storage.exists(manifest)

    def delete_checkpoints(self) -> None:
        """Those that were stored under the present name; what an account may not delete goes with its image."""
        for path in self._stored_checkpoints:
            try:
                self._storage.delete(path)
            except StorageNotFound:
                continue
            except StoragePermissionDenied:
                break
        self._stored_checkpoints = []

    def _store_numbered(self, name: str, seal: Callable[[str], bytes]) -> None:
        asked, stored_at = self._checkpoints.get(name, (0, 0))
        if (asked + 1) * 4 >= stored_at * 5:
            stored_at = asked + 1
            path = "%s.%d" % (self.path(name), stored_at)
            self._storage.put(path, [seal(self.name)])
            self._stored_checkpoints.append(path)
        self._checkpoints[name] = (asked + 1, stored_at)


def next_name(wanted: str, newest: str, taken: Container[str]) -> str:
    """A name for the new image: ``wanted``, or a second after ``newest`` where the clock lags behind it; the next that is free."""
    moment = datetime.strptime(wanted, NAME_PATTERN)
    if wanted <= newest:
        with contextlib.suppress(ValueError, OverflowError):
            moment = datetime.strptime(newest, NAME_PATTERN) + timedelta(seconds=1)
    while moment.strftime(NAME_PATTERN) in taken:
        moment += timedelta(seconds=1)
    return moment.strftime(NAME_PATTERN)
