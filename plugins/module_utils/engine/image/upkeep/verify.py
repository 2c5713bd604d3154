# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifies an image: quick (names and sizes), storage (SHA-256, no password), full (the restore code into nowhere)."""

from __future__ import annotations

import contextlib
import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Callable, Collection, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from ...errors import ImageDamaged, ImageError, StorageExists, StorageNotFound, StoragePermissionDenied
from ...storage.contract import Storage
from ...storage.shared_connect import together
from ..access import key_for_reading, newest_image
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.keys import MasterKey
from ..format.manifest import Manifest, packs_digest
from ..format.pack_names import NamesOfPacks
from ..format.sums import Sums
from ..parallel_map import in_order
from ..reader import ImageReader
from ..second_look import LOOKS, damage_of
from ..verify_levels import Level
from .packs_of_image import proved_packs_of
from .restore_from_trash import restore_from_trash, trashed_copies, whole_of
from .verified import good_since, record_verification
from .verify_beside import manifest_is_copied, problems_beside, problems_of_sums

_MOST_TOLD = 1000  # missing packs, by name: a false image may list a million
_MOST_BAD = 4096  # damaged packs that are named and taken out of use by one verify
_HASHERS = 2
_HASHERS_OVER_A_LINE = 6  # most of them wait for a round trip
Progress = Callable[[str, int, int], None]


class VerifyReport(NamedTuple):
    """The findings. ``problems`` are sentences for the user; none means that the image is intact."""

    image: str
    level: Level
    problems: List[str]
    bad_packs: List[str]
    checked_bytes: int
    warnings: List[str] = []
    good_since: Optional[str] = None  # UTC; of an intact image whose first verification this is not

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_dict(self) -> Dict[str, Any]:
        return dict(self._asdict(), ok=self.ok)


def verify_image(
    storage: Storage,
    device: str,
    image: str,
    level: Level,
    *,
    password: Optional[str] = None,
    progress: Progress = lambda phase, done, total: None,
    record: bool = True,
    beside: bool = True,
    job: Optional[str] = None,
    key: Optional[MasterKey] = None,
) -> VerifyReport:
    """Verify ``image`` ("latest" or a name). A bad pack is taken out of use, so that the next run heals it.

    :param beside: whether the device's own key slots are hashed as well; the image does not need them.
    :param job: of which job the newest is meant where ``image`` is ``latest``; ``None`` for any.
    :param key: the image's key, where it is known already.

    :raises EngineError: when the image can't even be looked at (``ImageNotFound``, ``Password*``, storage failures).
    """
    directory = DeviceDirectory(storage, device)
    newest = newest_image(directory, password, job) if image == "latest" else None
    manifest = newest.manifest if newest is not None else directory.find_image(image)
    if newest is not None and newest.key is not None:
        key = newest.key
    if password or key is not None or level == "full":  # what a password was given for must be what it proves
        key = key_for_reading(directory, manifest, password, key)
    check = _Check(directory, manifest, progress, may_move=record, key=key)
    if level == "full":
        check.contents(password)
    if level in ("storage", "full"):
        check.stored(beside)
    else:
        check.names_and_sizes()
    check.count_more()
    if record:
        check.take_out_of_use()
    warnings = newest.warnings if newest is not None else []
    bad = sorted(check.bad_packs)
    since = good_since(directory, manifest.image, level, key) if not check.problems else ""
    checked_bytes = check.checked_bytes if level == "full" else check.stored_bytes
    report = VerifyReport(manifest.image, level, check.problems, bad, checked_bytes, warnings, since or None)
    if record:
        # A rollover may delete them at the same time, and a foreign file may be in their place: the pin moves that
        # aside.
        with contextlib.suppress(StoragePermissionDenied, StorageNotFound, StorageExists):
            facts: Dict[str, Any] = {"level": level, "ok": report.ok, "problems": report.problems[:20]}
            if check.has_false_index:
                facts["index"] = "false"
            record_verification(directory, manifest.image, facts, key, since)
    return report


