# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``copy``: an image with all that a recovery needs, in a directory that needs nothing else."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import Any, Callable, Dict, Optional

from ..device.identity import refuse_twins
from ..errors import (
    BundleFailed,
    CopyTargetFull,
    CopyTargetInvalid,
    EngineError,
    StorageFull,
    StorageNotFound,
)
from ..guide.facts import Facts, facts_of
from ..guide.page import html_page
from ..guide.text import text_page
from ..image.copying.copy import Copied, ImageCopy, copies_there, pins_of
from ..image.copying.directory_sums import refuse_foreign_sums, sweep_top, write_directory_sums
from ..image.copying.packs import store_file
from ..image.copying.source import CopySource, open_source
from ..image.device_directory import DeviceDirectory
from ..image.format import constants as fmt
from ..image.format import documents
from ..image.format.keys import MasterKey
from ..image.newest import few
from ..image.reader import ImageReader
from ..image.writing.rates import TokenBucket
from ..install.recovery_program import PROGRAM_NAME, cached_program
from ..storage.contract import Storage
from ..storage.local.storage import DirectoryStorage
from ..storage.open import open_storage
from .request import CopyRequest
from .run_status import RunStatus

PAGE_NAMES = ("RECOVERY.html", "RECOVERY.txt")
_MAX_PROGRAM_BYTES = 512 << 20


def copy(storage: Storage, request: CopyRequest, status: RunStatus) -> Dict[str, Any]:
    """Copy one image; in check mode say what would be copied.

    :raises CopyError: what was refused; nothing of the source is changed in any case.
    """
    started = time.monotonic()
    device, check = request.device, request.check
    source = open_source(DeviceDirectory(storage, device), request.image, request.passwords.password, request.job)
    with ExitStack() as stack:
        target = _open_target(request, status)
        told: Dict[str, Any] = {
            "device": device,
            "image": source.image,
            "target": request.directory or (request.copy_storage.url if request.copy_storage else ""),
            "authenticated": None if not source.manifest.key_id else source.key is not None,
            "bytes": source.manifest.pack_bytes,
            "packs": len(source.packs),
        }
        if target is None:  # its directory is not there yet
            return _plan_copy(told, source, None)
        stack.callback(target.close)
        refuse_twins(target, device)
        refuse_foreign_sums(target, PAGE_NAMES, PROGRAM_NAME)
        bucket = TokenBucket(request.limit_io_bytes, cancelled=status.cancelled)
        program = b"" if check else _program(request.program)
        copying = ImageCopy(
            source,
            target,
            limit=bucket.take,
            cancelled=status.cancelled,
            progress=status.progress,
            notices=status.notices,
            more_bytes=0 if target.exists(PROGRAM_NAME) else len(program),
        )
        if check:
            return _plan_copy(told, source, copying)
        copied = copying.run()
        directory = DeviceDirectory(target, device)
        try:
            pages = _write_pages(directory, source.key, status.cancelled)
            changed = _store_program(target, program) or pages
            changed = write_directory_sums(target, PAGE_NAMES, PROGRAM_NAME) or changed or copied.changed
        except StorageFull as error:
            raise _full(target, source, program) from error
        return dict(
            told,
            **_outcome(directory, copied),
            changed=changed,
            warnings=source.warnings + few(copying.warnings),
            seconds=_since(started),
        )


def _since(started: float) -> float:
    return round(time.monotonic() - started, 1)


def _outcome(directory: DeviceDirectory, copied: Copied) -> Dict[str, Any]:
    names = [manifest.image for manifest in copies_there(directory)]
    return {
        "packs_copied": copied.packs_copied,
        "bytes_copied": copied.bytes_copied,
        "bytes_kept": copied.bytes_kept,
        "images": names,
        "pinned": [image for image, is_pinned in pins_of(directory, names) if is_pinned],
    }


def _plan_copy(told: Dict[str, Any], source: CopySource, copying: Optional[ImageCopy]) -> Dict[str, Any]:
    """Check mode: refuse what the copy would refuse, and say what it would write."""
    if copying is None:
        foreseen = {"bytes_to_copy": source.manifest.pack_bytes, "packs_to_copy": len(source.packs), "changed": True}
    else:
        found = copying.check()
        foreseen = {
            "bytes_to_copy": max(0, source.manifest.pack_bytes - found.kept_bytes) if found.packs else 0,
            "packs_to_copy": len(found.packs),
            "changed": not found.is_complete,
        }
    return dict(told, **foreseen, warnings=source.warnings)


