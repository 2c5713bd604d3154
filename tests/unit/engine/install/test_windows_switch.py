# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service changes to an installation that was tried, and back when that one does not work."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import List, Optional

import pytest
from engine.errors import AgentFileFailed, InstallationBroken, ServiceCallFailed, ServiceNotStarted
from engine.host import windows_services
from engine.host.windows_services import RUNNING, STOPPED
from engine.install import windows_switch
from engine.install.windows.document import File, make_document
from engine.install.windows_layout import image_of
from support.step_kills import Killed, Steps
from support.windows.memory_manager import MemoryManager, stand_in

OLDEST, OLD, NEW = "0.8.0-0000000000000000", "0.9.0-0123456789abcdef", "0.9.1-fedcba9876543210"


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryManager:
    (tmp_path / "service").mkdir()
    for identity in (OLDEST, OLD, NEW):
        (tmp_path / identity / "python").mkdir(parents=True)
        (tmp_path / identity / "python" / "python.exe").write_bytes(b"MZ")
    return stand_in(tmp_path, monkeypatch)


def current(manager: MemoryManager) -> Optional[str]:
    path = manager.base / "current"
    return path.read_text() if path.exists() else None


def test_a_first_installation_and_an_update(manager: MemoryManager) -> None:
    base = str(manager.base)
    assert windows_switch.switch(base, OLD)["replaced"] is None
    assert windows_switch.is_in_use(base, OLD)
    assert windows_switch.switch(base, NEW)["replaced"] == OLD
    assert (current(manager), (manager.base / "previous").read_text()) == (NEW, OLD)
    assert windows_switch.is_in_use(base, NEW)
    assert not windows_switch.is_in_use(base, OLD)


def test_an_update_that_ends_at_its_start_goes_back(manager: MemoryManager) -> None:
    windows_switch.switch(str(manager.base), OLD)
    manager.broken = [NEW]
    with pytest.raises(ServiceNotStarted):
        windows_switch.switch(str(manager.base), NEW)
    assert windows_switch.is_in_use(str(manager.base), OLD)


def test_a_first_installation_that_does_not_work_leaves_no_service(manager: MemoryManager) -> None:
    manager.broken = [OLD]
    with pytest.raises(ServiceNotStarted):
        windows_switch.switch(str(manager.base), OLD)
    assert (manager.image, current(manager)) == (None, None)


def test_a_refusal_of_windows_is_told_and_changes_nothing(manager: MemoryManager) -> None:
    manager.refused = "start"
    with pytest.raises(ServiceCallFailed, match="denied"):
        windows_switch.switch(str(manager.base), OLD)
    assert manager.image is None


def test_a_change_that_windows_refuses_leaves_no_stopped_service(manager: MemoryManager) -> None:
    windows_switch.switch(str(manager.base), OLD)
    manager.refused = "change"
    with pytest.raises(ServiceCallFailed):
        windows_switch.switch(str(manager.base), NEW)
    assert windows_switch.is_in_use(str(manager.base), OLD)


