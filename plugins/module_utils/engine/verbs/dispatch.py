# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one job: a verb with its settings, as the command line or a controller hands it over."""

from __future__ import annotations

import json
import re
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..device.identity import claim_directory, device_directory, prove_directory, read_identity, stored_identity
from ..device.information import collect, compare, render
from ..device.selection import moved
from ..disk import exclusions
from ..disk.source import BlockSource
from ..errors import EngineError, ImageNotFound, JobInvalid
from ..host.linux_activity import DiskActivity
from ..image.format import constants as fmt
from ..image.format import documents
from ..image.format.keys import MasterKey
from ..image.format.manifest import Manifest
from ..image.reader import ImageReader
from ..image.upkeep.keeping import Policy
from ..image.upkeep.rollover import roll_over
from ..image.upkeep.rollover_report import RolloverReport
from ..image.writing.coming import coming_image
from ..image.writing.courtesy import Courtesy
from ..image.writing.forecast import forecast
from ..image.writing.preflight import Preflight, preflight
from ..image.writing.rates import PacedSource, TokenBucket
from ..image.writing.writer import DiskInput, ImageJob, process_threads, write_image
from ..storage.check import StorageCheck
from ..storage.contract import Storage
from ..storage.notices import Notices
from ..storage.open import open_storage
from ..tame import tame
from . import copy as copy_verb
from . import devices as devices_verb
from . import operator as operator_verbs
from . import restore as restore_verb
from .opened_disks import OpenedDisk, OpenedDisks, describe, not_chosen, stable_ids
from .policies import job_of, policy_of
from .settings import mapping_of, number_of, passwords_of, rate_of, yes_of

_MAX_NOTICES = 10
_OF_ALL_DEVICES = ("devices",)
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", re.ASCII)
Report = Callable[[Dict[str, Any]], None]


def run_job(job: Dict[str, Any], report: Report, cancelled: Callable[[], bool]) -> Dict[str, Any]:
    """Run ``job`` and return its result. ``report`` gets status and warning events. Both are tamed.

    :raises EngineError: what went wrong, from the catalogue.
    """
    return dict(tame(_run(job, lambda event: report(tame(event)), cancelled)))


def _run(job: Dict[str, Any], report: Report, cancelled: Callable[[], bool]) -> Dict[str, Any]:
    verb = _VERBS.get(str(job.get("verb")))
    if verb is None:
        raise JobInvalid(reason="the verb %r is not one of %s" % (job.get("verb"), ", ".join(sorted(_VERBS))))
    device = job.get("device")
    if job["verb"] not in _OF_ALL_DEVICES:
        if not isinstance(device, str) or not device:
            raise JobInvalid(reason="it names no device")
        job = dict(job, device=device_directory(str(job.get("alias") or ""), device))
    settings = dict(mapping_of(job, "storage"), records_host_key=not job.get("check"))
    status = _Status(report, cancelled)
    with open_storage(settings, status.warn, cancelled, status.notices) as storage:
        result = verb(storage, job, status)
        if storage.server_key is not None:
            result["storage_host_key"] = storage.server_key.fingerprint
            result["storage_host_key_is_new"] = storage.server_key.is_new
        return result


class _Status:
    """Status events, not more often than a second, with rate and estimate."""

    def __init__(self, report: Report, cancelled: Callable[[], bool]) -> None:
        self.report = report
        self.cancelled = cancelled
        self._phase = ""
        self._phase_began = self._heard = time.monotonic()
        self._last = 0.0
        self._notices_left = _MAX_NOTICES
        self.notices = Notices(self._waiting, self._going_on)

    def warn(self, sentence: str) -> None:
        self.report({"event": "warning", "message": sentence})

    def _waiting(self, what: str, sentence: str) -> None:
        """Tell that nothing moves, and why. A line that comes and goes all night is told of a few times only."""
        if self._notices_left:
            self._notices_left -= 1
            self.warn(sentence)
        self.report({"event": "status", "phase": "waiting for %s" % what, "remaining_seconds": None})

    def _going_on(self) -> None:
        self.report({"event": "status", "phase": self._phase or "working", "remaining_seconds": None})

    def progress(self, phase: str, done: int, total: int, stored: int = 0) -> None:
        """Take in how far a phase is. Its rate is its own: reading says nothing about how fast another disk is written."""
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._phase_began = phase, self._heard if done else now
        self._heard = now
        if now - self._last < 1.0 and done < total:
            return
        self._last = now
        elapsed = max(now - self._phase_began, 1e-3)
        rate = int(done / elapsed)
        self.report(
            {
                "event": "status",
                "phase": phase,
                "bytes_in_use": total,
                "bytes_done": done,
                "bytes_stored": stored,
                "rate_bytes_per_second": rate,
                "remaining_seconds": int((total - done) / rate) if rate and total >= done else None,
            }
        )


