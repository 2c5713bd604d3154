# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``restore``: its request, check mode, and what its result tells."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List

from ..errors import JobInvalid
from ..restore.place import refuse_inside_storage
from ..restore.plan import PlannedDisk
from ..restore.restore import Restored, carry_out, foretell, open_image, plan, sentences, transitions
from ..storage.contract import Storage
from .policies import chosen_job
from .settings import mapping_of, passwords_of, yes_of

_MOST_NAMED = 10_000
_MOST_FILES_SAID = 10
Report = Callable[[Dict[str, Any]], None]
Progress = Callable[..., None]


def restore(storage: Storage, job: Dict[str, Any], report: Report, progress: Progress) -> Dict[str, Any]:
    started = time.monotonic()
    targets = {str(name): str(path) for name, path in mapping_of(job, "map").items()}
    folder = str(mapping_of(job, "storage").get("url") or "")
    for path in targets.values() if folder.startswith("/") else []:
        refuse_inside_storage(path, folder)
    damaged = yes_of(job, "damaged", "restore_damaged")
    overwrite = yes_of(job, "overwrite", "restore_overwrite")
    replace_table = _names(job)
    image = str(job.get("image") or "latest")
    reader = open_image(storage, job["device"], image, passwords_of(job).password, damaged, chosen_job(job))
    for text in reader.warnings:
        report({"event": "warning", "message": text})
    planned = plan(
        reader,
        targets,
        overwrite,
        damaged=damaged,
        replace_table=replace_table,
        progress=progress,
    )
    is_done = all(disk.is_done for disk in planned)
    told = {
        "changed": not is_done,
        "image": reader.image,
        "plan": sentences(planned, reader.image),
        "targets": transitions(planned, reader.image),
        "already_restored": is_done,
    }
    if job.get("check"):
        foreseen = foretell(storage, job["device"], reader, planned, damaged)
        return dict(told, disks=[], damaged=foreseen.damaged, warnings=_warnings(planned, foreseen, reader.image))
    done = carry_out(storage, job["device"], reader, planned, progress, damaged=damaged)
    warnings = _warnings(planned, done, reader.image)
    disks = [disk._asdict() for disk in done.disks]
    return dict(
        told, disks=disks, damaged=done.damaged, warnings=warnings, seconds=round(time.monotonic() - started, 1)
    )


def _names(job: Dict[str, Any]) -> List[str]:
    given = job.get("replace_table")
    if given is None:
        return []
    fits = isinstance(given, list) and len(given) <= _MOST_NAMED
    if not fits or not all(isinstance(one, (str, int)) and not isinstance(one, bool) for one in given):
        raise JobInvalid(reason="imaging_restore_replace_table must be a list of partitions")
    return [str(one) for one in given]


def _warnings(planned: List[PlannedDisk], done: Restored, image: str) -> List[str]:
    """The mark that a damaged restore leaves on the console; what was done already is worth a word, too."""
    warnings = [
        "%s holds all of %s of the image %s already: that restore has ended." % (disk.target.path, disk.name, image)
        for disk in planned
        if disk.is_done
    ]
    if done.problems:
        more = len(done.problems) - 1
        also = " And %d more." % more if more else ""
        warnings.append("The image %s is damaged where it is stored: %s%s" % (image, done.problems[0], also))
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
    return "%s is NOT WHOLE: %d bytes of %s of the image %s are lost and read as zeros there. Files hit: %s.%s" % (
        disk.target.path,
        sum(one["length"] for one in damaged),
        disk.name,
        image,
        ", ".join(hit) or "none that is known",
        " Also hit: %s." % "; ".join(where[:_MOST_FILES_SAID]) if where else "",
    )
