# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``install.cmd``: plain ASCII with the line ends of Windows, and on Windows 7 it looks for what Python needs before it starts."""

from __future__ import annotations

import re

import pytest
from engine.install.windows.by_hand_script import field_test_cmd, install_cmd
from engine.install.windows.lock import windows_platform, windows_platforms


@pytest.mark.parametrize("name", windows_platforms())
def test_every_jump_has_its_mark_and_every_failure_its_code(name: str) -> None:
    text = install_cmd(windows_platform(name), "1.2.3").decode("ascii")
    assert text.count("\n") == text.count("\r\n")
    labels = set(re.findall(r"^:(\w+)\r$", text, re.MULTILINE))
    assert set(re.findall(r"goto (\w+)", text)) == labels
    wanted = {"A360", "A361", "A364"} if name.startswith("windows-7-") else {"A364"}
    assert set(re.findall(r"A3\d\d", text)) == wanted
    for line in text.splitlines():
        if line.startswith("echo ") and line.endswith("1>&2"):
            assert not re.search(r"(?<!\^)[()<>|]", line[: -len("1>&2")]), "cmd would not print it"


def test_the_field_test_starts_the_python_of_its_folder_and_nothing_else() -> None:
    text = field_test_cmd().decode("ascii")
    assert text.count("\n") == text.count("\r\n")
    commands = [
        line for line in text.splitlines() if line and not line.startswith(("rem ", "@echo", "setlocal", "set "))
    ]
    assert commands == ['"%~dp0python\\python.exe" -I -B -m engine.agent.field_test --to "%REPORT%" %*']
    assert 'set "REPORT=%USERPROFILE%\\plantops-field-test.json"' in text
