# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts that a name in a hosts file stands for, as Ansible expands its ranges and cuts off its port."""

from __future__ import annotations

import re
import string
from typing import List, Sequence

_MOST_HOSTS = 100_000
_PORT = re.compile(r"((?:[^:\[\]]|\[[^\[\]]*\])+):(\d+)")
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\]:\d+")  # IPv6, whose own colons are many
_RANGE = re.compile(r"\[([^\]]*)\]")


class BrokenRange(Exception):
    """A range that Ansible refuses, or in which there is no host."""


def expanded(pattern: str) -> List[str]:
    """Return the hosts of a pattern such as C(press-[01:50]), without a port. :raises BrokenRange:"""
    bracketed = _BRACKETED.fullmatch(pattern)
    if bracketed:
        return [bracketed.group(1)]
    port = _PORT.fullmatch(pattern)
    return _expanded(port.group(1) if port else pattern, _MOST_HOSTS)


def _expanded(pattern: str, most: int) -> List[str]:
    if "[" not in pattern:
        return [pattern]
    match = _RANGE.search(pattern)
    if match is None or "]" in pattern[: match.start()]:
        raise BrokenRange("a bracket of a range of hosts is missing")
    found: List[str] = []
    for middle in _middles(match.group(1)):
        found += _expanded(pattern[: match.start()] + middle + pattern[match.end() :], most - len(found))
        if len(found) >= most:
            raise BrokenRange("a range has more than %d hosts" % _MOST_HOSTS)
    return found


def _middles(text: str) -> Sequence[str]:
    """Return what stands in the place of a range, such as C(01:50), C(a:f) or C(1:9:2)."""
    bounds = text.split(":")
    if len(bounds) not in (2, 3) or not bounds[1]:
        raise BrokenRange("a range is written as [01:50], [a:f] or [1:9:2]")
    first, last = bounds[0] or "0", bounds[1]
    step = bounds[2] if len(bounds) == 3 else "1"
    width = len(first) if first[0] == "0" and len(first) > 1 else 0
    if width and width != len(last):
        raise BrokenRange("the begin and the end of a range with leading zeros need the same length")
    if not re.fullmatch("[1-9][0-9]{0,5}", step):
        raise BrokenRange("the step of a range is a number above 0")
    if first in string.ascii_letters and last in string.ascii_letters and len(first) == len(last) == 1:
        begin, end = string.ascii_letters.index(first), string.ascii_letters.index(last)
        found: Sequence[str] = list(string.ascii_letters[begin : end + 1 : int(step)])
    elif re.fullmatch("[0-9]{1,9}", first) and re.fullmatch("[0-9]{1,9}", last):
        numbers = range(int(first), min(int(last), int(first) + _MOST_HOSTS * int(step)) + 1, int(step))
        found = [str(number).zfill(width) for number in numbers]
    else:
        raise BrokenRange("both ends of a range are numbers or single letters")
    if not found:
        raise BrokenRange("the range ends before it begins, so there is no host in it")
    return found
