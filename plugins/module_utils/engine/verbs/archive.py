# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``archive``: check an image in as a version, examine the versions, compare two of them."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any, Dict, List, Optional

from ..device.identity import refuse_twins
from ..errors import ImageNotFound
from ..image.access import openable_key
from ..image.archive.chain import Chain
from ..image.archive.check_in import CheckIn, Order, State, state_of
from ..image.archive.examine import examine
from ..image.archive.rhythm import is_due, last_of_job
from ..image.archive.version_record import Version
from ..image.copying.source import CopySource, open_source
from ..image.device_directory import DeviceDirectory
from ..image.newest import few
from ..image.writing.rates import TokenBucket
from ..storage.contract import Storage
from ..storage.open import open_storage
from .archive_compare import compare_versions
from .archive_place import refuse_same_place
from .request_archive import ArchiveRequest
from .run_status import RunStatus


def archive(storage: Storage, request: ArchiveRequest, status: RunStatus) -> Dict[str, Any]:
    """Do what the request's state says.

    :raises ArchiveError, CopyError: what was refused; no image of the storage is changed in any case.
    """
    refuse_same_place(request.device, request.storage, request.archive)
    with ExitStack() as stack:
        target = open_storage(request.archive.as_mapping(), status.warn, status.cancelled, status.notices)
        stack.callback(target.close)
        if request.state == "verified":
            return _examine(storage, target, request, status)
        if request.state == "compared":
            return compare_versions(target, request)
        return _check_in(storage, target, request, status)


# -- check in ---------------------------------------------------------------------------------------------------------


def _check_in(storage: Storage, target: Storage, request: ArchiveRequest, status: RunStatus) -> Dict[str, Any]:
    started = time.monotonic()
    directory = DeviceDirectory(storage, request.device)
    archived = DeviceDirectory(target, request.device)
    if request.coming:
        return _foretell(directory, archived, request, status)
    source = open_source(directory, request.image, request.passwords.password, request.job)
    refuse_twins(target, request.device)
    bucket = TokenBucket(request.limit_io_bytes, cancelled=status.cancelled)
    work = CheckIn(
        source,
        target,
        Order(request.comment, request.author, request.keep_source),
        limit=bucket.take,
        cancelled=status.cancelled,
        progress=status.progress,
        notices=status.notices,
    )
    state = work.look()
    _tell(state, status)
    told = _told(source, target, request)
    there = work.present(state)
    if there is None:
        last = last_of_job(state.chain, source.manifest.job)
        if not is_due(source.image, last, request.every_seconds):
            return dict(told, **_skipped(last, state.chain), warnings=source.warnings)
    if request.check:
        return dict(told, **_plan(work, state), warnings=source.warnings)
    done = work.run()
    warnings = (
        source.warnings + work.warnings + _unproved(source) + _other_comment(done.record.version, request, done.is_new)
    )
    after = _lines(state.chain) + ("" if there is not None else _line(done.record.version))
    return dict(
        told,
        **_version(done.record.version),
        changed=done.changed,
        not_due=False,
        packs_copied=done.copied.packs_copied,
        bytes_copied=done.copied.bytes_copied,
        bytes_kept=done.copied.bytes_kept,
        diff={"before": _lines(state.chain), "after": after},
        warnings=warnings,
        seconds=round(time.monotonic() - started, 1),
    )


def _told(source: CopySource, target: Storage, request: ArchiveRequest) -> Dict[str, Any]:
    return {
        "device": request.device,
        "image": source.image,
        "archive": target.description,
        "authenticated": None if not source.manifest.key_id else source.key is not None,
        "bytes": source.manifest.pack_bytes,
        "packs": len(source.packs),
    }


def _version(version: Optional[Version]) -> Dict[str, Any]:
    if version is None:
        return {"version": None, "comment": "", "author": "", "checked_in": None}
    return {
        "version": version.number,
        "comment": version.comment,
        "author": version.author,
        "checked_in": version.checked_in,
    }


