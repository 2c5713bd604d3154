# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request of each verb, and :func:`parse`, the one place where the JSON document of a request is read.

A request is parsed once, before a storage is opened: types, bounds, choices, names. A key that no verb knows is refused
with the nearest one that is known: ``chekc: true`` must not run without check mode. A key of another verb is not a misspelling: one
document may serve several verbs; it is reported in ``unused`` and has no effect.

Named tuples, not data classes: those cost a start of the engine 10 to 30 ms of imports.
"""

from __future__ import annotations

import datetime
import re
import time
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from ..device.compare.ignore import parse_rules
from ..device.identity import device_directory
from ..device.operating_system import KINDS as SYSTEM_KINDS
from ..disk.patterns import Pattern
from ..disk.trust import Trust, parse_trust
from ..errors import RequestInvalid
from ..image.access import Passwords
from ..image.upkeep.keeping import Policy
from ..image.verify_levels import LEVELS, Level
from ..restore.matching import EVERY
from ..restore.resize.wishes import Wishes
from ..restore.ways import PROOFS
from ..snapshot.choices import SETTINGS as SNAPSHOTS
from .fields import Fields, refuse_unknown, shown
from .request_archive import ARCHIVE_KEYS, ArchiveRequest, archive_request
from .request_device import CompareRequest, HistoryRequest
from .request_listing import LIST_KEYS, DevicesRequest, ListRequest, list_request
from .request_parts import (
    STORAGE_KEYS,
    StorageSettings,
    chosen_job,
    image_of,
    job_of,
    partitions_of,
    passwords_of,
    policy_of,
    read_floor_of,
    read_rate_of,
    storage_of,
    window_of,
    wishes_of,
)
from .request_upkeep import RENAME_KEYS, RETIRE_KEYS, RenameRequest, RetireRequest, rename_request, retire_request
from .secret_names import IMAGE_SECRETS
from .window import Window

_TIMESTAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)_(\d\d)-(\d\d)-(\d\d)", re.ASCII)
_DISK = re.compile(r"disk[0-9]{1,4}", re.ASCII)
_MOST_PATTERNS = 1000
_MOST_SECONDS = 1e12
_LEASE_SECONDS = 90.0
_LONGEST_LEASE_SECONDS = 86400.0
NONE, PREVIOUS, BASELINE = COMPARISONS = ("none", "previous", "baseline")


class ImageRequest(NamedTuple):
    """Make an image of this machine's disks."""

    device: str
    storage: StorageSettings
    check: bool
    passwords: Passwords
    job: str
    timestamp: str
    controller_seconds: Optional[float]  # the controller's time when it sent the request, where a controller did
    run: str
    operating_system: str  # workstation or server, or "" for both
    drives: List[str]
    exclude: List[Pattern]
    trust: Dict[int, Trust]
    snapshot: str
    limit_io_bytes: float  # a second; 0 for no limit
    limit_read_bytes: Optional[float]  # a second; 0 for no limit, None for as much as the disk's other users leave
    read_floor_bytes: float  # a second; what a run does not go below for others
    window: Optional[Window]  # whose end a run that passes it warns of
    adopt: bool
    policy: Policy
    compare: str  # previous, baseline or none
    compare_ignore: List[str]
    compression_level: int
    lease_ttl_seconds: float
    unused: Tuple[str, ...] = ()


class RestoreRequest(NamedTuple):
    """Restore disks of an image onto targets of this machine."""

    device: str
    storage: StorageSettings
    check: bool
    passwords: Passwords
    job: Optional[str]
    image: str
    targets: Dict[str, str]  # "disk0" -> path
    overwrite: bool
    damaged: bool
    replace_table: List[str]
    proof: str  # when the image is verified, one of restore.ways.PROOFS
    wishes: Wishes  # for targets of another size
    reads_back: bool
    unused: Tuple[str, ...] = ()


class VerifyRequest(NamedTuple):
    """Verify an image."""

    device: str
    storage: StorageSettings
    check: bool
    passwords: Passwords
    job: Optional[str]
    image: str
    level: Level
    unused: Tuple[str, ...] = ()