def _image(storage: Storage, job: Dict[str, Any], status: _Status) -> Dict[str, Any]:
    started = time.monotonic()
    timestamp = str(job.get("timestamp") or time.strftime("%Y-%m-%d_%H-%M-%S"))
    if not _TIMESTAMP.fullmatch(timestamp):
        raise JobInvalid(reason="the timestamp %r is malformed" % timestamp)
    device = job["device"]
    policy = policy_of(job)
    looked = None if job.get("check") else _look_ahead(storage, job)
    if looked is not None and looked.check.may_replace:
        # The directory is ours or nobody's, and may hold a status.
        key = storage.server_key.fingerprint if storage.server_key else ""
        status.report({"event": "replaceable", "host_key": key})
    frozen = OpenedDisks(job, lambda source: _paced(source, job, status))
    try:
        opened = frozen.disks
        left_out = exclusions.totals(one for disk in opened for one in disk.plan.left_out)
        warnings = [warning for disk in opened for warning in disk.plan.warnings] + exclusions.remarks(left_out)
        information = collect([describe(number, disk) for number, disk in enumerate(opened)])
        information["drives"] = stable_ids(opened)
        passwords = passwords_of(job)
        previous = _previous_information(storage, device, passwords.password, job_of(job))
        warnings += frozen.remarks
        warnings += moved((previous or {}).get("drives"), information["drives"])
        summary = [dict(describe(number, disk), path=disk.path) for number, disk in enumerate(opened)]
        in_use = sum(disk.plan.used.total_bytes for disk in opened)
        before = previous if job.get("compare") != "none" else None
        told = {
            "changed": True,
            "device": device,
            "job": job_of(job),
            "storage": storage.description,
            "disks": summary,
            "not_chosen": not_chosen(opened),
            "left_out": [one.as_dict() for one in left_out],
            "outside_partitions": [dict(one.as_dict(), path=disk.path) for disk in opened for one in disk.plan.outside],
            "contested": [one.as_dict() for disk in opened for one in disk.plan.contested],
            "comparison": None if before is None else {"before": render(before), "after": render(information)},
            "device_changes": [] if before is None else [one._asdict() for one in compare(before, information)],
        }
        if looked is None:
            coming = coming_image(device, job_of(job), [_input(disk, disk.source).coming for disk in opened])
            return dict(told, **_foretold(storage, job, policy, coming, in_use, warnings))
        warnings += looked.warnings + looked.check_room(in_use)
        claim_directory(storage, device, read_identity(), yes_of(job, "adopt"))
        bucket = TokenBucket(rate_of(job, "limit_io_rate"), cancelled=status.cancelled)
        result = write_image(
            storage,
            ImageJob(
                device=device,
                timestamp=timestamp,
                disks=[_input(disk, _paced(disk.source, job, status)) for disk in opened],
                job=job_of(job),
                policy=policy,
                passwords=passwords,
                snapshot=frozen.how,
                device_information=information,
                created=timestamp,
                warnings=warnings,
                notes=exclusions.notes(left_out) + _notes(frozen, storage),
                late_warnings=frozen.unreadable,
                compression_level=number_of(job, "compression_level", 1, 1, 19),
                workers=process_threads(),
                gate=bucket.take,
                progress=status.progress,
                notices=status.notices,
                lease_ttl_seconds=float(number_of(job, "lease_ttl_seconds", 90, 1)),
                takes_lease=looked.check.may_replace,
            ),
        )
    finally:
        frozen.close()
    clock = _controllers_clock(job, started)
    rollover, rollover_warnings = _roll_over(storage, device, policy, result.key, looked.check, clock)
    gone = rollover.deleted if rollover else []
    return dict(
        told,
        image=result.image,
        images=[image for image in [*result.earlier, result.image] if image not in gone],
        sequence=result.sequence,
        bytes_in_use=result.in_use_bytes,
        bytes_stored=result.stored_bytes,
        bytes_reused=result.reused_bytes,
        healed_packs=result.healed_packs,
        rollover=rollover.as_dict() if rollover else None,
        missing_disks=[one.as_dict() for one in result.missing],
        warnings=list(dict.fromkeys(result.warnings + rollover_warnings + frozen.warnings)),
        seconds=round(time.monotonic() - started, 1),
    )


def _input(disk: OpenedDisk, source: BlockSource) -> DiskInput:
    return DiskInput(source, disk.plan.used, disk.stable_id, disk.contents)