def _skipped(last: Optional[Version], chain: Chain) -> Dict[str, Any]:
    """The result for an image that is not checked in, because the newest version is too recent."""
    lines = _lines(chain)
    return dict(_version(last), changed=False, not_due=True, diff={"before": lines, "after": lines})


def _plan(work: CheckIn, state: State) -> Dict[str, Any]:
    """Check mode: refuse what the check-in would refuse, and say what it would do."""
    found = work.check()
    there = work.present(state)
    number = there.record.version.number if there is not None else state.next_number
    before = _lines(state.chain)
    version = _version(there.record.version) if there is not None else {"version": number}
    source = work.source
    return dict(
        version,
        changed=there is None or not found.is_complete,
        not_due=False,
        packs_to_copy=len(found.packs),
        bytes_to_copy=max(0, source.manifest.pack_bytes - found.kept_bytes) if found.packs else 0,
        diff={"before": before, "after": before if there is not None else before + "v%d %s\n" % (number, source.image)},
    )


def _foretell(
    directory: DeviceDirectory, archived: DeviceDirectory, request: ArchiveRequest, status: RunStatus
) -> Dict[str, Any]:
    """Report the version that the image of the coming run would become (check mode)."""
    state = state_of(archived, directory, openable_key(directory, request.passwords.password))
    _tell(state, status)
    name = time.strftime("%Y-%m-%d_%H-%M-%S")
    last = last_of_job(state.chain, request.job or "")
    told = {"device": request.device, "image": None, "archive": archived.storage.description}
    if not is_due(name, last, request.every_seconds):
        return dict(told, **_skipped(last, state.chain), warnings=[])
    number, before = state.next_number, _lines(state.chain)
    diff = {"before": before, "after": before + "v%d (the image of this run)\n" % number}
    return dict(told, version=number, changed=True, not_due=False, diff=diff, warnings=[])


def _tell(state: State, status: RunStatus) -> None:
    for text in few([problem.sentence for problem in state.problems]):
        status.warn("The archive was tampered with or is damaged. %s" % text)


def _unproved(source: CopySource) -> List[str]:
    if source.key is not None:
        return []
    why = "no password was given" if source.manifest.key_id else "the image is not encrypted"
    return [
        "The version is not authenticated, because %s: a chain of hashes alone protects its number, comment and author."
        % why
    ]


def _other_comment(version: Version, request: ArchiveRequest, is_new: bool) -> List[str]:
    if is_new or not request.comment or request.comment == version.comment:
        return []
    return ["The image %s is version %d already; its comment can't be changed." % (version.image, version.number)]


def _lines(chain: Chain) -> str:
    return "".join(_line(link.record.version) for link in chain.links)


def _line(version: Version) -> str:
    return "v%d %s\n" % (version.number, version.image)


# -- verify -----------------------------------------------------------------------------------------------------------


def _examine(storage: Storage, target: Storage, request: ArchiveRequest, status: RunStatus) -> Dict[str, Any]:
    """Name each version that is not what was checked in.

    :raises ImageNotFound: when the archive has nothing of the device, and the storage knows of no version.
    """
    archived, directory = DeviceDirectory(target, request.device), DeviceDirectory(storage, request.device)
    password = request.passwords.password
    key = openable_key(archived, password) or openable_key(directory, password)
    if password and key is None:
        status.warn("The password opens no key slot of %s; the versions are not authenticated." % request.device)
    state = state_of(archived, directory, key)
    if not state.chain.links and not state.problems:
        raise ImageNotFound(device=request.device, image="at all", storage=target.description)
    found = examine(archived, state.chain, state.problems)
    for text in state.chain.notes:
        status.warn(text)
    return {
        "changed": False,
        "device": request.device,
        "archive": target.description,
        "ok": not found.problems,
        "problems": found.sentences,
        "versions": found.versions(),
        "authenticated": all(link.is_proved for link in found.chain.links) if key is not None else None,
    }
