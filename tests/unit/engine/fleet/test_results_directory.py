# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of results: whole files, never another run's, and each run once."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from engine.fleet import results_directory
from engine.fleet.results_directory import NotWritten, leave, read

NAME = "2026-11-29_17-50-00-image.json"


def test_runs_of_the_same_second_do_not_collide(tmp_path: Path) -> None:
    directory = str(tmp_path / "results")
    with ThreadPoolExecutor(8) as pool:
        left = list(pool.map(lambda number: leave(directory, "pc", NAME, {"run": None, "n": number}), range(24)))
    assert len({one.path for one in left}) == 24
    assert sorted((read(one.path) or {})["n"] for one in left) == list(range(24))
    assert len(list((tmp_path / "results" / "pc").iterdir())) == 24, "nothing half-made is left"


def test_a_run_has_one_document_which_it_may_replace(tmp_path: Path) -> None:
    directory = str(tmp_path)
    first = leave(directory, "pc", NAME, {"run": "a"})
    other = leave(directory, "pc", NAME, {"run": "b"})
    assert other.path.endswith("image-2.json")
    again = leave(directory, "pc", NAME, {"run": "b", "state": "ok"})
    assert (again.path, again.changed) == (other.path, False)
    assert leave(directory, "pc", NAME, {"run": "a", "state": "failed"}, first.path).path == first.path
    assert read(first.path) == {"run": "a", "state": "failed"}
    assert read(other.path) == {"run": "b"}


def test_a_file_system_without_links_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*dummy: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    paths = [leave(str(tmp_path), "pc", NAME, {"n": number}).path for number in range(2)]
    assert [read(path) for path in paths] == [{"n": 0}, {"n": 1}]
    assert len(os.listdir(str(tmp_path / "pc"))) == 2


def test_what_cannot_be_is_refused_by_its_path(tmp_path: Path) -> None:
    for directory in ("relative", str(tmp_path / "a" / "b")):
        with pytest.raises(NotWritten) as caught:
            leave(directory, "pc", NAME, {})
        assert caught.value.path == directory
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(NotWritten):
        leave(str(tmp_path / "file"), "pc", NAME, {})
    assert sorted(os.listdir(str(tmp_path))) == ["file"]


def test_it_runs_alone_on_a_host_without_the_collection(tmp_path: Path) -> None:
    one = {"name": NAME, "document": {"run": None, "device": "Pr\u00fcfstand"}, "replaces": ""}
    order = {"directory": str(tmp_path / "r"), "device": "Pr\u00fcfstand", "documents": [one]}
    program = str(results_directory.__file__)
    for directory, ok in ((tmp_path / "r", True), (tmp_path / "x" / "y", False)):
        text = json.dumps(dict(order, directory=str(directory)))
        done = subprocess.run([sys.executable, "-I", program], input=text, capture_output=True, text=True, check=False)
        answer = json.loads(done.stdout)
        assert answer["ok"] is ok, done.stderr
        assert done.returncode == (0 if ok else 1)
    assert read(str(tmp_path / "r" / "Pr\u00fcfstand" / NAME)) == {"run": None, "device": "Pr\u00fcfstand"}
