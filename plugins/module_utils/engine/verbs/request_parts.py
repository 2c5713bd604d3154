# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts that requests of several verbs share: the storage, the passwords, and what a rollover is asked for."""

from __future__ import annotations

import datetime
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional

from ..errors import ForgottenJobDefined, ImageNotFound, JobNamesTwice, RequestInvalid
from ..host.windows_names import NameKind, kind_of_name
from ..image.access import Passwords
from ..image.archive.find import number_of
from ..image.device_directory import IMAGE_NAME
from ..image.format import job_name
from ..image.newest import NAME_PATTERN
from ..image.upkeep.keeping import Policy
from ..image.upkeep.missing import forgotten_ids
from ..image.writing.courtesy import FLOOR_BYTES_PER_SECOND
from ..restore.identity.draw import IDENTITIES, NEW
from ..restore.resize.wishes import FREE_SPACE, KEEP, YES, Wishes
from ..storage.url import check_url
from .fields import Fields, refuse_unknown, shown
from .secret_names import IMAGE_SECRETS, STORAGE_SECRETS
from .window import Window, window_at

_AUTO = "auto"
_FASTEST_FLOOR_MEGABYTES = 1000  # more is a rate in bytes

STORAGE_KEYS = (
    *("url", "port", "username", "password", "private_key_file", "private_key", "private_key_passphrase"),
    *("host_key", "known_hosts_file", "require_encryption", "own_ntlm", "time_limit_seconds", "timeout_seconds"),
)
JOB_KEYS = ("name", "keep")
LATEST = "latest"
_FILE = "file://"
_KEEP = 7
_MOST_SECONDS = 1e9

_LOADER = re.compile(r"EFI(/[^/\x00-\x1f]{1,255}){1,8}", re.IGNORECASE)
_GROW = re.compile(r"last|system|[1-9][0-9]{0,3}", re.ASCII)


class StorageSettings(NamedTuple):
    """``imaging_storage``: the storage of images and the access to it; unset fields are None or ""."""

    url: str
    port: Optional[int] = None
    username: str = ""
    password: str = ""
    private_key_file: str = ""
    private_key: str = ""
    private_key_passphrase: str = ""
    host_key: str = ""
    known_hosts_file: str = ""
    require_encryption: bool = False
    own_ntlm: bool = False
    time_limit_seconds: Optional[float] = None
    timeout_seconds: Optional[float] = None
    records_host_key: bool = True  # False in check mode, which leaves no trace

    def __repr__(self) -> str:
        return "StorageSettings(%r, ...)" % self.url

    @property
    def folder(self) -> str:
        """The directory of this machine that the storage is; "" for a server."""
        path = self.url[len(_FILE) :] if self.url.startswith(_FILE) else self.url
        is_folder = path.startswith("/") or kind_of_name(path) in (NameKind.LETTER, NameKind.FILE)
        return path if is_folder else ""

    def as_mapping(self) -> Dict[str, Any]:
        """The settings as ``open_storage`` takes them."""
        return {name: value for name, value in self._asdict().items() if value is not None and value != ""}


def storage_of(document: Fields, is_check: bool, key: str = "storage") -> StorageSettings:
    given = document.mapping(key)
    refuse_unknown(given, STORAGE_KEYS, ["%s.%s" % (key, one) for one in STORAGE_KEYS], key)
    fields = Fields(given, "imaging_%s." % key)
    texts = {
        name: fields.text(name, is_secret=name in STORAGE_SECRETS)
        for name in STORAGE_KEYS
        if name not in ("port", "require_encryption", "own_ntlm", "time_limit_seconds", "timeout_seconds")
    }
    return StorageSettings(
        **texts,
        port=fields.whole("port", 0, 0, 65535) or None,
        require_encryption=fields.yes("require_encryption"),
        own_ntlm=fields.yes("own_ntlm"),
        time_limit_seconds=fields.number("time_limit_seconds", 0, _MOST_SECONDS),
        timeout_seconds=fields.number("timeout_seconds", 0, _MOST_SECONDS),
        records_host_key=not is_check,
    )


def passwords_of(document: Fields) -> Passwords:
    secrets = document.given("secrets") or {}
    if not isinstance(secrets, dict):
        raise RequestInvalid(reason="secrets is not a mapping")
    # A password under another name would make an unencrypted image.
    refuse_unknown(secrets, IMAGE_SECRETS, ["secrets.%s" % key for key in IMAGE_SECRETS], "secrets")
    fields = Fields(secrets)
    texts = {name: fields.text(name, is_secret=True) for name in IMAGE_SECRETS}
    for name, text in texts.items():
        # Half a character, as some terminals make it; an error that names the place would hold the password.
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise RequestInvalid(reason="imaging_%s contains text that is not valid Unicode" % name)
    return Passwords(
        password=texts["password"] or None,
        previous=texts["password_previous"] or None,
        new_key=document.yes("new_key"),
        allow_clear=document.yes("allow_clear"),
    )


def job_of(document: Fields) -> str:
    """The job that makes an image; the default one where the request names none."""
    return job_name.parse(document.given("job"))


def chosen_job(document: Fields) -> Optional[str]:
    """The job whose newest image ``latest`` is; or None for the newest of the device, of any job."""
    return job_of(document) or None


def image_of(document: Fields, device: str, storage: StorageSettings, default: str = LATEST) -> str:
    """The image that is meant: ``latest``, a name, a version of the archive, or ``default``.

    :raises ImageNotFound: for a text that can be the name of no image; nothing is asked for it.
    """
    image = document.text("image", default)
    if image in (LATEST, default) or is_image_name(image) or number_of(image) is not None:
        return image
    check_url(storage.url)
    raise ImageNotFound(device=device, image=shown(image), storage=storage.url)