class _Check:
    def __init__(
        self,
        directory: DeviceDirectory,
        manifest: Manifest,
        progress: Progress,
        may_move: bool,
        key: Optional[MasterKey],
    ) -> None:
        self.may_move = may_move
        self.key = key
        self.directory = directory
        self.storage = directory.storage
        self.manifest = manifest
        self.progress = progress
        self.problems: List[str] = []
        self.bad_packs: Dict[str, str] = {}  # with the sentence about each
        self.checked_bytes = 0  # of the disks' content
        self.stored_bytes = 0  # of the packs
        self.has_bad_content = False
        self._missing = self._more_bad = 0

    @property
    def has_false_index(self) -> bool:
        """Whether every pack matches its name, but differs from the index."""
        return self.has_bad_content and not self.bad_packs and not self._missing

    def sums(self) -> Sums:
        """The files that the manifest names, and the packs that it proves. Where the list differs, the list is damaged;
        the packs are checked nevertheless."""
        expected = self.expected_files()
        path = self.directory.path(self.manifest.image, fmt.SUMS_NAME)
        for look in range(LOOKS):
            if look:
                with contextlib.suppress(StorageNotFound):
                    self.storage.look_anew(path)
            listed, problems = self._listed(expected)
            if not problems:
                break
        self.problems += problems
        packs: Optional[Collection[str]] = listed.packs
        if packs_digest(listed.packs) != self.manifest.packs_sha256:
            packs = proved_packs_of(self.directory, self.manifest, self.key)
        if packs is None:
            self.problems.append(
                "Without SHA256SUMS and the password the packs of this image are unknown; verify it with the password."
            )
            packs = listed.packs
        manifest_digest = listed.files.get(fmt.MANIFEST_NAME)
        if manifest_digest is None:  # what was read and parsed, and proved where there is a key
            manifest_digest = hashlib.sha256(self.directory.manifest_bytes(self.manifest.image)).hexdigest()
        # The hashes are compared with the manifest, which is proved where there is a password.
        return Sums({**expected, fmt.MANIFEST_NAME: manifest_digest}, packs)

    def _listed(self, expected: Dict[str, str]) -> Tuple[Sums, List[str]]:
        """SHA256SUMS, empty where it can't be read, and what is wrong with it."""
        try:
            listed = self.directory.sums(self.manifest.image)
        except ImageDamaged as error:
            return Sums({}, []), [str(error)]
        problems = []
        if len(listed.packs) != self.manifest.pack_count or packs_digest(listed.packs) != self.manifest.packs_sha256:
            problems.append("SHA256SUMS and the manifest list different packs.")
        if set(listed.files) != {fmt.MANIFEST_NAME, *expected}:
            problems.append("SHA256SUMS and the manifest list different files.")
        return listed, problems + problems_of_sums(self.manifest, listed)

    def expected_files(self) -> Dict[str, str]:
        """The SHA-256 of each file that the manifest names."""
        expected = dict(self.manifest.files)
        expected.update({fmt.index_name(number): disk.index_sha256 for number, disk in enumerate(self.manifest.disks)})
        expected.update({"%s/%s" % (fmt.KEYS, slot): slot[: -len(".json")] for slot in self.manifest.slots})
        return expected

    def names_and_sizes(self) -> None:
        listed = self.sums()
        problems_before = len(self.problems)
        present = self.directory.packs()
        size_bytes = sum(present[pack] for pack in listed.packs if pack in present)
        for path in self._paths_of_missing(pack for pack in listed.packs if pack not in present).values():
            size_bytes += self.storage.stat(path).size_bytes
        is_known = packs_digest(listed.packs) == self.manifest.packs_sha256
        if is_known and len(self.problems) == problems_before and size_bytes != self.manifest.pack_bytes:
            self.problems.append("The packs have %d bytes, not %d." % (size_bytes, self.manifest.pack_bytes))
        index_bytes = {fmt.index_name(n): disk.index_bytes for n, disk in enumerate(self.manifest.disks)}
        names = list(listed.files)
        for name, there_bytes in zip(names, together(self.storage, self._size_of, names)):
            if there_bytes is None:
                self.problems.append("%s is missing." % name)
            elif there_bytes != index_bytes.get(name, there_bytes):
                self.problems.append("%s has %d bytes, not %d." % (name, there_bytes, index_bytes[name]))

    def _size_of(self, name: str) -> Optional[int]:
        """The size of a file of the image, ``None`` where it is missing."""
        try:
            return self.storage.stat(self.directory.path(self.manifest.image, name)).size_bytes
        except StorageNotFound:
            return None

    def stored(self, beside: bool) -> None:
        """Hash every file and pack: what ``sha256sum -c SHA256SUMS`` does; ``beside``: and the files beside the image."""
        listed = self.sums()
        if beside:
            self.problems += problems_beside(self.directory, self.manifest, listed)
        files = sorted(listed.files.items())
        self.problems += filter(None, together(self.storage, self._file_problem, files))
        present = self.directory.packs()
        trashed = self._paths_of_missing(pack for pack in listed.packs if pack not in present)
        done_bytes, total_bytes = 0, self.manifest.pack_bytes
        vanished = NamesOfPacks()
        there = (pack for pack in listed.packs if pack in present or pack in trashed)
        for pack, problem in self._pack_problems(there, trashed):
            done_bytes += present.get(pack, 0)
            self.progress("verifying", min(done_bytes, max(0, total_bytes - 1)), total_bytes)
            if problem is None:
                vanished.add(pack)
            elif problem:
                self._call_bad(pack, problem)
        # A rollover may move packs to the trash during the hashing and, when it sees that they are needed, back.
        for pack, path in self._paths_of_missing(vanished.done()).items():
            again = self._problem(path, pack, "The pack %s" % pack)
            if again:
                self._call_bad(pack, again)
        self.stored_bytes = done_bytes
        self.progress("verifying", total_bytes, total_bytes)

    def _call_bad(self, pack: str, problem: str) -> None:
        if len(self.bad_packs) < _MOST_BAD:
            self.problems.append(problem)
            self.bad_packs[pack] = problem
        else:
            self._more_bad += 1

    def count_more(self) -> None:
        """Say how many packs are damaged or missing beside those that are named."""
        if self._more_bad:
            self.problems.append(
                "%d more packs are damaged; verify the image again to take them out of use." % self._more_bad
            )
        if self._missing > _MOST_TOLD:
            self.problems.append("%d more packs are missing." % (self._missing - _MOST_TOLD))

    def _pack_problems(self, packs: Iterable[str], paths: Dict[str, str]) -> Iterator[Tuple[str, Optional[str]]]:
        """Yield each pack with its fault, in order, None where it is not there; several are read and hashed at a time.

        :param paths: of those that are not in their places.
        """
        calls = (
            partial(self._pack_problem, pack, paths.get(pack) or fmt.pack_path(self.directory.device, pack))
            for pack in packs
        )
        hashers = _HASHERS if self.storage.parallel_calls == 1 else _HASHERS_OVER_A_LINE
        with ThreadPoolExecutor(hashers, thread_name_prefix="pack hasher") as executor:
            yield from in_order(executor, calls, 2 * hashers + 1)

    def contents(self, password: Optional[str]) -> None:
        """Run the restore code into nowhere, disk by disk."""
        reader = ImageReader(self.storage, self.directory.device, self.manifest.image, password)
        total = self.manifest.in_use_bytes
        for number in range(len(self.manifest.disks)):
            try:
                disk = reader.disk(number)
                disk.prove_index()
                for piece in disk.stream():
                    self.checked_bytes += piece.length_bytes
                    # The progress counts chunks, of which only a part may be in use: the final figure is reported once,
                    # below.
                    self.progress("verifying", min(self.checked_bytes, max(0, total - 1)), total)
            except (ImageError, StorageNotFound) as error:
                self.problems.append(str(error))
                self.has_bad_content = True
        self.progress("verifying", total, total)
        for name in self.manifest.files:
            try:
                reader.document(name)
            except ImageDamaged as error:
                self.problems.append(str(error))

    def take_out_of_use(self) -> None:
        """Move the damaged packs to the trash; where an intact copy is there it takes the place, and the fault is
        repaired.

        The findings hold for an account that may only read, too; the operator's verify records them.
        """
        tried: Set[str] = set()
        with contextlib.suppress(StoragePermissionDenied):
            for pack in sorted(self.bad_packs):
                with contextlib.suppress(StorageNotFound):  # another verify was quicker
                    self.directory.move_to_trash(pack, None)
                tried.add(pack)
        for pack in restore_from_trash(self.directory, tried):
            self.problems.remove(self.bad_packs.pop(pack))

    def _paths_of_missing(self, packs: Iterable[str]) -> Dict[str, str]:
        """Where packs that are not in their places are after all: back from the trash, or in it where nothing may be moved.

        One listing of the trash serves them all; the packs that are nowhere become problems.
        """
        names = NamesOfPacks()
        for pack in packs:
            names.add(pack)
        if not names.count:
            return {}
        missing = names.done()
        copies = trashed_copies(self.directory, missing)
        back = restore_from_trash(self.directory, missing, found=copies) if self.may_move else set()
        found: Dict[str, str] = {}
        for pack in sorted(missing) if isinstance(missing, frozenset) else missing:  # many come in order
            place = fmt.pack_path(self.directory.device, pack)
            trashed = () if pack in back else whole_of(self.directory, copies.get(pack, []))
            path = next(iter(trashed), place)
            if path == place and pack not in back and not self.storage.exists(place):  # else another run was quicker
                self._missing += 1
                if self._missing <= _MOST_TOLD:
                    self.problems.append("The pack %s is missing." % pack)
            else:
                found[pack] = path
        return found

    def _pack_problem(self, pack: str, path: str) -> Tuple[str, Optional[str]]:
        """Hash a pack; the problem is None when it is not there."""
        try:
            return pack, self._damage(path, pack, "The pack %s" % pack)
        except StorageNotFound:
            return pack, None

    def _file_problem(self, listed: Tuple[str, str]) -> str:
        name, digest = listed
        problem = self._problem(self.directory.path(self.manifest.image, name), digest, name)
        if problem and name == fmt.MANIFEST_NAME and manifest_is_copied(self.directory, self.manifest):
            return "SHA256SUMS is damaged: it does not list %s." % name
        return problem

    def _problem(self, path: str, digest: str, name: str) -> str:
        """Say what is wrong with a file, "" when it is intact."""
        try:
            return self._damage(path, digest, name)
        except StorageNotFound:
            return "%s is missing." % name

    def _damage(self, path: str, digest: str, name: str) -> str:
        reason = damage_of(self.storage, path, digest)
        return "%s is damaged: %s." % (name, reason) if reason else ""
