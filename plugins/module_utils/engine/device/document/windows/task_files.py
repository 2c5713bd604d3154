# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of a task of Windows: when it starts, what it runs, as whom.

Source: [MS-TSCH] 2.5, "XML Schema". A file may come from a hostile program: it is parsed without entities.
"""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Optional
from xml.etree.ElementTree import Element, ParseError, fromstring

from ..masking import masked

MOST_BYTES = 256 << 10
_MOST_ENTRIES = 64
_CODINGS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig"))


class TaskFile(NamedTuple):
    """A task by its file; ``schedule`` has a text for each trigger."""

    schedule: List[str]
    commands: List[str]
    user: str
    enabled: bool


def parse_task(data: bytes) -> Optional[TaskFile]:
    """Return the task, None for what is not one."""
    if not data or len(data) > MOST_BYTES:
        return None
    coding = next(coding for mark, coding in _CODINGS if data.startswith(mark))
    text = data.decode(coding, "replace")
    if "<!" in text.replace("<!--", ""):
        return None  # a DOCTYPE, which no task has, may define entities that grow
    head, dummy, rest = text.partition("?>")
    try:
        root = fromstring(rest if head.lstrip().startswith("<?xml") else text)
    except (ParseError, ValueError):
        return None
    if _name(root) != "Task":
        return None
    enabled = [one.text for part in _parts(root, "Settings") for one in part if _name(one) == "Enabled"]
    principals = [one for part in _parts(root, "Principals") for one in part]
    users = [leaf.text or "" for one in principals for leaf in one if _name(leaf) in ("UserId", "GroupId")]
    actions = [one for part in _parts(root, "Actions") for one in part]
    triggers = [one for part in _parts(root, "Triggers") for one in part]
    return TaskFile(
        [" ".join([_name(one), *_leaves(one, "")]) for one in triggers[:_MOST_ENTRIES]],
        [masked(_command(one)) for one in actions[:_MOST_ENTRIES]],
        users[0].strip() if users else "",
        not any((word or "").strip().lower() in ("false", "0") for word in enabled),
    )


def _parts(root: Element, name: str) -> Iterator[Element]:
    return (one for one in root if _name(one) == name)


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _leaves(element: Element, path: str, depth: int = 0) -> Iterator[str]:
    for one in element:
        place = path + _name(one)
        if len(one) and depth < 8:
            yield from _leaves(one, place + ".", depth + 1)
        else:
            yield "%s=%s" % (place, (one.text or "").strip()) if (one.text or "").strip() else place


def _command(action: Element) -> str:
    parts = {_name(one): (one.text or "").strip() for one in action}
    if _name(action) == "Exec":
        return " ".join(filter(None, (parts.get("Command", ""), parts.get("Arguments", ""))))
    if _name(action) == "ComHandler":
        return " ".join(filter(None, ("COM handler", parts.get("ClassId", "").upper(), parts.get("Data", ""))))
    return _name(action)
