# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An installer that is killed at any of its file operations: nothing half is ever used, and the next one heals."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
from engine.install import installer, probe
from support.bundles import SmallBundle, tree
from support.killing import Moments, kill_in_child

# What CPython reports to audit hooks right before it is done; fsync is counted by Moments.
OPERATIONS = {"open", "os.mkdir", "os.rename", "os.chmod"}
DELETIONS = {"os.remove", "os.rmdir"}  # deleting a tree names what is in it without the folder
FIRST, SECOND = SmallBundle("1.0"), SmallBundle("2.0")


pytestmark = pytest.mark.usefixtures("ordinary_umask")


@pytest.fixture(autouse=True)
def no_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trials start two processes each; hundreds of installations are made here."""

    def run(command: List[str]) -> Tuple[Optional[str], str]:
        agent = Path(command[2])
        return None, json.dumps({"ok": agent.exists() or command[2] == "-c", "id": _identity(agent)})

    monkeypatch.setattr(installer, "_run", run)


def _identity(agent: Path) -> Optional[str]:
    found = [bundle.identity for bundle in (FIRST, SECOND) if agent.exists() and bundle.identity in agent.read_text()]
    return found[0] if found else None


def stepping(base: Path, work: Callable[[], object]) -> Callable[[Moments], object]:
    """Return ``work`` with a moment before each file operation below ``base``. Only for a child: the hook stays."""

    def run(moments: Moments) -> None:
        def hook(event: str, arguments: Tuple[Any, ...]) -> None:
            below = event in OPERATIONS and any(str(base.parent) in str(argument) for argument in arguments)
            if below or event in DELETIONS:
                moments.step()

        sys.addaudithook(hook)
        work()

    return run


def whole(base: Path, bundle: SmallBundle) -> Dict[str, Tuple[int, str]]:
    return tree(base / "versions" / bundle.identity)


def assert_usable(base: Path, expected: Dict[str, Dict[str, Tuple[int, str]]]) -> None:
    """Whatever is visible under an id is whole, and what ``current`` names is there."""
    found = probe.probe(str(base))
    assert found["unsafe"] is None
    for identity in found["versions"]:
        assert tree(base / "versions" / identity) == expected[identity]
    for name in ("current", "previous"):
        assert found[name] is None or found[name] in found["versions"], name


@pytest.fixture
def prepared(memory_path: Path) -> Dict[str, Dict[str, Tuple[int, str]]]:
    """What whole installations look like; as they lie under one base, for the compiled files hold their place."""
    base = memory_path / "agent"
    FIRST.install(base)
    SECOND.install(base)
    expected = {bundle.identity: whole(base, bundle) for bundle in (FIRST, SECOND)}
    installer.remove(str(base))
    return expected


@pytest.mark.parametrize("updating", [False, True], ids=["first", "update"])
def test_a_killed_installation_is_never_used_and_the_next_one_heals(
    updating: bool, memory_path: Path, prepared: Dict[str, Dict[str, Tuple[int, str]]]
) -> None:
    base = memory_path / "agent"

    def start() -> None:
        shutil.rmtree(base, ignore_errors=True)
        if updating:
            FIRST.install(base)

    start()
    moments = kill_in_child(stepping(base, lambda: SECOND.install(base)), None)
    assert moments is not None
    assert moments > 60
    after = tree(base)
    seen = set()
    for moment in range(1, moments + 1):
        start()
        assert kill_in_child(stepping(base, lambda: SECOND.install(base)), moment) is None
        if base.exists():
            assert_usable(base, prepared)
            seen.add(probe.read_name(str(base), "current"))
        SECOND.install(base)
        assert tree(base) == after, "after a kill at moment %d of %d" % (moment, moments)
    assert seen == {FIRST.identity if updating else None, SECOND.identity}


def test_a_killed_removal_leaves_nothing_half_in_use_and_the_next_one_ends_it(memory_path: Path) -> None:
    base = memory_path / "share" / "agent"

    def start() -> None:
        FIRST.install(base)
        SECOND.install(base)

    start()
    expected = {bundle.identity: whole(base, bundle) for bundle in (FIRST, SECOND)}
    moments = kill_in_child(stepping(base, lambda: installer.remove(str(base))), None)
    assert moments is not None
    assert moments > 20
    assert list(memory_path.iterdir()) == []
    for moment in range(1, moments + 1):
        start()
        assert kill_in_child(stepping(base, lambda: installer.remove(str(base))), moment) is None
        current = probe.probe(str(base))["current"]
        assert current is None or whole(base, SECOND) == expected[current]
        killed_late = not (base / "made").exists()  # its last three steps: empty directories above the base may stay
        if base.exists():
            installer.remove(str(base))
        assert not base.exists()
        if killed_late and base.parent.exists():
            assert moment >= moments - 2
            base.parent.rmdir()
        assert list(memory_path.iterdir()) == [], "after a kill at moment %d of %d" % (moment, moments)