# -- where to ---------------------------------------------------------------------------------------------------------


def _open_target(request: CopyRequest, status: RunStatus) -> Optional[Storage]:
    """Open the target; or return None for a missing directory that check mode does not make.

    :raises CopyTargetInvalid: when it can't be one.
    """
    directory, other, url = request.directory, request.copy_storage, request.storage.url
    if other is not None:
        if other.url.rstrip("/\\") == url.rstrip("/\\"):
            raise CopyTargetInvalid(target=url, reason="it is the storage that is copied from")
        if other.folder:
            _refuse_same(other.folder, request.storage.folder)
        return open_storage(other.as_mapping(), status.warn, status.cancelled, status.notices)
    if not os.path.isabs(directory):
        raise CopyTargetInvalid(target=directory, reason="it is not an absolute path of a directory")
    _refuse_same(directory, request.storage.folder)
    if not os.path.isdir(os.path.dirname(os.path.abspath(directory))):
        raise CopyTargetInvalid(target=directory, reason="the directory above it is not there")
    if os.path.lexists(directory) and not os.path.isdir(directory):
        raise CopyTargetInvalid(target=directory, reason="it is not a directory")
    if request.check and not os.path.isdir(directory):
        return None
    return DirectoryStorage(directory)


def _refuse_same(directory: str, folder: str) -> None:
    """:raises CopyTargetInvalid: when the target is the source, or is inside it among the devices."""
    if not folder:
        return
    source, target = os.path.realpath(folder), os.path.realpath(directory)
    if target == source or target.startswith(source.rstrip("/") + "/"):
        raise CopyTargetInvalid(target=directory, reason="it is the source storage, or is inside it")


# -- what goes with the image -----------------------------------------------------------------------------------------


def _program(named: str) -> bytes:
    """The recovery program: the file that the request names, else the one that is kept on this machine.

    :raises BundleError: when there is none.
    """
    path = named or cached_program()
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_PROGRAM_BYTES + 1)
    except OSError as error:
        raise BundleFailed(path=path, reason=error.strerror or str(error)) from None
    if not data.startswith(b"PK\x03\x04") or len(data) > _MAX_PROGRAM_BYTES:
        raise BundleFailed(path=path, reason="it is not a recovery program")
    return data


def _store_program(target: Storage, program: bytes) -> bool:
    sweep_top(target, (PROGRAM_NAME, fmt.SUMS_NAME))
    return store_file(target, PROGRAM_NAME, program, replace=True)


def _full(target: Storage, source: CopySource, program: bytes) -> CopyTargetFull:
    space = target.space()
    free = space.free_bytes if space is not None else 0
    return CopyTargetFull(
        target=target.description,
        image=source.image,
        lacking_bytes=max(1, len(program) - free),
        needed_bytes=len(program),
        free_bytes=free,
    )


def _write_pages(directory: DeviceDirectory, key: Optional[MasterKey], cancelled: Callable[[], bool]) -> bool:
    """Make the pages for the newest image of the copy; pages with details that need the password are not made again without it."""
    there = copies_there(directory)
    if cancelled() or not there:
        return False
    newest, names = there[-1], [manifest.image for manifest in there]
    information = _information(directory, newest.image, key)
    facts = facts_of(newest, information, names)
    if not facts.is_whole_story and _page_is_of(directory, facts):
        return False
    pages = dict(zip(PAGE_NAMES, (html_page(facts), text_page(facts))))
    changed = False
    for name, data in pages.items():
        changed = store_file(directory.storage, directory.path(name), data, replace=True) or changed
    return changed


def _page_is_of(directory: DeviceDirectory, facts: Facts) -> bool:
    """Whether there are pages of this very image already, for the same images beside it."""
    wanted = ["--image %s" % facts.image, *facts.others[-6:]]
    try:
        text = directory.storage.get(directory.path(PAGE_NAMES[1]), 0, 1 << 20).decode("utf-8", "replace")
    except StorageNotFound:
        return False
    return directory.storage.exists(directory.path(PAGE_NAMES[0])) and all(one in text for one in wanted)


def _information(directory: DeviceDirectory, image: str, key: Optional[MasterKey]) -> Optional[Dict[str, Any]]:
    """The content of device.json, or None if no key opens it."""
    try:
        reader = ImageReader.proved(directory, image, key)
        return documents.parse(reader.document(fmt.DEVICE_INFORMATION_NAME))
    except (EngineError, ValueError):
        return None
