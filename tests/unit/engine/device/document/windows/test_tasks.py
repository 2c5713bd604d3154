# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks of Windows from the registry and from their files."""

from __future__ import annotations

import struct
import uuid
from pathlib import Path

import pytest
from engine.device.document.tree import Unreadable
from engine.device.document.windows.tasks import actions_of, read_tasks
from hypothesis import given
from hypothesis import strategies as st
from support.windows.registries import Keys, reader

CACHE = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\Schedule\TaskCache"
FILE = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
 <Triggers><CalendarTrigger><StartBoundary>2026-01-01T22:00:00</StartBoundary>
 <ScheduleByDay><DaysInterval>1</DaysInterval></ScheduleByDay></CalendarTrigger></Triggers>
 <Principals><Principal id="a"><UserId>S-1-5-18</UserId></Principal></Principals>
 <Settings><Enabled>false</Enabled></Settings>
 <Actions Context="a"><Exec><Command>backup.exe</Command><Arguments>--password=hidden</Arguments></Exec></Actions>
</Task>"""


def text(words: str) -> bytes:
    data = words.encode("utf-16-le")
    return struct.pack("<I", len(data)) + data


def run(program: str, arguments: str = "") -> bytes:
    return struct.pack("<H", 0x6666) + text("") + text(program) + text(arguments) + text("")


def triggers(flags: int) -> bytes:
    return bytes(40) + struct.pack("<I", flags) + bytes(20)


def task(path: str, number: int, **values: bytes) -> Keys:
    name = "{%s}" % uuid.UUID(int=number)
    return {CACHE + r"\Tree" + path: {"Id": name}, CACHE + r"\Tasks\%s" % name: dict(values)}


def test_what_a_task_runs_as_whom_and_whether_it_starts() -> None:
    actions = struct.pack("<H", 3) + text("Author") + run("cmd.exe", "/c x --password=hidden") + struct.pack("<H", 0)
    keys = task(r"\plant\nightly", 1, Actions=actions, Triggers=triggers(0x42400000), Hash=b"\x01" * 32)
    keys.update(
        task(r"\Microsoft\Windows\Defrag", 2, Actions=actions, Triggers=triggers(0x42000000), Hash=b"\x02" * 32)
    )
    found = read_tasks(reader(keys))
    mine = found[r"\plant\nightly"]
    assert (mine["command"], mine["user"], mine["start"]) == ("cmd.exe /c x --password=***", "Author", "enabled")
    assert mine["content"] == "01" * 8
    assert found[r"\Microsoft\Windows\Defrag"]["start"] == "disabled"
    assert found[r"\Microsoft\Windows\Defrag"]["content"] is None, "Windows rewrites its own tasks"


def test_a_handler_has_its_class() -> None:
    which = uuid.uuid4()
    data = struct.pack("<HH", 1, 0x7777) + text("") + which.bytes_le + text("/x")
    assert actions_of(data) == ("", ["COM handler {%s} /x" % str(which).upper()])


def test_what_the_registry_of_windows_7_lacks_is_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "Tasks").mkdir()
    (tmp_path / "Tasks" / "nightly").write_bytes(FILE.encode("utf-16"))
    found = read_tasks(reader(task(r"\nightly", 1), folder=str(tmp_path)))[r"\nightly"]
    assert (found["command"], found["user"], found["start"]) == ("backup.exe --password=***", "S-1-5-18", "disabled")
    assert found["schedule"] == ["CalendarTrigger StartBoundary=2026-01-01T22:00:00 ScheduleByDay.DaysInterval=1"]


def test_without_either_the_command_is_unknown() -> None:
    found = read_tasks(reader(task(r"\nightly", 1)))[r"\nightly"]
    assert (found["command"], found["schedule"], found["start"]) == (None, None, None)


def test_a_tree_without_an_end_is_refused() -> None:
    with pytest.raises(Unreadable):
        read_tasks(reader({CACHE + r"\Tree" + r"\d" * 40: {}}))


@given(st.binary(max_size=200))
def test_no_actions_make_it_fail(data: bytes) -> None:
    user, found = actions_of(struct.pack("<H", 3) + data)
    assert isinstance(user, str)
    assert len(found) <= 32
