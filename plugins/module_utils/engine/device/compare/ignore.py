# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of what a comparison passes by: globs of section/key."""

from __future__ import annotations

import fnmatch
import re
from typing import Any, List, Pattern, Sequence, Tuple

from ...errors import CompareIgnoreInvalid
from ...nearest import nearest
from ..document.names import SECTIONS

_MOST_RULES = 1000
_MOST_CHARACTERS = 500


class Ignored:
    """The rules of a job. An asterisk stands for any text, a slash included."""

    def __init__(self, rules: Sequence[str]) -> None:
        self._patterns: Tuple[Pattern[str], ...] = tuple(re.compile(fnmatch.translate(rule)) for rule in rules)

    def covers(self, section: str, key: str) -> bool:
        text = "%s/%s" % (section, key)
        return any(pattern.match(text) for pattern in self._patterns)


def parse_rules(given: Any) -> List[str]:
    """Return the rules of imaging_compare_ignore.

    :raises CompareIgnoreInvalid: naming the entry that can't be meant.
    """
    if given is None or given == "":
        return []
    if not isinstance(given, list) or len(given) > _MOST_RULES:
        raise CompareIgnoreInvalid(entry=_shown(given), reason="it must be a list of at most %d rules" % _MOST_RULES)
    for entry in given:
        if not isinstance(entry, str) or not 0 < len(entry) <= _MOST_CHARACTERS:
            raise CompareIgnoreInvalid(entry=_shown(entry), reason="it is not text")
        section, slash, key = entry.partition("/")
        if not slash or not key:
            raise CompareIgnoreInvalid(entry=_shown(entry), reason="it is not of the form section/key")
        if not fnmatch.filter(SECTIONS, section):
            meant = nearest(section, SECTIONS, str)
            raise CompareIgnoreInvalid(
                entry=_shown(entry), reason="%s is not a section (did you mean %s?)" % (section, meant)
            )
    return list(given)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
