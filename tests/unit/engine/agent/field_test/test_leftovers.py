# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of the field test goes as soon as nobody holds a file in it, and is waited for no longer than that."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, List

import pytest
from engine.agent.field_test import leftovers
from engine.agent.field_test.leftovers import remove_folder


def held_for(times: int, tries: List[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the folder can't be removed the first ``times``."""
    remove = shutil.rmtree

    def removed(path: str, **more: Any) -> None:
        tries.append(path)
        if len(tries) > times:
            remove(path, **more)

    monkeypatch.setattr(leftovers.shutil, "rmtree", removed)


def test_a_folder_that_is_held_for_a_moment_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("x")
    tries: List[str] = []
    held_for(2, tries, monkeypatch)
    assert remove_folder(str(tmp_path / "folder"))
    assert len(tries) == 3
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_held_for_good_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held_for(99, [], monkeypatch)
    assert not remove_folder(str(tmp_path), 0.3)