def is_image_name(name: str) -> bool:
    """Whether an image can have this name: a moment that there is."""
    try:
        return IMAGE_NAME.fullmatch(name) is not None and bool(datetime.datetime.strptime(name, NAME_PATTERN))
    except ValueError:
        return False


def policy_of(document: Fields, *, of_all_jobs: bool = False) -> Policy:
    """Return the policy of the rollover after a run of the request's job.

    :param of_all_jobs: also of each job in ``jobs`` that says how many of its images remain: the operator's rollover.
    :raises RequestInvalid, JobNameInvalid, JobNamesTwice, ForgottenJobDefined: what can't be meant.
    """
    own = job_of(document)
    keeps = _defined_jobs(document)
    keep = {own: document.whole("keep", _KEEP, 1)}
    if keeps is not None and of_all_jobs:
        keep = dict({job: number for job, number in keeps.items() if number is not None}, **keep)
    forgotten = frozenset(job_name.parse(one) for one in document.entries("forget_jobs"))
    for job in forgotten:
        if job in keep or job in (keeps or {}):
            raise ForgottenJobDefined(job=job_name.shown(job))
    disks = frozenset(forgotten_ids(_forgotten_disks(document)))
    return Policy(keep, None if keeps is None else frozenset(keeps), forgotten, disks)


def _defined_jobs(document: Fields) -> Optional[Dict[str, Optional[int]]]:
    """The jobs of the inventory, each with the number of images to keep if given; or None if they are unknown."""
    if document.given("jobs") is None:
        return None
    found: Dict[str, Optional[int]] = {}
    for place, entry in enumerate(document.entries("jobs")):
        given = entry if isinstance(entry, dict) else {"name": entry}
        where = "jobs[%d]" % place
        refuse_unknown(given, JOB_KEYS, ["%s.%s" % (where, key) for key in JOB_KEYS], where)
        fields = Fields(given)
        name = job_name.parse(fields.given("name"))
        if not name:
            raise RequestInvalid(reason="a job in imaging_jobs has no name")
        if name in found:
            raise JobNamesTwice(job=name)
        found[name] = None if fields.given("keep") is None else fields.whole("keep", _KEEP, 1)
    return found


def _forgotten_disks(document: Fields) -> List[str]:
    listed = document.entries("forget_disks")
    if not all(isinstance(one, str) and one.strip() for one in listed):
        raise RequestInvalid(reason="imaging_forget_disks must be a list of disk ids")
    return listed


def partitions_of(fields: Fields, key: str) -> List[str]:
    """A list of partitions, each a number or a name."""
    given = fields.entries(key, "a list of partitions") if fields.given(key) is not None else []
    if not all(isinstance(one, (str, int)) and not isinstance(one, bool) for one in given):
        raise RequestInvalid(reason="imaging_restore_%s must be a list of partitions" % key)
    return [str(one) for one in given]


def wishes_of(fields: Fields) -> Wishes:
    """The wishes of a restore for a target of another size or with other ids."""
    grow = fields.given("grow")
    if isinstance(grow, int) and not isinstance(grow, bool):
        grow = str(grow)
    if grow in (None, False, "", "none"):
        grow = ""
    elif not isinstance(grow, str) or not _GROW.fullmatch(grow):
        raise RequestInvalid(reason="imaging_restore_grow must be last, system or the number of a partition")
    scratch = fields.text("scratch")
    if scratch and not os.path.isabs(scratch):
        raise RequestInvalid(reason="imaging_restore_scratch must be the absolute path of a directory")
    identity = fields.given("identity")
    if identity not in (None, "", *IDENTITIES):
        raise RequestInvalid(reason="imaging_restore_identity must be keep or new")
    only = tuple(partitions_of(fields, "partitions"))
    shrink = fields.yes("shrink", "restore_shrink")
    free_space = fields.given("free_space")
    if free_space not in (None, "", *FREE_SPACE):
        raise RequestInvalid(reason="imaging_restore_free_space must be keep, discard or zero")
    fallback = _fallback_of(fields.given("boot_fallback"))
    return Wishes(grow, shrink, scratch, identity == NEW, only, fallback, free_space or KEEP)


def _fallback_of(given: Any) -> str:
    """No, yes, or the path of a loader with any kind of slashes, as both the firmware and Linux write it."""
    text = "yes" if given is True else "" if given in (None, False) else given
    if not isinstance(text, str):
        raise RequestInvalid(reason="imaging_restore_boot_fallback must be no, yes or the path of a boot loader")
    if text.lower() in ("", "no", "false"):
        return ""
    if text.lower() in ("yes", "true"):
        return YES
    path = text.replace("\\", "/").strip("/")
    if not _LOADER.fullmatch(path):
        raise RequestInvalid(
            reason="imaging_restore_boot_fallback must be no, yes or the path of a boot loader, such as EFI/debian/shimx64.efi"
        )
    return path


def read_rate_of(fields: Fields) -> Optional[float]:
    """Return the limit of reading, bytes a second, or None for ``auto``."""
    if not fields.has("limit_read_rate") or fields.given("limit_read_rate") == _AUTO:
        return None
    return fields.rate("limit_read_rate")


def read_floor_of(fields: Fields) -> float:
    """Return the floor of ``auto``, bytes a second."""
    given = fields.number("limit_read_rate_floor", 0, _FASTEST_FLOOR_MEGABYTES)
    return FLOOR_BYTES_PER_SECOND if given is None else given * 1e6


def window_of(fields: Fields, timestamp: str) -> Optional[Window]:
    """Return the hours in which the run is to be made, with what is left of them when it starts."""
    try:
        return window_at(fields.text("window"), timestamp)
    except ValueError as error:
        raise fields.refuse("window", "is %s: %s" % (shown(fields.given("window")), error)) from None