class CheckRequest(NamedTuple):
    """Try what a run needs of the storage."""

    device: str
    storage: StorageSettings
    check: bool
    passwords: Passwords
    unused: Tuple[str, ...] = ()


class RolloverRequest(NamedTuple):
    """Delete the images that ``policy`` does not keep."""

    device: str
    storage: StorageSettings
    check: bool
    passwords: Passwords
    policy: Policy
    remove_damaged: List[str]
    purge_trash: bool
    unused: Tuple[str, ...] = ()


class PinRequest(NamedTuple):
    """Keep an image from being rolled over, or no longer."""

    device: str
    storage: StorageSettings
    check: bool
    passwords: Passwords
    job: Optional[str]
    image: str
    pinned: bool
    unused: Tuple[str, ...] = ()


class CopyRequest(NamedTuple):
    """Copy an image with all that a recovery needs to a directory, or to another storage."""

    device: str
    storage: StorageSettings
    check: bool
    passwords: Passwords
    job: Optional[str]
    image: str
    directory: str  # "" where copy_storage is given
    copy_storage: Optional[StorageSettings]
    program: str  # a file; "" for the one that is kept on this machine
    limit_io_bytes: float  # a second; 0 for no limit
    unused: Tuple[str, ...] = ()


ShortRequest = Union[
    ListRequest,
    DevicesRequest,
    RolloverRequest,
    RetireRequest,
    RenameRequest,
    PinRequest,
    CheckRequest,
    CompareRequest,
    HistoryRequest,
]
Request = Union[ImageRequest, RestoreRequest, VerifyRequest, CopyRequest, ArchiveRequest, ShortRequest]


class _Head(NamedTuple):
    """The fields that every verb has."""

    device: str
    storage: StorageSettings
    check: bool
    passwords: Passwords
    unused: Tuple[str, ...]


class _Verb(NamedTuple):
    keys: Tuple[str, ...]  # beside those of every verb
    parse: Callable[[Fields, _Head], Request]
    has_device: bool = True


def parse(document: Mapping[str, Any]) -> Request:
    """Return the request that ``document`` makes.

    :raises EngineError: from the catalogue, naming the key or setting that can't be meant; nothing was opened or done.
    """
    fields = Fields(dict(document))
    name = fields.given("verb")
    verb = VERBS.get(name) if isinstance(name, str) else None
    if verb is None:
        raise RequestInvalid(reason="the verb %s is not one of %s" % (shown(name), ", ".join(sorted(VERBS))))
    mine = (*COMMON_KEYS, *verb.keys)
    nested = ["secrets.%s" % key for key in IMAGE_SECRETS]
    nested += ["storage.%s" % key for key in STORAGE_KEYS if key not in IMAGE_SECRETS]
    refuse_unknown(dict(document), ALL_KEYS, [*mine, *nested])
    is_check = fields.yes("check")
    head = _Head(
        device=_device(fields) if verb.has_device else "",
        storage=storage_of(fields, is_check),
        check=is_check,
        passwords=passwords_of(fields),
        unused=tuple(sorted(key for key in document if key not in mine)),
    )
    return verb.parse(fields, head)


def _device(fields: Fields) -> str:
    device = fields.given("device")
    if not isinstance(device, str) or not device:
        raise RequestInvalid(reason="device is not set")
    return device_directory(fields.text("alias"), device)


def _image(fields: Fields, head: _Head) -> ImageRequest:
    timestamp = _timestamp(fields)
    return ImageRequest(
        **head._asdict(),
        job=job_of(fields),
        timestamp=timestamp,
        controller_seconds=fields.number("controller_seconds", -_MOST_SECONDS, _MOST_SECONDS),
        run=fields.text("run"),
        operating_system=fields.choice("operating_system", SYSTEM_KINDS, ""),
        drives=_drives(fields),
        exclude=_patterns(fields),
        trust=parse_trust(fields.given("trust")),
        snapshot=fields.choice("snapshot", SNAPSHOTS, "required"),
        limit_io_bytes=fields.rate("limit_io_rate"),
        limit_read_bytes=read_rate_of(fields),
        read_floor_bytes=read_floor_of(fields),
        window=window_of(fields, timestamp),
        adopt=fields.yes("adopt"),
        policy=policy_of(fields),
        compare=fields.choice("compare", COMPARISONS, PREVIOUS),
        compare_ignore=parse_rules(fields.given("compare_ignore")),
        compression_level=fields.whole("compression_level", 1, 1, 19),
        lease_ttl_seconds=fields.number("lease_ttl_seconds", 1, _LONGEST_LEASE_SECONDS) or _LEASE_SECONDS,
    )


