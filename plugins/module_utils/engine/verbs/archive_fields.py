# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of a request that concern versions of the archive."""

from __future__ import annotations

from typing import List

from ..image.archive.find import number_of
from ..image.archive.rhythm import seconds_of
from ..image.archive.version_record import checked_text
from .fields import Fields, shown

ARCHIVE_STATES = ("present", "verified", "compared")


def versions_of(fields: Fields, is_required: bool) -> List[str]:
    """The two versions to compare, as ``v3``."""
    given = fields.entries("versions", "a list of two versions, such as [v1, v2]")
    if not given and not is_required:
        return []
    if len(given) != 2 or not all(isinstance(one, str) and number_of(one) for one in given):
        raise fields.refuse("versions", "must be a list of two versions, such as [v1, v2]")
    return given


def text_of_version(fields: Fields, key: str, most: int, may_break: bool = False) -> str:
    """A text for people that becomes part of a version for ever."""
    text = fields.text(key).strip()
    if len(text) > most:
        raise fields.refuse("archive_%s" % key, "must have at most %d characters" % most)
    try:
        return checked_text(text, key, may_break)
    except ValueError:
        raise fields.refuse("archive_%s" % key, "contains control characters") from None


def rhythm_of(fields: Fields) -> int:
    text = fields.text("every")
    try:
        return seconds_of(text)
    except ValueError:
        words = "is %s, not a number of hours, days or weeks such as 12h, 30d or 4w" % shown(text)
        raise fields.refuse("archive_every", words) from None
