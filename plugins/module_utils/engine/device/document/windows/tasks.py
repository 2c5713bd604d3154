# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``scheduled_tasks`` of Windows: the tasks of the task scheduler, as its cache in the registry has them.

The cache is in no page of Microsoft's; its values Actions and Triggers are laid out as dissect and "A Deep Dive into Windows
Scheduled Tasks" (cyber.wtf) describe them. Hash is the SHA-256 of the task's file, so that each change of it is seen.
"""

from __future__ import annotations

import struct
import uuid
from typing import Iterator, List, Optional, Tuple

from ..items import Item, Items, add
from ..masking import masked
from ..tree import Unreadable
from .reading import Reader, Values
from .system import file_data
from .task_files import MOST_BYTES, TaskFile, parse_task

_CACHE = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\Schedule\TaskCache"
_OF_WINDOWS = "\\Microsoft\\"
_MOST_TASKS, _MOST_DEPTH, _MOST_ACTIONS = 5000, 12, 32
_RUN, _COM, _MESSAGE = 0x6666, 0x7777, 0x9999
_FLAGS_AT, _ENABLED = 40, 0x400000


def read_tasks(reader: Reader) -> Items:
    """Return each task with what it runs. Windows rewrites many of its tasks, so their content is excluded.

    Windows 7 keeps the actions in the task's file only; they are unknown where that can't be read.
    """
    items: Items = {}
    for number, (path, task) in enumerate(_tree(reader, "", 0)):
        if number >= _MOST_TASKS:
            raise Unreadable("there are more than %d tasks" % _MOST_TASKS)
        values = reader.values(r"%s\Tasks\%s" % (_CACHE, task))
        file = parse_task(file_data(reader.system, "Tasks" + path, MOST_BYTES + 1))
        add(items, path, _item(path, values, file))
    return items


def _item(path: str, values: Values, file: Optional[TaskFile]) -> Item:
    is_own = path.startswith(_OF_WINDOWS)
    user, actions = actions_of(values.data("Actions"))
    commands = [masked(one) for one in actions] or (file.commands if file else [])
    start = _start(values)
    return {
        "kind": "task",
        "command": "; ".join(commands) if commands else None,
        "user": (file.user if file else "") or user,
        "schedule": file.schedule if file and not is_own else None,
        "start": ("enabled" if file.enabled else "disabled") if start is None and file else start,
        "content": None if is_own else values.data("Hash").hex()[:16],
    }


def _tree(reader: Reader, path: str, depth: int) -> Iterator[Tuple[str, str]]:
    """The path and the id of each task."""
    if depth > _MOST_DEPTH:
        raise Unreadable("the folders of tasks are deeper than %d" % _MOST_DEPTH)
    for name in reader.names(r"%s\Tree%s" % (_CACHE, path)):
        inside = "%s\\%s" % (path, name)
        task = reader.values(r"%s\Tree%s" % (_CACHE, inside)).text("Id")
        if task and "\\" not in task:
            yield inside, task
        yield from _tree(reader, inside, depth + 1)


def _start(values: Values) -> Optional[str]:
    triggers = values.data("Triggers")
    if len(triggers) < _FLAGS_AT + 4:
        return None
    return "enabled" if struct.unpack_from("<I", triggers, _FLAGS_AT)[0] & _ENABLED else "disabled"


def actions_of(data: bytes) -> Tuple[str, List[str]]:
    """Return the account that the actions run as, and the actions; what can't be read ends the list."""
    cursor = _Cursor(data)
    found: List[str] = []
    user = ""
    try:
        version = cursor.number("<H")
        if version >= 2:
            user = cursor.text()
        while not cursor.ended and len(found) < _MOST_ACTIONS:
            found.append(_action(cursor, version))
    except (struct.error, ValueError):
        return ("" if not found else user), found
    return user, found


def _action(cursor: _Cursor, version: int) -> str:
    kind = cursor.number("<H")
    cursor.text()  # the id of the action
    if kind == _RUN:
        words = [cursor.text() for dummy in range(3)]
        if version >= 3:
            cursor.number("<H")
        return " ".join(filter(None, words[:2]))
    if kind == _COM:
        handler = uuid.UUID(bytes_le=cursor.take(16))
        return ("COM handler {%s} %s" % (str(handler).upper(), cursor.text())).strip()
    if kind == _MESSAGE:
        return "message: %s" % " ".join(cursor.text() for dummy in range(2))
    raise ValueError("an action of another kind")


class _Cursor:
    """Reads a blob from its beginning, never past its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at >= len(self._data)

    def take(self, count: int) -> bytes:
        """:raises ValueError: when there are fewer."""
        if count > len(self._data) - self._at:
            raise ValueError("the blob ends early")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def text(self) -> str:
        return self.take(self.number("<I")).decode("utf-16-le", "replace")