@pytest.mark.parametrize("name", ["previous", "current"])
@pytest.mark.parametrize("error", [AgentFileFailed(operation="Writing", path="p", reason="r"), KeyboardInterrupt()])
def test_what_fails_after_the_start_goes_back_too(
    manager: MemoryManager, name: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = str(manager.base)
    windows_switch.switch(base, OLDEST)
    windows_switch.switch(base, OLD)
    write = windows_switch.write_bytes
    failures = [error]

    def fail_once(path: str, data: bytes, durable: bool) -> None:
        if path.endswith(name) and failures:
            raise failures.pop()
        write(path, data, durable=durable)

    monkeypatch.setattr(windows_switch, "write_bytes", fail_once)
    with pytest.raises(type(error)):
        windows_switch.switch(base, NEW)
    assert windows_switch.is_in_use(base, OLD)
    assert (manager.base / "previous").read_text() == OLDEST


def is_killed_at(manager: MemoryManager, steps: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Switch to the new installation; the process is killed before its step of this number, if it has so many."""
    left = Steps(steps)
    with monkeypatch.context() as patch:
        for name in ("query", "change", "start", "stop"):
            patch.setattr(windows_services, name, left.counted(getattr(windows_services, name)))
        for name in ("write_bytes", "remove_file", "_go_back"):
            patch.setattr(windows_switch, name, left.counted(getattr(windows_switch, name)))
        try:
            windows_switch.switch(str(manager.base), NEW)
        except Killed:
            return True
        except ServiceNotStarted:
            assert manager.broken
    return False


@pytest.mark.parametrize("is_broken", [False, True])
@pytest.mark.parametrize("loses_power", [False, True])
def test_a_kill_at_each_step_leaves_an_agent_that_works(
    manager: MemoryManager, is_broken: bool, loses_power: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new installation passes its trial; ``is_broken``: its service does not start all the same."""
    base, works, steps, is_killed = str(manager.base), OLD if is_broken else NEW, 0, True
    windows_switch.switch(base, OLDEST)
    while is_killed:
        manager.broken = []
        windows_switch.switch(base, OLD)
        manager.broken = [NEW] if is_broken else []
        is_killed = is_killed_at(manager, steps, monkeypatch)
        if (
            loses_power or manager.state == STOPPED
        ):  # Windows starts its services; a controller starts one that is stopped
            manager.state = STOPPED
            manager.start("")
        assert is_broken or manager.state == RUNNING, "no agent runs after a kill before step %d" % steps
        try:
            windows_switch.switch(base, NEW)
        except ServiceNotStarted:
            assert is_broken
        assert windows_switch.is_in_use(base, works), "after a kill before step %d" % steps
        steps += 1
    assert steps > 8, "the steps of a switch were not counted"


def test_a_deletion_that_fails_leaves_a_service_that_starts_with_windows(
    manager: MemoryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows_switch.switch(str(manager.base), OLD)

    def refuse(dummy_name: str) -> bool:
        raise PermissionError(5, "Access is denied.")

    with monkeypatch.context() as patch:
        patch.setattr(windows_services, "stop", refuse)
        with pytest.raises(ServiceCallFailed):
            windows_switch.delete()
    assert (manager.is_automatic, manager.image is None) == (True, False)
    windows_switch.delete()
    assert (manager.is_automatic, manager.image) == (False, None), "Windows could start it before it was gone"


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_service_whose_deletion_a_loss_of_power_ended_starts_after_the_next_switch(
    manager: MemoryManager, is_broken: bool
) -> None:
    """Also where that switch goes back: the earlier installation has to start, too."""
    windows_switch.switch(str(manager.base), OLD)
    manager.state, manager.is_automatic = STOPPED, False
    manager.broken = [NEW] if is_broken else []
    if is_broken:
        with pytest.raises(ServiceNotStarted):
            windows_switch.switch(str(manager.base), NEW)
    else:
        windows_switch.switch(str(manager.base), NEW)
    assert manager.is_automatic
    assert windows_switch.is_in_use(str(manager.base), OLD if is_broken else NEW)


def test_a_process_that_was_started_during_the_deletion_is_ended(manager: MemoryManager) -> None:
    base = str(manager.base)
    windows_switch.switch(base, OLD)
    windows_switch.end_orphan(base)
    assert manager.ended == [1]
    windows_switch.end_orphan(base)  # it has ended: another process may have its number
    assert manager.ended == [1]


def test_files_that_a_loss_of_power_left_empty_are_found_before_the_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"import os" * 100
    document = make_document(
        "0.9.1", "windows-amd64", "3.13.2", [File("code/a.py", hashlib.sha256(data).hexdigest(), len(data), "")]
    )
    folder = tmp_path / document.identity
    (folder / "code").mkdir(parents=True)
    (folder / "bundle.json").write_bytes(document.raw)
    (folder / "code" / "a.py").write_bytes(data)
    stored: List[int] = []
    monkeypatch.setattr(windows_switch.os, "fsync", stored.append)
    windows_switch.store_files(str(tmp_path), document.identity)
    assert len(stored) == 1
    for damage in (bytes(len(data)), data[:-1], b""):
        (folder / "code" / "a.py").write_bytes(damage)
        with pytest.raises(InstallationBroken):
            windows_switch.store_files(str(tmp_path), document.identity)
    (folder / "code" / "a.py").unlink()
    with pytest.raises(InstallationBroken):
        windows_switch.store_files(str(tmp_path), document.identity)


@pytest.mark.parametrize(("orders", "ended"), [(3, []), (10**9, [1])])
def test_a_service_that_takes_no_order_is_asked_again_and_ended_at_last(
    manager: MemoryManager, orders: int, ended: List[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(windows_switch, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    windows_switch.switch(str(manager.base), OLD)
    manager.hangs = orders
    windows_switch.stop()
    assert (manager.state, manager.ended) == (STOPPED, ended)


def test_an_installation_that_fails_its_trial_touches_no_service(
    manager: MemoryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows_switch.switch(str(manager.base), OLD)
    monkeypatch.undo()
    monkeypatch.setattr(windows_services, "stop", lambda name: pytest.fail("the service was stopped"))
    with pytest.raises(InstallationBroken):
        windows_switch.switch(str(manager.base), NEW)  # its program is not there
    assert current(manager) == OLD


def test_a_trial_that_says_no_is_quoted(tmp_path: Path) -> None:
    program = tmp_path / NEW / "python" / "python.exe"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho the library x is missing; exit 3\n")
    program.chmod(0o755)
    with pytest.raises(InstallationBroken, match="missing"):
        windows_switch.try_out(str(tmp_path), NEW)
    program.write_text("#!/bin/sh\necho '{\"ok\": true}'\n")
    windows_switch.try_out(str(tmp_path), NEW)


def test_every_path_of_the_command_line_is_quoted() -> None:
    image = image_of("C:\\Program Files\\plantops-imaging", OLD)
    assert image.startswith('"')
    assert image.endswith(' "C:\\Program Files\\plantops-imaging"')
