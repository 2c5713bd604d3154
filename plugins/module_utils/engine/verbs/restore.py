# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``restore``: its request, check mode, and what its result tells."""

from __future__ import annotations

import time
from typing import Any, Dict, List

from ..amounts import size
from ..image.format.encrypted_mark import is_marked
from ..image.reader import ImageReader
from ..restore import proof as proofs
from ..restore.boot_report import boot_report
from ..restore.document import plan_document, with_identities
from ..restore.matching import AUTO
from ..restore.place import refuse_inside_storage
from ..restore.plan import PlannedDisk
from ..restore.restore import Restored, carry_out, foretell, open_image, plan, sentences, transitions
from ..storage.contract import Storage
from .request import RestoreRequest
from .run_status import RunStatus

_MOST_FILES_SAID = 10
_READ_BACK = {
    True: "each target is read back and compared before it becomes bootable",
    False: "no target is read back after it was written",
}


def restore(storage: Storage, request: RestoreRequest, status: RunStatus) -> Dict[str, Any]:
    started = time.monotonic()
    damaged = request.damaged
    reader = _open(storage, request, status)
    planned = plan(
        reader,
        request.targets,
        request.overwrite,
        damaged=damaged,
        replace_table=request.replace_table,
        wishes=request.wishes,
        storage_folder=request.storage.folder,
        progress=status.progress,
    )
    is_done = all(disk.is_done for disk in planned)
    proof = proofs.choose(request.proof, storage, planned, damaged)
    told: Dict[str, Any] = {
        "changed": not is_done,
        "image": reader.image,
        "plan": sentences(planned, reader.image),
        "proof": proof.way,
        "proof_reason": proof.reason,
        "targets": transitions(planned, reader.image),
        "restore_plan": plan_document(planned, reader.image),
        "already_restored": is_done,
        "read_back": request.reads_back and not is_done,
    }
    boot = boot_report(reader, planned, check=True)
    told["changed"] = not is_done or boot.lacks_entry
    told["plan"] += [] if is_done else [proof.sentence, _READ_BACK[request.reads_back]]
    told["plan"] += boot.sentences if told["changed"] else []
    risks = proofs.warnings(proof, planned)
    if request.check:
        foreseen = foretell(storage, request.device, reader, planned, damaged)
        warnings = risks + boot.warnings + _warnings(planned, foreseen, reader.image, bool(request.wishes.grow))
        return dict(told, boot=boot.document, disks=[], damaged=foreseen.damaged, warnings=warnings)
    done = carry_out(
        *(storage, request.device, reader, planned, status.progress),
        damaged=damaged,
        proof=proof,
        reads_back=request.reads_back,
    )
    if boot.lacks_entry:
        boot = boot_report(reader, planned, check=False)
    return dict(
        told,
        changed=not is_done or boot.made_entry,
        restore_plan=with_identities(told["restore_plan"], planned),
        boot=boot.document,
        disks=[disk._asdict() for disk in done.disks],
        damaged=done.damaged,
        warnings=risks + boot.warnings + _warnings(planned, done, reader.image, bool(request.wishes.grow)),
        seconds=round(time.monotonic() - started, 1),
    )


def _open(storage: Storage, request: RestoreRequest, status: RunStatus) -> ImageReader:
    """The image, after the targets were compared with the place of the storage; warnings go to the status."""
    paths = [path for path in request.targets.values() if path != AUTO]
    for path in paths if request.storage.folder else []:
        refuse_inside_storage(path, request.storage.folder)
    password = request.passwords.password
    reader = open_image(storage, request.device, request.image, password, request.damaged, request.job)
    for text in reader.warnings:
        status.warn(text)
    if reader.key is None and is_marked(reader.directory):
        # The user was not asked for a password: an account that may write to the storage can put such an image before
        # the real one.
        status.warn(
            "The image %s is not encrypted, but %s has encrypted images. Check who made it before you restore it."
            % (reader.image, request.device)
        )
    return reader


def _of_plan(disk: PlannedDisk, grows: bool) -> List[str]:
    if grows and disk.resizing is None and not disk.is_done:
        return ["%s is not larger than %s: no partition is grown." % (disk.target.path, disk.name), *disk.warnings]
    return disk.warnings


def _warnings(planned: List[PlannedDisk], done: Restored, image: str, grows: bool) -> List[str]:
    """The mark that a damaged restore leaves on the console; what was done already is worth a word, too."""
    warnings = [
        "%s already contains all of %s of the image %s: the restore is complete." % (disk.target.path, disk.name, image)
        for disk in planned
        if disk.is_done
    ]
    warnings += [text for disk in planned for text in _of_plan(disk, grows)]
    if done.problems:
        more = len(done.problems) - 1
        also = " %d more problems were found." % more if more else ""
        warnings.append("The image %s is damaged in the storage: %s%s" % (image, done.problems[0], also))
    for disk in planned:
        mine = [one for one in done.damaged if one["disk"] == disk.name]
        if mine:
            warnings.append(_damage_in_words(disk, mine, image))
    return warnings


def _damage_in_words(disk: PlannedDisk, damaged: List[Dict[str, Any]], image: str) -> str:
    files = sorted({name for one in damaged for name in one["files"]})
    where = sorted({words for one in damaged for words in one["where"]})
    hit = files[:_MOST_FILES_SAID] + (
        ["and %d more" % (len(files) - _MOST_FILES_SAID)] if files[_MOST_FILES_SAID:] else []
    )
    return ("%s is INCOMPLETE: %s of %s of the image %s are lost and were restored as zeros. Damaged files: %s.%s") % (
        disk.target.path,
        size(sum(one["length"] for one in damaged)),
        disk.name,
        image,
        ", ".join(hit) or "none known",
        " Other damage: %s." % "; ".join(where[:_MOST_FILES_SAID]) if where else "",
    )
