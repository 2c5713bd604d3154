# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows an installation and a removal: old installations go, and the program deletes itself through another."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List

import pytest
from engine.agent import windows_install
from engine.agent.spool import Spool
from engine.agent.windows_install import deletion_line, main
from engine.errors import AgentFileFailed, ServiceNotStarted, WriteFilterActive
from engine.host import windows_services
from engine.host.windows_services import RUNNING, STOPPED
from engine.install import windows_switch
from engine.install.windows.document import File, make_document
from engine.install.windows_layout import REMOVING, image_of
from support.step_kills import Killed, Steps
from support.windows.memory_manager import CALLS, stand_in

BASE = "C:\\Program Files\\plantops-imaging"
SYSTEM = "C:\\Windows\\System32"


def test_the_deletion_ends_when_the_folder_is_gone_and_names_its_programs_in_full() -> None:
    line = deletion_line(BASE, ["0.9", "spool"], SYSTEM).replace("/", "\\")
    assert re.findall(r'"?([\w:\\ ]+)\.exe', line) == [SYSTEM + "\\cmd", SYSTEM + "\\ping"]
    delete, leave = line.index('rmdir \\s \\q "%s"' % BASE), line.index('if not exist "%s" exit' % BASE)
    assert line.index("do (") < delete < leave
    assert "for \\l %i in" in line
    for name in ("0.9", "spool"):
        path = "%s\\%s" % (BASE, name)
        assert line.index('rmdir \\s \\q "%s"' % path) < line.index('if not exist "%s" ' % path) < delete, (
            "the mark of the removal went before the directory"
        )


def installed(base: Path, monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """Four installations, of which the last two are the current one and the one before."""
    base.chmod(0o700)
    Spool(str(base)).prepare()
    names = []
    for number in range(4):
        document = make_document("0.%d" % number, "windows-amd64", "3.13.2", [File("a", "0" * 64, 5, "")])
        (base / document.identity).mkdir()
        (base / document.identity / "bundle.json").write_bytes(document.raw)
        names.append(document.identity)
    (base / "previous").write_text(names[2])
    (base / "current").write_text(names[3])
    for name in ("check_above", "check_base"):
        monkeypatch.setattr(windows_install, name, lambda dummy: None)
    return names


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> Dict[str, Any]:
    main(list(words))
    return dict(json.loads(capsys.readouterr().out))


def left(base: Path) -> List[str]:
    return sorted(path.name for path in base.iterdir() if path.name.startswith("0."))


def test_a_switch_deletes_old_installations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = installed(tmp_path, monkeypatch)
    words = ("switch", "--base", str(tmp_path), "--to", names[3])

    def fail(dummy_base: str, dummy_identity: str) -> Dict[str, Any]:
        raise ServiceNotStarted(service="s", reason="r")

    monkeypatch.setattr(windows_install, "switch", fail)
    assert not ask(capsys, *words)["ok"]
    assert left(tmp_path) == names
    monkeypatch.setattr(windows_install, "switch", lambda base, identity: {"ok": True, "installed": identity})
    assert ask(capsys, *words)["ok"]
    assert left(tmp_path) == names[2:]


def test_a_first_start_settles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = installed(tmp_path, monkeypatch)
    asked: List[Any] = []

    def refuse(*words: Any) -> None:
        asked.append(words)
        raise WriteFilterActive(filter="UWF", volume="C:", disable="d", enable="e")

    monkeypatch.setattr(windows_install, "check_device", refuse)
    answer = ask(capsys, "settle", "--base", str(tmp_path))
    assert (answer["ok"], answer["code"]) == (False, WriteFilterActive.code)
    assert asked == [("windows-amd64", str(tmp_path), 0)]
    monkeypatch.setattr(windows_install, "check_device", lambda *dummy: None)
    answer = ask(capsys, "settle", "--base", str(tmp_path))
    assert (answer["ok"], answer["changed"], answer["installed"]) == (True, False, names[3])
    assert left(tmp_path) == names[2:]


@pytest.mark.parametrize("moment", ["before", "during"])
def test_a_base_that_somebody_else_deletes_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    installed(base, monkeypatch)
    rmtree = shutil.rmtree

    def late(path: str) -> None:
        """The walk meets a folder that cmd.exe has deleted since it was listed."""
        rmtree(path)
        raise FileNotFoundError(2, "The system cannot find the path specified", path)

    monkeypatch.setattr(windows_install, "delete", lambda: rmtree(str(base)) if moment == "before" else None)
    monkeypatch.setattr(windows_install, "shutil", SimpleNamespace(rmtree=late))
    assert windows_install.remove(str(base))["changed"]
    assert not base.exists()


def test_a_base_that_stays_is_an_error_of_its_removal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch)

    def refuse(path: str) -> None:
        raise OSError(22, "Invalid argument", path)

    monkeypatch.setattr(windows_install, "delete", lambda: None)
    monkeypatch.setattr(windows_install, "shutil", SimpleNamespace(rmtree=refuse))
    monkeypatch.setattr(windows_install, "_DELETE_SECONDS", 0.0)
    with pytest.raises(AgentFileFailed):
        windows_install.remove(str(tmp_path))
    assert tmp_path.exists()


