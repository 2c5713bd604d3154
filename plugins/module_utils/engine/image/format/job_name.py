# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of jobs: what a manifest may say of the job that made an image, and what a request may name."""

from __future__ import annotations

import unicodedata
from typing import Any

from ...errors import JobNameInvalid

DEFAULT = ""  # the job of the settings themselves; images of release 0.1.0 belong to it
MAX_CHARACTERS = 64


def why_invalid(name: str) -> str:
    """Return what is wrong with the name of a job, "" where nothing is; a name never becomes a path."""
    if not name or len(name) > MAX_CHARACTERS:
        return "a name has 1 to %d characters" % MAX_CHARACTERS
    if not name.isprintable():
        return "it contains a character that can't be printed"
    if name != name.strip():
        return "it begins or ends with a space"
    if name != unicodedata.normalize("NFC", name):
        return "it is not in the composed form of Unicode (NFC)"
    return ""


def parse(value: Any) -> str:
    """Return the name in a request, in composed form; an empty one is the default job.

    :raises JobNameInvalid: when it can't be a name.
    """
    if value is None or value == DEFAULT:
        return DEFAULT
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise JobNameInvalid(name=repr(value)[:MAX_CHARACTERS], reason="a name is text")
    name = unicodedata.normalize("NFC", str(value))
    reason = why_invalid(name)
    if reason:
        raise JobNameInvalid(name=ascii(name[:MAX_CHARACTERS]), reason=reason)
    return name


def shown(job: str) -> str:
    """The job as sentences call it."""
    return "the job %s" % job if job else "the default job"
