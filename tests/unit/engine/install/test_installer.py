# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installations: whole or not at all, the previous one kept, nothing left by a failure or a removal."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest
from engine.errors import (
    InstallationBroken,
    InstallationBusy,
    InstallationFull,
    InstallationLibraryTooOld,
    InstallationPartInvalid,
    InstallationPlatformDiffers,
    InstallationPythonUnfit,
    InstallationRunLives,
)
from engine.install import home, installer, probe
from support.bundles import AGENT_MAIN, SmallBundle, answers, tree

pytestmark = pytest.mark.usefixtures("ordinary_umask")


def test_an_installation_is_made_updated_and_pruned(tmp_path: Path) -> None:
    base = tmp_path / "agent"
    first, second, third = SmallBundle("1.0"), SmallBundle("2.0"), SmallBundle("3.0")
    assert first.install(base) == {"ok": True, "changed": True, "installed": first.identity, "replaced": None}
    assert json.loads(answers(sys.executable, base, first.identity))["id"] == first.identity
    before = tree(base)
    assert first.install(base) == {"ok": True, "changed": False, "installed": first.identity, "replaced": None}
    assert tree(base) == before
    assert second.install(base)["replaced"] == first.identity
    assert third.install(base)["replaced"] == second.identity
    found = probe.probe(str(base))
    assert found["versions"] == [second.identity, third.identity]
    assert (found["current"], found["previous"]) == (third.identity, second.identity)
    used = {part.sha256 for bundle in (second, third) for part in bundle.document.parts}
    assert set(found["parts"]) == used, "what nothing refers to is gone, what both share is there once"
    assert second.install(base) == {
        "ok": True,
        "changed": True,
        "installed": second.identity,
        "replaced": third.identity,
    }, "going back needs no new installation"


def test_only_lacking_parts_have_to_be_sent(tmp_path: Path) -> None:
    base = tmp_path / "agent"
    SmallBundle("1.0").install(base)
    second = SmallBundle("2.0")
    dummy_engine, wheel = second.document.parts
    del second.contents[wheel.sha256]
    assert second.install(base)["changed"]
    third = SmallBundle("3.0")
    third.contents.clear()
    with pytest.raises(InstallationPartInvalid, match=r"engine\.zip"):
        third.install(base)
    assert answers(sys.executable, base, second.identity)


def test_a_part_that_was_damaged_on_the_device_is_taken_anew(tmp_path: Path) -> None:
    base = tmp_path / "agent"
    first = SmallBundle("1.0")
    first.install(base)
    part = base / "parts" / first.document.parts[1].sha256
    part.write_bytes(b"\0" * part.stat().st_size)
    SmallBundle("2.0").install(base)
    assert part.read_bytes() == first.contents[part.name]


def test_an_installation_that_does_not_work_any_more_is_made_anew(tmp_path: Path) -> None:
    base = tmp_path / "agent"
    bundle = SmallBundle()
    bundle.install(base)
    before = tree(base)
    (base / "versions" / bundle.identity / "engine" / "agent" / "main.py").unlink()
    for compiled in (base / "versions" / bundle.identity / "engine" / "agent" / "__pycache__").iterdir():
        compiled.unlink()
    assert bundle.install(base)["changed"]
    assert tree(base) == before


BROKEN = {
    "a syntax error": {"engine/agent/main.py": b"def main(:\n"},
    "another id": {
        "engine/agent/main.py": AGENT_MAIN.replace(b"installation}", b"base}").replace(b"installation,", b"base,")
    },
    "no answer": {"engine/agent/main.py": b"def main(arguments, installation, base):\n    return 0\n"},
    "an exit status": {"engine/agent/main.py": AGENT_MAIN.replace(b"return 0", b"return 3")},
    "a package that does not load": {"engine/_libraries.py": b"def load_all():\n    import no_such_package\n"},
    "no end": {"engine/agent/main.py": b"import time\n\n\ndef main(*arguments):\n    time.sleep(60)\n"},
}


