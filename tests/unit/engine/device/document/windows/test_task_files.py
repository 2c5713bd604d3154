# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of tasks, hostile ones too."""

from __future__ import annotations

import pytest
from engine.device.document.windows.task_files import MOST_BYTES, parse_task
from hypothesis import given
from hypothesis import strategies as st

TASK = '<Task xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">%s</Task>'


@pytest.mark.parametrize("coding", ["utf-16", "utf-8", "utf-8-sig", "utf-16-be"])
def test_every_coding_that_windows_writes(coding: str) -> None:
    mark = b"\xfe\xff" if coding == "utf-16-be" else b""
    data = mark + (TASK % "<Actions><Exec><Command>ü.exe</Command></Exec></Actions>").encode(coding)
    found = parse_task(data)
    assert found is not None
    assert found.commands == ["ü.exe"]
    assert found.enabled


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + TASK % "&b;",
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">' + TASK % "",
        "<Task>",
        "<Other/>",
        "",
        TASK % ("<a>" * 100),
    ],
)
@pytest.mark.parametrize("coding", ["utf-8", "utf-16"])
def test_what_is_not_a_task(text: str, coding: str) -> None:
    assert parse_task(text.encode(coding)) is None


def test_deep_and_large_files_end() -> None:
    deep = (TASK % ("<Triggers>%s%s</Triggers>" % ("<a>" * 20_000, "</a>" * 20_000))).encode()
    found = parse_task(deep)
    assert found is not None
    assert len(found.schedule) == 1
    assert parse_task(b" " * (MOST_BYTES + 1)) is None


@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    assert parse_task(b"\xff\xfe" + data) is None or data
