# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history in Git: a commit for each change of a device, none without one, and none lost with many devices at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest
from engine.device.history import HistoryRepository
from engine.errors import GitMissing, HistoryFailed, HistoryLocked
from support.paths import MODULE_UTILS

IMAGE = "2026-11-22_13-45-10"
_COMMIT = """
import sys
from engine.device.history import HistoryRepository
device, repository = sys.argv[1:]
for number in range(2):
    document = {"schema_version": 1, "sections": {"software": {"a": {"version": str(number)}}}, "unreadable": {}}
    HistoryRepository(repository).commit(device, document, "2026-11-22_13-45-10")
"""


def git(repository: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost", "-C", str(repository), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def document(version: str) -> Dict[str, Any]:
    return {"schema_version": 1, "sections": {"software": {"nginx": {"version": version}}}, "unreadable": {}}


@pytest.fixture(params=["bare", "tree"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "history"
    subprocess.run(["git", "init", "-q", *(["--bare"] if request.param == "bare" else []), str(path)], check=True)
    return path


def test_each_change_is_a_commit_and_the_same_again_is_none(repository: Path) -> None:
    history = HistoryRepository(str(repository))
    assert history.commit("press-07", document("1"), IMAGE, is_trial=True) == ""
    first = history.commit("press-07", document("1"), IMAGE)
    assert history.commit("press-07", document("1"), "2026-11-23_13-45-10") is None
    assert history.commit("press-07", document("1"), IMAGE, is_trial=True) is None
    second = history.commit("press-07", document("2"), "2026-11-24_13-45-10")
    history.commit("hall_press-08", document("1"), IMAGE)
    assert git(repository, "log", "--format=%H", "--", "press-07.json").split() == [second, first]
    assert git(repository, "ls-tree", "--name-only", "HEAD").split() == ["hall_press-08.json", "press-07.json"]
    assert json.loads(git(repository, "show", "HEAD:press-07.json")) == document("2")
    message = git(repository, "log", "-1", "--format=%an%n%B", str(second))
    assert message.splitlines()[:2] == ["plantops.imaging", "press-07: 1 difference"]
    assert "nginx" in message
    assert "Image: 2026-11-24_13-45-10" in message
    assert git(repository, "fsck", "--full", "--strict") == ""


def test_a_working_tree_has_the_file_and_keeps_other_work(repository: Path) -> None:
    if (repository / ".git").exists():
        (repository / "README").write_text("notes\n")
        HistoryRepository(str(repository)).commit("press-07", document("1"), IMAGE)
        HistoryRepository(str(repository)).commit("press-07", document("2"), IMAGE)
        assert json.loads((repository / "press-07.json").read_text()) == document("2")
        assert git(repository, "status", "--porcelain") == "?? README\n"
        git(repository, "add", "README")
        git(repository, "commit", "-q", "-m", "Notes")
    else:
        HistoryRepository(str(repository)).commit("press-07", document("2"), IMAGE)
    HistoryRepository(str(repository)).commit("press-08", document("1"), IMAGE)
    assert {"press-07.json", "press-08.json"} <= set(git(repository, "ls-tree", "--name-only", "HEAD").split())


def test_no_commit_is_lost_with_many_devices_at_once(repository: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _COMMIT, "press-%02d" % number, str(repository)],
            env={"PYTHONPATH": str(MODULE_UTILS), "PATH": "/usr/bin:/bin"},
        )
        for number in range(20)
    ]
    assert [process.wait(timeout=300) for process in processes] == [0] * 20
    assert len(git(repository, "log", "--format=%H").split()) == 40
    assert len(git(repository, "ls-tree", "--name-only", "HEAD").split()) == 20
    for number in range(20):
        assert json.loads(git(repository, "show", "HEAD:press-%02d.json" % number))["sections"]["software"] == {
            "a": {"version": "1"}
        }


def test_a_branch_that_another_program_moves_is_built_upon(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = HistoryRepository(str(repository))
    history.commit("press-07", document("1"), IMAGE)
    moves = history._moves
    moved = []

    def after_another(commit: str, parent: str) -> bool:
        if not moved:
            moved.append(parent)
            other = git(repository, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "Another").strip()
            git(repository, "update-ref", "HEAD", other)
        return moves(commit, parent)

    monkeypatch.setattr(history, "_moves", after_another)
    history.commit("press-07", document("2"), IMAGE)
    assert git(repository, "log", "--format=%s").splitlines() == [
        "press-07: 1 difference",
        "Another",
        "press-07: first device document",
    ]


@pytest.mark.parametrize("make", ["missing", "relative", "file", "plain folder"])
def test_what_is_not_a_repository_is_refused(make: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if make == "file":
        path.write_text("")
    elif make == "plain folder":
        path.mkdir()
    with pytest.raises(HistoryFailed):
        HistoryRepository("x" if make == "relative" else str(path))


def test_a_folder_inside_a_repository_is_not_one(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "inside").mkdir()
    with pytest.raises(HistoryFailed, match="inside"):
        HistoryRepository(str(tmp_path / "inside"))


def test_a_machine_without_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitMissing):
        HistoryRepository(str(tmp_path))


def test_a_document_of_somebody_else_in_the_file_is_replaced(repository: Path) -> None:
    history = HistoryRepository(str(repository))
    history.commit("press-07", {"sections": "not of this form"}, IMAGE)
    assert history.commit("press-07", document("1"), IMAGE)


def test_git_that_packs_for_minutes_neither_fails_nor_delays_a_commit(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = HistoryRepository(str(repository))
    run = subprocess.run

    def slow(command: List[str], **options: Any) -> Any:
        if "gc" in command:
            assert not any(word.startswith("gc.autoDetach") for word in command), "it goes on in the background"
            raise subprocess.TimeoutExpired(command, options["timeout"])
        return run(command, **options)  # pylint: disable=subprocess-run-check

    monkeypatch.setattr(subprocess, "run", slow)
    first = history.commit("press-07", document("1"), IMAGE)
    assert history.commit("press-07", document("2"), IMAGE) not in ("", None, first)
    assert len(git(repository, "log", "--format=%H").split()) == 2


def test_no_program_that_a_repository_names_is_run(repository: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho ran >> %s\n" % (tmp_path / "ran"))
    program.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(program))
    folder = repository / git(repository, "rev-parse", "--git-dir").strip() / "hooks"
    folder.mkdir(exist_ok=True)
    for name in ("post-checkout", "reference-transaction", "pre-auto-gc"):
        (folder / name).write_text(program.read_text())
        (folder / name).chmod(0o755)
    history = HistoryRepository(str(repository))
    history.commit("press-07", document("1"), IMAGE)
    history.commit("press-07", document("2"), IMAGE)
    assert not (tmp_path / "ran").exists()


def test_a_repository_of_the_newer_hashes_gets_its_first_commit(tmp_path: Path) -> None:
    path = tmp_path / "history"
    subprocess.run(["git", "init", "-q", "--object-format=sha256", "--bare", str(path)], check=True)
    commit = HistoryRepository(str(path)).commit("press-07", document("1"), IMAGE)
    assert git(path, "rev-parse", "HEAD").strip() == commit
    assert len(str(commit)) == 64


def test_a_link_in_the_place_of_the_lock_is_not_followed(repository: Path, tmp_path: Path) -> None:
    folder = repository / ".git" if (repository / ".git").is_dir() else repository
    (folder / "plantops-imaging-history.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HistoryFailed):
        HistoryRepository(str(repository)).commit("press-07", document("1"), IMAGE)
    assert not (tmp_path / "elsewhere").exists()


def test_names_that_git_might_read_otherwise_are_files_of_the_tree(repository: Path, tmp_path: Path) -> None:
    """Also where a link or a folder stands in the working tree: it is replaced, its target is left alone."""
    names = ["a\nb", ".git", "..", "-x", ":(glob)*", '"q"', "PC", "pc", "ÄÖ"]
    if (repository / ".git").is_dir():
        (tmp_path / "victim").write_text("v", encoding="ascii")
        (repository / "PC.json").symlink_to(tmp_path / "victim")
    history = HistoryRepository(str(repository))
    for name in names:
        assert history.commit(name, document("1"), IMAGE)
    listed = git(repository, "ls-tree", "-z", "--name-only", "HEAD").split("\0")[:-1]
    assert sorted(listed) == sorted(name + ".json" for name in names)
    git(repository, "fsck", "--strict")
    if (repository / ".git").is_dir():
        assert (tmp_path / "victim").read_text(encoding="ascii") == "v"
        assert not (repository / "PC.json").is_symlink()


def branch_lock(repository: Path) -> Path:
    """The lock that a git leaves which is killed while it moves the branch."""
    folder = repository if (repository / "HEAD").exists() else repository / ".git"
    return folder / (git(repository, "symbolic-ref", "HEAD").strip() + ".lock")


def test_the_lock_of_a_killed_git_is_named_and_goes_when_it_is_old(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.device.history._TRIES", 3)
    HistoryRepository(str(repository)).commit("press-07", document("1"), IMAGE)
    lock = branch_lock(repository)
    lock.write_bytes(b"")
    with pytest.raises(HistoryLocked) as caught:
        HistoryRepository(str(repository)).commit("press-07", document("2"), IMAGE)
    assert os.path.samefile(str(caught.value.fields["lock"]), str(lock))
    assert lock.exists(), "a git that works may hold it"
    old = time.time() - 3600
    os.utime(str(lock), (old, old))
    assert HistoryRepository(str(repository)).commit("press-07", document("2"), IMAGE)
    assert not lock.exists()
    assert json.loads(git(repository, "show", "HEAD:press-07.json")) == document("2")
    assert git(repository, "fsck", "--full", "--strict", "--no-dangling") == ""


def test_a_locked_index_is_named_and_the_file_comes_with_the_next_run(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    lock = tmp_path / ".git" / "index.lock"
    lock.write_bytes(b"")
    old = time.time() - 3600
    os.utime(str(lock), (old, old))
    with pytest.raises(HistoryLocked) as caught:
        HistoryRepository(str(tmp_path)).commit("press-07", document("1"), IMAGE)
    assert os.path.samefile(str(caught.value.fields["lock"]), str(lock))
    assert lock.exists(), "a person may write the message of a commit"
    lock.unlink()
    assert HistoryRepository(str(tmp_path)).commit("press-07", document("1"), IMAGE) is None
    assert json.loads((tmp_path / "press-07.json").read_text()) == document("1")


@pytest.mark.parametrize("work", ["edited", "added", "linked", "folder"])
def test_work_of_a_person_in_the_file_of_a_device_stays_while_its_document_is_the_same(
    tmp_path: Path, work: str
) -> None:
    repository, path = tmp_path / "history", tmp_path / "history" / "press-07.json"
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    history = HistoryRepository(str(repository))
    history.commit("press-07", document("1"), IMAGE)
    history.commit("press-07", document("2"), IMAGE)
    kept = path
    if work in ("edited", "added"):
        path.write_text(path.read_text() + "a note\n")
    else:
        path.unlink()
        kept = tmp_path / "notes" if work == "linked" else path / "notes"
        if work == "linked":
            path.symlink_to(kept)
        else:
            path.mkdir()
        kept.write_text("a note\n")
    if work == "added":
        git(repository, "add", "press-07.json")
    before, state = kept.read_text(), git(repository, "status", "--porcelain")
    assert history.commit("press-07", document("2"), IMAGE) is None
    assert (kept.read_text(), git(repository, "status", "--porcelain")) == (before, state)
    assert path.is_symlink() is (work == "linked")


def test_a_file_that_commits_behind_a_lock_could_not_renew_comes_with_the_next_run(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    history, path, lock = HistoryRepository(str(tmp_path)), tmp_path / "press-07.json", tmp_path / ".git" / "index.lock"
    history.commit("press-07", document("1"), IMAGE)
    lock.write_bytes(b"")
    for version in ("2", "3"):
        with pytest.raises(HistoryLocked):
            history.commit("press-07", document(version), IMAGE)
    lock.unlink()
    assert json.loads(path.read_text()) == document("1")
    assert history.commit("press-07", document("3"), IMAGE) is None
    assert json.loads(path.read_text()) == document("3")
    path.unlink()
    assert history.commit("press-07", document("3"), IMAGE) is None
    assert json.loads(path.read_text()) == document("3")
    assert git(tmp_path, "status", "--porcelain") == ""