def _restore(fields: Fields, head: _Head) -> RestoreRequest:
    return RestoreRequest(
        **head._asdict(),
        job=chosen_job(fields),
        image=image_of(fields, head.device, head.storage),
        targets=_targets(fields),
        overwrite=fields.yes("overwrite", "restore_overwrite"),
        damaged=fields.yes("damaged", "restore_damaged"),
        replace_table=partitions_of(fields, "replace_table"),
        proof=fields.choice("proof", PROOFS, PROOFS[0], "restore_proof"),
        wishes=wishes_of(fields),
        reads_back=fields.given("read_back") is None or fields.yes("read_back", "restore_read_back"),
    )


def _verify(fields: Fields, head: _Head) -> VerifyRequest:
    return VerifyRequest(
        **head._asdict(),
        job=chosen_job(fields),
        image=image_of(fields, head.device, head.storage),
        level=fields.choice("level", LEVELS, "full"),
    )


def _copy(fields: Fields, head: _Head) -> CopyRequest:
    directory = fields.text("directory")
    to_storage = bool(fields.given("copy_storage"))
    if bool(directory) == to_storage:
        raise RequestInvalid(
            reason="it names no target of the copy, or two: imaging_copy_directory, imaging_copy_storage"
        )
    return CopyRequest(
        **head._asdict(),
        job=chosen_job(fields),
        image=image_of(fields, head.device, head.storage),
        directory=directory,
        copy_storage=storage_of(fields, head.check, "copy_storage") if to_storage else None,
        program=fields.text("program"),
        limit_io_bytes=fields.rate("limit_io_rate"),
    )


def _devices(fields: Fields, head: _Head) -> DevicesRequest:
    return DevicesRequest(**head._asdict(), timestamp=_timestamp(fields))


def _list(fields: Fields, head: _Head) -> ListRequest:
    return list_request(fields, head._asdict(), _timestamp(fields))


def _check(dummy_fields: Fields, head: _Head) -> CheckRequest:
    return CheckRequest(**head._asdict())


def _rollover(fields: Fields, head: _Head) -> RolloverRequest:
    policy = policy_of(fields, of_all_jobs=True)
    return RolloverRequest(
        **head._asdict(),
        policy=policy,
        remove_damaged=fields.names("remove_damaged"),
        purge_trash=fields.yes("purge_trash"),
    )


def _pin(fields: Fields, head: _Head) -> PinRequest:
    return PinRequest(
        **head._asdict(),
        job=chosen_job(fields),
        image=image_of(fields, head.device, head.storage, ""),
        pinned=fields.choice("state", ("pinned", "unpinned"), "pinned") == "pinned",
    )


def _compare(fields: Fields, head: _Head) -> CompareRequest:
    return CompareRequest(
        **head._asdict(),
        job=chosen_job(fields),
        image=image_of(fields, head.device, head.storage),
        against=fields.text("against", PREVIOUS),
        document=fields.mapping("document") if fields.given("document") is not None else None,
        compare_ignore=parse_rules(fields.given("compare_ignore")),
    )


def _history(fields: Fields, head: _Head) -> HistoryRequest:
    repository = fields.text("repository")
    if not repository:
        raise fields.refuse("history_repository", "is not set")
    return HistoryRequest(
        **head._asdict(),
        job=chosen_job(fields),
        image=image_of(fields, head.device, head.storage),
        repository=repository,
    )


