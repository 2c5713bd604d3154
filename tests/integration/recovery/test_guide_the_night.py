# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each command of "The night it is needed", typed on a terminal as it is printed, ends with the restored disk."""

from __future__ import annotations

import os
import pty
import re
from pathlib import Path
from typing import List, Tuple

import pytest
from support.imaging import PASSWORD, image
from support.paths import ROOT
from support.plain_disks import make_disk
from support.recovery import copy, program, python

GUIDES = ("guide_the_night.md", "guide_die_nacht.md")
_ANSWERS = ((b"Image password of pc: ", PASSWORD.encode()), (b"Type yes to continue: ", b"yes"))


def commands(name: str) -> List[str]:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("# ")]


def typed(line: str, folder: Path, programs: Path) -> Tuple[int, str]:
    """Run a line in a shell on a terminal of its own and answer what it asks."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(str(folder))
        path = "%s:/usr/sbin:/usr/bin:/sbin:/bin" % programs
        os.execve("/bin/sh", ["sh", "-c", line], {"PATH": path, "TERM": "linux", "LC_ALL": "C"})
    shown, answered = b"", 0
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
        for question, answer in _ANSWERS:
            if question in shown[answered:]:
                answered = len(shown)
                os.write(terminal, answer + b"\n")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode("utf-8", "replace")


def test_both_languages_have_the_same_commands_and_rows() -> None:
    assert len(commands(GUIDES[0])) == 6
    assert commands(GUIDES[0]) == commands(GUIDES[1])
    texts = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in GUIDES]
    assert len({len(re.findall(r"^(?:\||- |## )", text, flags=re.MULTILINE)) for text in texts}) == 1
    assert all(len(text.splitlines()) <= 80 for text in texts)  # one page


def test_the_commands_restore_the_disk(tmp_path: Path) -> None:
    disk, stick, target = tmp_path / "disk.raw", tmp_path / "stick", tmp_path / "restored.raw"
    make_disk(disk, 16, 8, 1)
    image(tmp_path / "storage", disk)
    copy(tmp_path / "storage", stick, program=str(program()))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python3").symlink_to(python("3.11"))
    shown = {}
    folder = tmp_path
    for line in commands(GUIDES[0]):
        words = line.replace("/media/stick", str(stick)).replace("press-07", "pc").replace("/dev/sdX", str(target))
        if words.startswith("cd "):
            folder = Path(words[len("cd ") :])
            continue
        status, shown[line] = typed(words, folder, programs)
        assert status == 0, shown[line]
        assert PASSWORD not in shown[line]
        assert target.exists() == (" restore " in line)
    assert target.read_bytes() == disk.read_bytes()
    assert "is intact" in next(text for line, text in shown.items() if " verify " in line)
    assert "Done" in next(text for line, text in shown.items() if " restore " in line)


@pytest.mark.parametrize("name", GUIDES)
def test_every_option_of_the_page_exists(name: str) -> None:
    from engine.recovery.arguments import parser

    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    options = set(re.findall(r"`(--[a-z-]+)", text)) - {"--user"}
    line = ["restore", ".", "pc", "--to", "disk0=/dev/sdX", "--user", "x"]
    for option in options:
        parser().parse_args([*line, option, *(["latest"] if option == "--image" else [])])
    assert {"--overwrite", "--damaged", "--image"} <= options
