# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share. A missing program is a failure, never a skip."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Generator, List

import pytest
from engine.image.format.keys import MasterKey
from hypothesis import HealthCheck, settings
from support.order import place_of
from support.processor_time import PROPERTY, processor_seconds

os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
os.environ.setdefault("LC_ALL", "C.UTF-8")

# How long an example takes says more of the machine than of us.
settings.register_profile("plantops", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("plantops")


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    """Begin with the longest files."""
    items.sort(key=lambda item: place_of(item.nodeid))


_BEGAN = pytest.StashKey[float]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    item.stash[_BEGAN] = processor_seconds()
    yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Other work on the machine changes how long a test takes, but hardly how much of a processor it uses."""
    yield
    item.user_properties.append((PROPERTY, "%.2f" % (processor_seconds() - item.stash[_BEGAN])))


@pytest.fixture
def memory_path(tmp_path: Path):
    """A directory in memory where the machine has one: thousands of syncs to a real disk would take minutes."""
    if not os.path.isdir("/dev/shm"):
        yield tmp_path
        return
    folder = tempfile.mkdtemp(dir="/dev/shm", prefix="plantops-test-")
    yield Path(folder)
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def restoring_into_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain files in memory are no targets for users; tests restore there, but those that are about the rule."""
    if "rule_of_places" not in request.fixturenames:
        monkeypatch.setattr("engine.restore.target.refuse_file_off_disk", lambda path: None)


@pytest.fixture(autouse=True)
def cheap_key_derivation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new key slot takes 64 MiB and 0.2 s of scrypt, hundreds of times; here only where the cost itself is tested.

    Playbooks, agents and programs that tests start are processes of their own, with the cost that users have.
    """
    if "full_key_derivation" not in request.fixturenames:
        monkeypatch.setitem(MasterKey.new_slot.__kwdefaults__, "n", 1 << 4)


@pytest.fixture
def full_key_derivation() -> None:
    """New key slots cost what they cost users."""


@pytest.fixture
def rule_of_places() -> None:
    """The rule holds that plain files in memory are no targets."""


@pytest.fixture
def open_path():
    """A directory that other users get into: pytest's own are closed to them, and what lies there is out of their reach."""
    folder = tempfile.mkdtemp(dir="/var/tmp", prefix="plantops-test-")
    os.chmod(folder, 0o755)
    yield Path(folder)
    shutil.rmtree(folder)


@pytest.fixture
def agent(memory_path: Path):
    """An agent with a base of its own; whatever it runs is ended."""
    from support.agent_runs import AgentOnDevice

    one = AgentOnDevice(memory_path)
    yield one
    one.end_all()


@pytest.fixture
def ordinary_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def need():
    """Return a function that fails the test when one of the named programs is missing."""

    def check(*programs: str) -> None:
        missing = [program for program in programs if shutil.which(program) is None]
        if missing:
            pytest.fail("these programs are missing: %s (bindep.txt lists their packages)" % ", ".join(missing))

    return check