def _foretold(
    storage: Storage, job: Dict[str, Any], policy: Policy, coming: Manifest, in_use: int, warnings: List[str]
) -> Dict[str, Any]:
    """Check mode: refuse what the run would refuse, and say what it would store and delete. Nothing is written to find out."""
    prove_directory(storage, job["device"], read_identity(), yes_of(job, "adopt"))
    foreseen = forecast(storage, job["device"], passwords_of(job), policy, coming)
    return {
        "image": None,
        "images": foreseen.images,
        "bytes_in_use": in_use,
        "bytes_to_send": foreseen.bytes_to_send(in_use),
        "bytes_to_send_most": foreseen.most_bytes_to_send(in_use),
        "rollover": foreseen.rollover(),
        "missing_disks": [one.as_dict() for one in foreseen.missing],
        "warnings": warnings + foreseen.warnings + foreseen.check_room(in_use),
    }


def _look_ahead(storage: Storage, job: Dict[str, Any]) -> Preflight:
    """What can be known to fail fails here: before a volume is frozen, a disk is read, or a directory is claimed."""
    prove_directory(storage, job["device"], read_identity(), yes_of(job, "adopt"))
    moment = job.get("controller_seconds")
    return preflight(storage, job["device"], passwords_of(job), moment if isinstance(moment, (int, float)) else None)


def _notes(opened: OpenedDisks, storage: Storage) -> List[str]:
    return [note for disk in opened.disks for note in disk.plan.notes] + _server_notes(storage)


def _server_notes(storage: Storage) -> List[str]:
    """Whom the run talked to, for the log that is kept with the image."""
    key = storage.server_key
    if key is None:
        return []
    checked = "was not checked before" if key.is_new else "is the one that was expected"
    return ["The host key of the storage's server, %s, %s." % (key.fingerprint, checked)]


def _controllers_clock(job: Dict[str, Any], started: float) -> Callable[[], float]:
    """The time for the age of what is in the trash: a device whose battery is dead begins in 2009 after every start."""
    moment = job.get("controller_seconds")
    if not isinstance(moment, (int, float)):
        return time.time
    return lambda: moment + time.monotonic() - started


def _roll_over(
    storage: Storage,
    device: str,
    policy: Policy,
    key: Optional[MasterKey],
    permitted: StorageCheck,
    clock: Callable[[], float],
) -> Tuple[Optional[RolloverReport], List[str]]:
    """Roll over after success. Whatever stops it (a device that may not delete, a lost link), the image is made."""
    if not (permitted.may_delete and permitted.may_rename):
        return None, [
            "The image is made, but old ones were not rolled over: the account in imaging_storage may only create and "
            "read. Let the operator do it."
        ]
    try:
        report = roll_over(storage, device, policy, openable_key=key.key_id if key else "", key=key, now=clock)
    except EngineError as error:
        return None, [
            "The image is made, but old ones were not rolled over: %s Let the operator do it, or the next run." % error
        ]
    return report, report.warnings


def _paced(source: BlockSource, job: Dict[str, Any], status: _Status) -> PacedSource:
    limit = job.get("limit_read_rate", "auto")
    if limit == "auto":
        courtesy = Courtesy(DiskActivity.of(source.path), cancelled=status.cancelled)
        return PacedSource(source, courtesy=courtesy)
    rate = rate_of(job, "limit_read_rate")
    return PacedSource(source, bucket=TokenBucket(rate, cancelled=status.cancelled))


def _previous_information(
    storage: Storage, device: str, password: Optional[str], of_job: str
) -> Optional[Dict[str, Any]]:
    if stored_identity(storage, device) is None:
        return None
    try:
        reader = ImageReader(storage, device, "latest", password, of_job)
        return documents.parse(reader.document(fmt.DEVICE_INFORMATION_NAME))
    except ImageNotFound:
        return None
    except (EngineError, ValueError):
        return None  # rule 6 and damage are reported by the run itself; a comparison is not worth failing for


def to_line(event: Dict[str, Any]) -> str:
    return json.dumps(event, sort_keys=True)


def _for_operator(verb: Callable[..., Dict[str, Any]]) -> Callable[..., Dict[str, Any]]:
    return lambda storage, job, status: verb(storage, job, status.report, status.progress)


def _following(status: _Status) -> copy_verb.Following:
    return copy_verb.Following(status.report, status.progress, status.cancelled, status.notices)


_VERBS: Dict[str, Callable[..., Dict[str, Any]]] = {
    "image": _image,
    "restore": _for_operator(restore_verb.restore),
    "verify": _for_operator(operator_verbs.verify),
    "copy": lambda storage, job, status: copy_verb.copy(storage, job, _following(status)),
    "list": _for_operator(operator_verbs.list_images),
    "devices": _for_operator(devices_verb.list_devices),
    "check": _for_operator(operator_verbs.check),
    "rollover": _for_operator(operator_verbs.rollover),
    "pin": _for_operator(operator_verbs.pin_image),
}