def _timestamp(fields: Fields) -> str:
    """The name that the image asks for; this machine's time where the request has none."""
    timestamp = fields.text("timestamp") or time.strftime("%Y-%m-%d_%H-%M-%S")
    match = _TIMESTAMP.fullmatch(timestamp)
    try:
        if match is None:
            raise ValueError
        year, month, day, hour, minute, second = map(int, match.groups())
        datetime.datetime(year, month, day, hour, minute, second)
    except ValueError:
        raise RequestInvalid(reason="the timestamp %s is malformed" % shown(timestamp)) from None
    return timestamp


def _drives(fields: Fields) -> List[str]:
    given = fields.given("drives")
    drives = [given] if isinstance(given, str) else given
    if not isinstance(drives, list) or not drives or not all(isinstance(one, str) and one for one in drives):
        raise RequestInvalid(reason="imaging_drives must be all, system, or a list of disks, volumes and image files")
    return drives


def _patterns(fields: Fields) -> List[Pattern]:
    """:raises PatternInvalid: when a pattern is not a path below a volume's root."""
    given = fields.given("exclude") or []
    if not isinstance(given, list) or len(given) > _MOST_PATTERNS:
        raise RequestInvalid(reason="imaging_exclude must be a list of at most %d patterns" % _MOST_PATTERNS)
    return [Pattern.parse(text) for text in given]


def _targets(fields: Fields) -> Dict[str, str]:
    given = fields.mapping("map")
    disks = sorted(name for name in map(str, given) if _DISK.fullmatch(name)) or ["disk0"]
    known = [name for name in given if isinstance(name, str) and (_DISK.fullmatch(name) or name == EVERY)]
    refuse_unknown(given, known, ["map.%s" % disk for disk in disks], "map")
    paths = Fields(given, "imaging_restore_map.")
    targets = {name: paths.text(name) for name in given}
    for name, path in targets.items():
        if not path:
            raise paths.refuse(name, "names no target")
    return targets


# ``timestamp``, ``controller_seconds`` and ``run``: a controller and the runner put them into the request of any verb.
COMMON_KEYS = (
    *("verb", "device", "alias", "storage", "secrets", "check", "job"),
    *("timestamp", "controller_seconds", "run", "new_key", "allow_clear"),
)
_IMAGE_KEYS = (
    *("operating_system", "drives", "exclude", "trust", "snapshot", "window", "adopt", "compare", "compare_ignore"),
    *("limit_io_rate", "limit_read_rate", "limit_read_rate_floor"),
    *("compression_level", "lease_ttl_seconds", "keep", "jobs", "forget_jobs", "forget_disks"),
)
_RESTORE_KEYS = (
    *("image", "map", "overwrite", "damaged", "replace_table", "proof"),
    *("grow", "shrink", "scratch", "identity", "partitions", "read_back", "boot_fallback", "free_space"),
)
_ROLLOVER_KEYS = ("keep", "jobs", "forget_jobs", "forget_disks", "remove_damaged", "purge_trash")
VERBS: Dict[str, _Verb] = {
    "image": _Verb(_IMAGE_KEYS, _image),
    "restore": _Verb(_RESTORE_KEYS, _restore),
    "verify": _Verb(("image", "level"), _verify),
    "copy": _Verb(("image", "directory", "copy_storage", "program", "limit_io_rate"), _copy),
    "archive": _Verb(ARCHIVE_KEYS, lambda fields, head: archive_request(fields, head._asdict(), head.check)),
    "list": _Verb(LIST_KEYS, _list),
    "devices": _Verb((), _devices, has_device=False),
    "check": _Verb((), _check),
    "rollover": _Verb(_ROLLOVER_KEYS, _rollover),
    "retire": _Verb(RETIRE_KEYS, lambda fields, head: retire_request(fields, head._asdict())),
    "rename": _Verb(RENAME_KEYS, lambda fields, head: rename_request(fields, head._asdict())),
    "pin": _Verb(("image", "state"), _pin),
    "compare": _Verb(("image", "against", "document", "compare_ignore"), _compare),
    "history": _Verb(("image", "repository"), _history),
}
ALL_KEYS = frozenset(COMMON_KEYS).union(*(verb.keys for verb in VERBS.values()))
