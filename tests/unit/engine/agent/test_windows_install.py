# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left to others after the installer's end: the deletion of the program that it is."""

from __future__ import annotations

import re

from engine.agent.windows_install import deletion_line

BASE = "C:\\Program Files\\plantops-imaging"
SYSTEM = "C:\\Windows\\System32"


def test_the_deletion_ends_when_the_folder_is_gone_and_names_its_programs_in_full() -> None:
    line = deletion_line(BASE, SYSTEM).replace("/", "\\")
    assert re.findall(r'"?([\w:\\ ]+)\.exe', line) == [SYSTEM + "\\cmd", SYSTEM + "\\ping"]
    delete, leave = line.index('rmdir \\s \\q "%s"' % BASE), line.index('if not exist "%s" exit' % BASE)
    assert line.index("do (") < delete < leave
    assert "for \\l %i in" in line
