# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs the agent, and with which Python: an ordinary user, and CPython 3.8. What belongs to others is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from support.agent_runs import MODULE_UTILS, AgentOnDevice, Refused, image_job, random_disk
from support.devices import pythons

USER = 61234


@pytest.fixture
def folder(open_path: Path) -> Path:
    return open_path


def as_user(folder: Path) -> List[str]:
    """Run this Python as an ordinary user, who sees it and the engine where he may read them."""
    site = next(path for path in sys.path if path.endswith("site-packages"))
    mounts = {sys.base_prefix: "python", MODULE_UTILS: "engine", site: "site"}
    for name in mounts.values():
        (folder / name).mkdir(exist_ok=True)
    binds = " && ".join("mount --bind '%s' '%s/%s'" % (source, folder, name) for source, name in mounts.items())
    drop = "exec setpriv --reuid=%d --regid=%d --clear-groups '%s/python/bin/python3'" % (USER, USER, folder)
    return ["unshare", "--mount", "sh", "-c", '%s && %s "$@"' % (binds, drop), "sh"]


@pytest.fixture
def user_agent(folder: Path) -> Iterator[AgentOnDevice]:
    home = folder / "home"
    home.mkdir(mode=0o700)
    agent = AgentOnDevice(home, as_user(folder))
    agent.environment["PYTHONPATH"] = "%s/site:%s/engine" % (folder, folder)
    os.chown(home, USER, USER)
    yield agent
    agent.end_all()


def test_an_ordinary_user_images_a_file_that_he_may_read(user_agent: AgentOnDevice, folder: Path) -> None:
    disk = random_disk(user_agent.folder / "disk.img", 5_000_000)
    os.chown(disk, USER, USER)
    job = image_job(user_agent.folder, disk)
    os.chown(job["storage"]["url"], USER, USER)
    hello = user_agent.start("run-1", job)
    runner = user_agent.runner("run-1")
    # Not even the same user may look into a process that holds secrets.
    look = "import sys; print([open('/proc/%d/' + name, 'rb').read(1) for name in sys.argv[1:]])" % runner
    for name in ("environ", "maps", "mem"):
        done = subprocess.run([*as_user(folder), "-c", look, name], stderr=subprocess.PIPE, check=False)
        assert done.returncode != 0
        assert b"PermissionError" in done.stderr
    user_agent.deliver(hello)
    assert user_agent.wait("run-1")["state"] == "done"
    assert {path.stat().st_uid for path in user_agent.base.rglob("*")} == {USER}
    assert {path.stat().st_mode & 0o077 for path in [user_agent.base, *user_agent.base.rglob("*")]} == {0}
    disk.chmod(0)
    os.chown(disk, 0, 0)
    user_agent.begin("run-2", job)
    assert user_agent.wait("run-2")["error"]["code"] == "D103"


def another_users_base(base: Path) -> None:
    base.mkdir(mode=0o700)
    os.chown(base, USER + 1, USER + 1)


def link_as_base(base: Path) -> None:
    (base.parent / "elsewhere").mkdir(mode=0o700)
    base.symlink_to(base.parent / "elsewhere")


def open_base(base: Path) -> None:
    base.mkdir()
    base.chmod(0o777)


def file_as_base(base: Path) -> None:
    base.write_bytes(b"")


def link_as_spool(base: Path) -> None:
    base.mkdir(mode=0o700)
    (base.parent / "elsewhere").mkdir(mode=0o700)
    (base / "spool").symlink_to(base.parent / "elsewhere")


def another_users_spool(base: Path) -> None:
    base.mkdir(mode=0o700)
    another_users_base(base / "spool")


def link_as_run(base: Path) -> None:
    (base.parent / "elsewhere").mkdir(mode=0o700)
    (base / "spool").mkdir(mode=0o700, parents=True)
    base.chmod(0o700)
    (base / "spool" / "run-1").symlink_to(base.parent / "elsewhere")


def link_as_lock(base: Path) -> None:
    (base / "spool").mkdir(mode=0o700, parents=True)
    base.chmod(0o700)
    (base.parent / "elsewhere").mkdir(mode=0o700)
    (base / "run.lock").symlink_to(base.parent / "elsewhere" / "lock")


def open_parent(base: Path) -> None:
    base.mkdir(mode=0o700)
    base.parent.chmod(0o777)


TRAPS = [another_users_base, link_as_base, open_base, file_as_base, link_as_spool, another_users_spool, link_as_run]


@pytest.mark.parametrize("trap", [*TRAPS, link_as_lock, open_parent], ids=lambda trap: trap.__name__)
def test_what_others_made_or_could_change_is_refused(trap: Callable[[Path], None], open_path: Path) -> None:
    agent = AgentOnDevice(open_path / "home")
    agent.folder.mkdir(mode=0o755)
    trap(agent.base)
    elsewhere = agent.folder / "elsewhere"
    with pytest.raises(Refused) as caught:
        agent.start("run-1", {"verb": "image"})
    assert caught.value.code == "A300"
    assert str(agent.folder) in str(caught.value)
    assert not elsewhere.exists() or list(elsewhere.iterdir()) == [], "nothing was written behind a link"
    if trap not in (link_as_lock, file_as_base):
        (agent.base / "spool").mkdir(mode=0o700, exist_ok=True)
        words = ("status", "run-1") if trap is link_as_run else ("runs",)
        with pytest.raises(Refused) as caught:
            agent.call(*words)
        assert caught.value.code == "A300"


def test_the_oldest_python_runs_the_whole_cycle(tmp_path: Path) -> None:
    oldest = pythons()[0]
    assert oldest.name.startswith("3.8."), "pyenv has no CPython 3.8 here"
    site = tmp_path / "site"
    wheels = ["blake3>=0.3.4", "cryptography>=38", "zstandard>=0.20"]
    pip = [str(oldest / "bin" / "python3"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(site), *wheels], check=True)
    agent = AgentOnDevice(tmp_path, [str(oldest / "bin" / "python3")], [str(site)])
    job: Dict[str, Any] = image_job(tmp_path, random_disk(tmp_path / "disk.img", 5_000_000))
    try:
        assert agent.call("version")["python"].startswith("3.8.")
        assert agent.call("info")["information"]["version"] >= 1
        agent.start("run-0", job)
        with pytest.raises(Refused, match="run-0"):
            agent.start("run-1", job)
        agent.kill("run-0")
        assert agent.status("run-0")["state"] == "lost"
        agent.start("run-1", job)
        agent.call("cancel", "run-1")
        assert agent.wait("run-1")["state"] == "cancelled"
        assert agent.finish("run-2", job)["bytes_stored"] > 5_000_000
        assert "Traceback" not in agent.log("run-2")
        assert len(agent.call("runs")["runs"]) == 3
        assert agent.call("forget", "run-0")["changed"] is True
    finally:
        agent.end_all()


def test_an_agent_without_its_libraries_says_so_instead_of_waiting(tmp_path: Path) -> None:
    agent = AgentOnDevice(tmp_path, [sys.executable, "-S"])
    answer = agent.start("run-1", {"verb": "image"})
    assert answer["created"] is True
    assert (answer["public_key"], answer["nonce"]) == (None, None)
    assert (answer["status"]["state"], answer["status"]["error"]["code"]) == ("failed", "X001")
    assert agent.start("run-1", {"verb": "image"}) == dict(answer, created=False)
    assert agent.start("run-2", {"verb": "image"})["created"] is True, "the next one may try"
