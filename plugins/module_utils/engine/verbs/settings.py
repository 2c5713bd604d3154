# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a job, checked as they are taken out of its document."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from ..disk.patterns import Pattern
from ..errors import JobInvalid
from ..image.access import Passwords

_MAX_PATTERNS = 1000
_PASSWORDS = ("password", "password_previous")


def passwords_of(job: Dict[str, Any]) -> Passwords:
    secrets = job.get("secrets") or {}
    if not isinstance(secrets, dict):
        raise JobInvalid(reason="secrets is no mapping")
    unknown = sorted(set(secrets) - set(_PASSWORDS))
    if unknown:  # a password under another name would make an image in clear
        raise JobInvalid(reason="secrets has no %r; it takes %s" % (str(unknown[0]), " and ".join(_PASSWORDS)))
    for name in _PASSWORDS:
        # Half a character, as some terminals make it; an error that names the place would hold the password.
        if any("\ud800" <= character <= "\udfff" for character in str(secrets.get(name) or "")):
            raise JobInvalid(reason="imaging_%s holds what is no text of Unicode" % name)
    return Passwords(
        password=secrets.get("password") or None,
        previous=secrets.get("password_previous") or None,
        new_key=yes_of(job, "new_key"),
        allow_clear=yes_of(job, "allow_clear"),
    )


def yes_of(job: Dict[str, Any], key: str, setting: str = "") -> bool:
    """An explicit yes to what could destroy something.

    :param setting: what a user calls it, where that is not the key.
    :raises JobInvalid: for anything but true and false: the word "no" would count as a yes.
    """
    value = job.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise JobInvalid(reason="imaging_%s is %r, not true or false" % (setting or key, value))


def patterns_of(job: Dict[str, Any]) -> List[Pattern]:
    """:raises PatternInvalid: before anything is read, when a pattern is no path below a volume's root."""
    given = job.get("exclude") or []
    if not isinstance(given, list) or len(given) > _MAX_PATTERNS:
        raise JobInvalid(reason="imaging_exclude must be a list of at most %d patterns" % _MAX_PATTERNS)
    return [Pattern.parse(text) for text in given]


def mapping_of(job: Dict[str, Any], key: str) -> Dict[str, Any]:
    value = job.get(key)
    if not isinstance(value, dict):
        raise JobInvalid(reason="%s is missing or no mapping" % key)
    return value


def names_of(job: Dict[str, Any], key: str) -> List[str]:
    """:raises JobInvalid: when it is not a list of names."""
    given = job.get(key) or []
    if not isinstance(given, list) or any(not isinstance(name, str) for name in given):
        raise JobInvalid(reason="imaging_%s must be a list of names" % key)
    return given


def rate_of(job: Dict[str, Any], key: str) -> float:
    """A rate in megabytes (10^6 bytes) a second as bytes a second; 0 is no limit.

    :raises JobInvalid: when it is no number, or below 0.
    """
    value = job.get(key)
    try:
        rate = 0.0 if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        raise JobInvalid(reason="imaging_%s is %r, not a number" % (key, value)) from None
    if not 0 <= rate < 1e9:
        raise JobInvalid(reason="imaging_%s must be a number of MB/s from 0 on, not %r" % (key, value))
    return rate * 1e6


def number_of(job: Dict[str, Any], key: str, default: int, least: int, most: Optional[int] = None) -> int:
    value = job.get(key)
    if value is None:
        return default
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise JobInvalid(reason="imaging_%s is %r, not a number" % (key, value)) from None
    if number < least:
        raise JobInvalid(reason="imaging_%s must be at least %d, not %d" % (key, least, number))
    if most is not None and number > most:
        raise JobInvalid(reason="imaging_%s must be at most %d, not %d" % (key, most, number))
    return number