def is_killed_at(base: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Remove the agent; the process is killed before its step of this number, if it has so many."""
    left = Steps(steps)

    def delete_tree(path: str) -> None:
        left.step()
        file = next((one for one in sorted(Path(path).rglob("*")) if one.is_file()), None)
        if file is not None:
            file.unlink()
        left.step()
        shutil.rmtree(path)

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(windows_services, name, left.counted(getattr(windows_services, name)))
        patch.setattr(windows_install, "shutil", SimpleNamespace(rmtree=delete_tree))
        for name in ("write_bytes", "remove_file"):
            patch.setattr(windows_install, name, left.counted(getattr(windows_install, name)))
        try:
            windows_install.remove(str(base))
        except Killed:
            return True
    return False


@pytest.mark.parametrize("verb", ["remove", "install"])
@pytest.mark.parametrize("loses_power", [False, True])
def test_a_removal_that_is_killed_at_any_step_is_completed_by_the_next_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, loses_power: bool
) -> None:
    for name in ("check_above", "check_base"):
        monkeypatch.setattr(windows_install, name, lambda dummy: None)
    monkeypatch.setattr(windows_install, "make_base", lambda base: os.makedirs(base, 0o700, exist_ok=True))
    identity, steps, is_killed = bundle(tmp_path / "stick"), 0, True
    while is_killed:
        base = tmp_path / ("base-%d" % steps)
        manager = stand_in(base, monkeypatch)
        assert windows_install.install(str(base), str(tmp_path / "stick"))["changed"]
        files = sorted(base.rglob("*"))
        is_killed = is_killed_at(base, steps, monkeypatch)
        is_untouched = sorted(base.rglob("*")) == files and manager.is_automatic and manager.state == RUNNING
        is_over = not base.exists() or list(base.iterdir()) == []
        if loses_power and manager.image:
            manager.state = STOPPED
            if manager.is_automatic and (base / identity / "python" / "python.exe").exists():
                manager.start("")
        assert is_untouched or is_over or windows_install.status(str(base))["interrupted"], "step %d" % steps
        words = ["--from", str(tmp_path / "stick")] if verb == "install" else []
        answer = windows_install._answer(parsed(verb, *words), str(base))
        assert answer["ok"]
        assert is_untouched or is_over or answer["interrupted"], "step %d" % steps
        if verb == "remove":
            assert (base.exists(), manager.image) == (False, None), "step %d" % steps
        else:
            assert windows_switch.is_in_use(str(base), identity), "step %d" % steps
            assert manager.is_automatic, "step %d" % steps
            assert not windows_install.status(str(base))["interrupted"]
        steps += 1
    assert steps > 12, "the steps of a removal were not counted"


def test_a_removal_that_is_refused_leaves_no_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch)

    def refuse() -> None:
        raise ServiceNotStarted(service="s", reason="r")

    monkeypatch.setattr(windows_install, "delete", refuse)
    with pytest.raises(ServiceNotStarted):
        windows_install.remove(str(tmp_path))
    assert not (tmp_path / REMOVING).exists()


def parsed(verb: str, *words: str) -> argparse.Namespace:
    found = dict(zip(words[::2], words[1::2]))
    return argparse.Namespace(verb=verb, folder=found.get("--from", ""), identity="")


class Service:
    """A service whose process holds the installation that it runs from."""

    def __init__(self, image: str) -> None:
        self.image = image
        self.orders: List[str] = []


def bundle(folder: Path) -> str:
    files = []
    for name, content in (("code/a.py", b"pass\n" * 50), ("python/python.exe", b"MZ" + bytes(100))):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        files.append(File(name, hashlib.sha256(content).hexdigest(), len(content), ""))
    document = make_document("0.9.1", "windows-amd64", "3.13.2", files)
    (folder / "bundle.json").write_bytes(document.raw)
    return document.identity


@pytest.mark.parametrize("serves", [True, False])
def test_a_damaged_copy_of_the_same_version_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serves: bool
) -> None:
    base, identity = tmp_path / "base", bundle(tmp_path / "stick")
    base.mkdir()
    service = Service(image_of(str(base), identity if serves else "0.1-" + "0" * 16))
    monkeypatch.setattr(windows_install, "query", lambda: service)
    monkeypatch.setattr(windows_install, "stop", lambda: service.orders.append("stop"))
    monkeypatch.setattr(windows_install, "start", lambda: service.orders.append("start"))
    monkeypatch.setattr(windows_install, "prepare", lambda dummy: {})
    assert windows_install.copy(str(base), str(tmp_path / "stick"))["changed"]
    assert not windows_install.copy(str(base), str(tmp_path / "stick"))["changed"]
    place = base / identity
    for damage in (lambda: (place / "code" / "a.py").write_bytes(bytes(250)), (place / "bundle.json").unlink):
        service.orders.clear()
        damage()
        assert windows_install.copy(str(base), str(tmp_path / "stick"))["changed"]
        assert windows_install.check_files(str(place)).identity == identity
        assert service.orders == (["stop", "start"] if serves else [])
    assert [path.name for path in base.iterdir()] == [identity]


def test_a_damaged_copy_in_use_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, identity = tmp_path / "base", bundle(tmp_path / "stick")
    base.mkdir()
    service = Service(image_of(str(base), identity))
    monkeypatch.setattr(windows_install, "query", lambda: service)
    monkeypatch.setattr(windows_install, "stop", lambda: service.orders.append("stop"))
    monkeypatch.setattr(windows_install, "start", lambda: service.orders.append("start"))
    monkeypatch.setattr(windows_install, "prepare", lambda dummy: {})
    windows_install.copy(str(base), str(tmp_path / "stick"))
    (base / identity / "code" / "a.py").write_bytes(b"")

    def refuse(old: str, new: str) -> None:
        if old == str(base / identity):
            raise PermissionError(13, "The process cannot access the file")
        rename(old, new)

    rename = windows_install.os.rename
    monkeypatch.setattr(windows_install.os, "rename", refuse)
    with pytest.raises(AgentFileFailed):
        windows_install.copy(str(base), str(tmp_path / "stick"))
    assert service.orders == ["stop", "start"]
    assert [path.name for path in base.iterdir()] == [identity]
