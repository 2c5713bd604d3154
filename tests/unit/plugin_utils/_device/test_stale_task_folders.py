# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of killed tasks: which of them are deleted, and that nothing else ever is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._device import stale_task_folders

NAME = "ansible-tmp-1790000000.5-%d-123"


def make(parent: Path, number: int, mark: str) -> str:
    folder = parent / (NAME % number)
    folder.mkdir()
    (folder / mark).touch()
    return str(folder)


def marked_by_a_process_that_ended() -> str:
    code = "from %s import mark; print(mark(), end='')" % stale_task_folders.__name__
    done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def listed(folder: str) -> str:
    words = ["/bin/sh", "-c", stale_task_folders.MARK_AND_LIST, "sh", folder, stale_task_folders.mark()]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def of_another_controller(mark: str) -> str:
    return mark.replace(mark.split("-")[2], "f" * 16)


def test_what_a_killed_task_left_is_found_and_what_a_living_one_uses_is_not(tmp_path: Path) -> None:
    ended = marked_by_a_process_that_ended()
    killed = make(tmp_path, 1, ended)
    make(tmp_path, 2, stale_task_folders.mark())
    make(tmp_path, 3, of_another_controller(ended))
    old = make(tmp_path, 4, of_another_controller(ended))
    os.utime(os.path.join(old, of_another_controller(ended)), (time.time() - 2 * 86400,) * 2)
    make(tmp_path, 5, "AnsiballZ_setup.py")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / ended).touch()
    mine = tmp_path / (NAME % 6)
    mine.mkdir()
    assert sorted(stale_task_folders.left(listed(str(mine)), str(mine))) == [killed, old]
    assert (mine / stale_task_folders.mark()).exists()


def test_a_process_that_has_the_number_of_a_killed_one_is_another(tmp_path: Path) -> None:
    head, dummy_start = stale_task_folders.mark().rsplit("-", 1)
    killed = make(tmp_path, 1, head + "-1")
    mine = tmp_path / (NAME % 2)
    mine.mkdir()
    assert stale_task_folders.left(listed(str(mine)), str(mine)) == [killed]


@pytest.mark.parametrize(
    "place",
    [
        "/etc",
        "/home/tech/.ansible/tmp",
        "/home/tech/.ansible/tmp/ansible-tmp-1-2-3/../../..",
        "/home/tech/.ansible/tmp/ansible-tmp-1-2-3;reboot",
        "/home/tech/.ansible/tmp/notes",
        "/home/tech/.ansible/tmp/sub/ansible-tmp-1-2-3",
        "ansible-tmp-1-2-3",
        "-rf /",
        "",
    ],
)
def test_a_device_that_lies_about_it_has_nothing_else_deleted(place: str) -> None:
    folder = "/home/tech/.ansible/tmp/ansible-tmp-7-8-9"
    mark = of_another_controller(marked_by_a_process_that_ended())
    assert stale_task_folders.left("marked=old=%s/%s\n" % (place, mark), folder) == []


def test_a_flood_of_folders_is_bounded() -> None:
    mark = of_another_controller(marked_by_a_process_that_ended())
    lines = ("marked=old=/tmp/ansible-tmp-%d-2-3/%s" % (number, mark) for number in range(10_000))
    assert len(stale_task_folders.left("\n".join(lines), "/tmp/ansible-tmp-7-8-99999")) == 100