@pytest.mark.parametrize("engine", BROKEN.values(), ids=BROKEN)
def test_a_broken_installation_is_never_activated_and_leaves_nothing(engine, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(installer, "_TRIAL_SECONDS", 2)
    base = tmp_path / "share" / "agent"
    with pytest.raises(InstallationBroken):
        SmallBundle("2.0", engine).install(base)
    assert list(tmp_path.iterdir()) == [], "not even the directories that were made for it"
    first = SmallBundle("1.0")
    first.install(base)
    before = tree(tmp_path)
    with pytest.raises(InstallationBroken):
        SmallBundle("2.0", engine).install(base)
    assert tree(tmp_path) == before


def test_a_removal_leaves_the_file_system_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    before = tree(tmp_path)
    base = tmp_path / "share" / "deep" / "agent"
    SmallBundle("1.0").install(base)
    SmallBundle("2.0").install(base)
    (base / "spool" / "run-1").mkdir(parents=True)
    (base / "spool" / "run-1" / "job.json").write_text("{}", encoding="ascii")
    assert installer.remove(str(base)) == {"ok": True, "changed": True}
    assert tree(tmp_path) == before
    assert installer.remove(str(base)) == {"ok": True, "changed": False}


def test_directories_that_others_use_by_now_stay(tmp_path: Path) -> None:
    base = tmp_path / "share" / "deep" / "agent"
    SmallBundle("1.0").install(base)
    (tmp_path / "share" / "of-others").mkdir()
    installer.remove(str(base))
    assert [path.name for path in (tmp_path / "share").iterdir()] == ["of-others"]


def test_while_a_run_lives_nothing_is_removed_or_pruned(tmp_path: Path) -> None:
    base = tmp_path / "agent"
    bundles = [SmallBundle("%d.0" % number) for number in (1, 2, 3, 4)]
    bundles[0].install(base)
    with open(base / "run.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for bundle in bundles[1:3]:
            assert bundle.install(base)["changed"], "an update is possible meanwhile"
        before = tree(base)
        with pytest.raises(InstallationRunLives):
            installer.remove(str(base))
        assert tree(base) == before
        assert probe.probe(str(base))["versions"] == [bundle.identity for bundle in bundles[:3]]
    bundles[3].install(base)
    assert probe.probe(str(base))["versions"] == [bundle.identity for bundle in bundles[2:]]
    installer.remove(str(base))
    assert list(tmp_path.iterdir()) == []


def test_two_at_once_are_not_let_in(tmp_path: Path) -> None:
    base = tmp_path / "agent"
    SmallBundle("1.0").install(base)
    with home.locked(str(base)):
        for work in (lambda: SmallBundle("2.0").install(base), lambda: installer.remove(str(base))):
            with pytest.raises(InstallationBusy):
                work()
    assert SmallBundle("2.0").install(base)["changed"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", str(mount)], check=True)
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


@pytest.mark.root
def test_a_file_system_that_gets_full_anywhere_is_one_error_and_leaves_what_was_there(small_disk: Path) -> None:
    base = small_disk / "agent"
    too_much = {"small/data": os.urandom(1 << 20)}
    with pytest.raises(InstallationFull):
        SmallBundle("1.0", wheel=too_much).install(base)
    assert list(small_disk.iterdir()) == []
    first, second = SmallBundle("1.0"), SmallBundle("2.0")
    first.install(base)
    before = tree(base)
    filler = small_disk / "filler"
    free_pages = 0
    while True:  # once for each page that it needs: it gets full while a part is stored, unpacked, compiled, activated
        filler.unlink(missing_ok=True)
        room = os.statvfs(small_disk)
        filler.write_bytes(b"x" * (room.f_bavail - free_pages) * room.f_frsize)
        try:
            second.install(base)
            break
        except InstallationFull:
            assert tree(base) == before
            assert json.loads(answers(sys.executable, base, first.identity))["ok"]
        free_pages += 1
    assert free_pages > 10
    assert json.loads(answers(sys.executable, base, second.identity))["ok"]


def test_what_is_too_old_or_of_another_kind_is_named(tmp_path: Path, monkeypatch) -> None:
    bundle = SmallBundle()
    document, open_part = bundle.document, bundle.open_part
    bases = str(tmp_path / "agent")

    def refused(error, **changes: str) -> str:
        with pytest.raises(error) as caught:
            installer.install(document._replace(**changes), open_part, bases)
        assert not os.path.exists(bases)
        return str(caught.value)

    assert "linux-riscv64-glibc-cp311" in refused(InstallationPlatformDiffers, platform="linux-riscv64-glibc-cp311")
    assert "needs 99.1 or newer" in refused(InstallationLibraryTooOld, libc="99.1")
    assert "3.99.2 or newer" in refused(InstallationPythonUnfit, python="3.99.2")
    monkeypatch.setattr(sys.implementation, "name", "pypy")
    assert "pypy" in refused(InstallationPythonUnfit)


def test_the_base_is_not_open_to_others_whatever_the_umask(tmp_path: Path) -> None:
    path = SmallBundle().write(tmp_path / "small.pyz")
    base = tmp_path / "share" / "agent"
    command = "umask 000; exec %s %s install --base %s" % (sys.executable, path, base)
    subprocess.run(["sh", "-c", command], check=True)
    assert base.stat().st_mode & 0o777 == 0o700
    assert probe.probe(str(base))["unsafe"] is None
