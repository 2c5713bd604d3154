# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of a request's document, each checked as it is taken out; nothing behind this file reads the document."""

from __future__ import annotations

import math
from typing import Any, Collection, Dict, List, Optional, TypeVar

from ..errors import RequestInvalid
from ..nearest import nearest

MOST_ENTRIES = 10_000
_FASTEST_MEGABYTES_PER_SECOND = 100_000  # more is a rate in bytes, which would be no limit at all
_MOST_NAMED = 5
_MOST_CHARACTERS = 80
_Document = Dict[str, Any]
Choice = TypeVar("Choice", bound=str)


class Fields:
    """The values of a mapping. ``prefix`` is what a user calls its keys with."""

    def __init__(self, document: _Document, prefix: str = "imaging_") -> None:
        self._document = document
        self._prefix = prefix

    def given(self, key: str) -> Any:
        """The value as it is, None where there is none."""
        return self._document.get(key)

    def has(self, key: str) -> bool:
        return key in self._document

    def refuse(self, key: str, words: str) -> RequestInvalid:
        return RequestInvalid(reason="%s%s %s" % (self._prefix, key, words))

    def yes(self, key: str, setting: str = "") -> bool:
        """An explicit yes to what could destroy something; the word "no" would count as one, so only true and false do.

        :param setting: what a user calls it, where that is not the key.
        """
        value = self.given(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.refuse(setting or key, "is %s, not true or false" % shown(value))

    def text(self, key: str, default: str = "", is_secret: bool = False) -> str:
        """A text, or a whole number as an inventory may write a name; an empty one is the default."""
        value = self.given(key)
        if value is None or value == "":
            return default
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise self.refuse(key, "must be text" + ("" if is_secret else ", not %s" % shown(value)))

    def choice(self, key: str, choices: Collection[Choice], default: Choice, setting: str = "") -> Choice:
        """One of ``choices``; ``setting`` as in :meth:`yes`."""
        value = self.given(key)
        if value is None or value == "":
            return default
        for choice in choices:
            if choice == value:
                return choice
        raise self.refuse(setting or key, "is %s, not one of %s" % (shown(value), ", ".join(choices)))

    def whole(self, key: str, default: int, least: int, most: Optional[int] = None) -> int:
        """A whole number, also as text."""
        value = self.given(key)
        if value is None:
            return default
        try:
            number = int(value)
            is_whole = not isinstance(value, bool) and (isinstance(value, str) or number == value)
        except (TypeError, ValueError, OverflowError):
            is_whole = False
        if not is_whole:
            raise self.refuse(key, "is %s, not a number" % shown(value))
        if number < least:
            raise self.refuse(key, "must be at least %d, not %d" % (least, number))
        if most is not None and number > most:
            raise self.refuse(key, "must be at most %d, not %d" % (most, number))
        return number

    def number(self, key: str, least: float, most: float) -> Optional[float]:
        """A number, also as text; or None if there is none."""
        value = self.given(key)
        if value is None:
            return None
        try:
            number = float("nan") if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = float("nan")
        if math.isnan(number):
            raise self.refuse(key, "is %s, not a number" % shown(value))
        if not least <= number <= most:
            raise self.refuse(key, "must be a number from %g to %g, not %s" % (least, most, shown(value)))
        return number

    def rate(self, key: str) -> float:
        """A rate in megabytes (10^6 bytes) a second as bytes a second; 0 means unlimited."""
        return (self.number(key, 0, _FASTEST_MEGABYTES_PER_SECOND) or 0.0) * 1e6

    def entries(self, key: str, what: str = "a list") -> List[Any]:
        value = self.given(key)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > MOST_ENTRIES:
            raise self.refuse(key, "must be %s" % what)
        return value

    def names(self, key: str) -> List[str]:
        given = self.entries(key, "a list of names") if self.given(key) else []
        if any(not isinstance(name, str) for name in given):
            raise self.refuse(key, "must be a list of names")
        return given

    def mapping(self, key: str) -> _Document:
        value = self.given(key)
        if not isinstance(value, dict):
            raise RequestInvalid(reason="%s is missing or not a mapping" % key)
        return value


def refuse_unknown(document: _Document, known: Collection[str], among: Collection[str], where: str = "") -> None:
    """Refuse keys that mean nothing: one that is misspelt would be a setting that is silently not obeyed.

    :param among: the names that could be meant, as a person would write them; of a dotted one the last part is compared.
    :param where: the name of the nested mapping, for the message.
    """
    unknown = [key for key in document if key not in known]
    if not unknown:
        return
    named = []
    for key in sorted(map(str, unknown))[:_MOST_NAMED]:
        meant = nearest(key[:_MOST_CHARACTERS], among, lambda name: name.rpartition(".")[2])
        named.append("unknown key %s%s (did you mean %s?)" % (where and where + ".", key[:_MOST_CHARACTERS], meant))
    more = len(unknown) - len(named)
    raise RequestInvalid(reason="; ".join(named + (["and %d more" % more] if more else [])))


def shown(value: Any) -> str:
    """A value as messages show it, cut short."""
    text = repr(value)
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."
