# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who removes an agent hears of those that other users of the device have."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._device import agent as _agent
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.agent import Agent
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.link import Answer

PLACE = ".local/share/plantops-imaging"


class Link:
    """Runs the command here, with another list of users; or answers as a hostile device."""

    def __init__(self, passwd: Path, answer: str = "") -> None:
        self.passwd = passwd
        self.answer = answer

    def run(self, words: List[str]) -> Answer:
        if self.answer:
            return Answer(0, self.answer, "")
        words = [word.replace("/etc/passwd", str(self.passwd)) for word in words]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return Answer(done.returncode, done.stdout, done.stderr)


def agent_of(link: Link, base: str) -> Agent:
    agent = Agent(link, "press-1", None, lambda dummy_platform: None)  # type: ignore[arg-type]
    agent.found = {"base": base}
    return agent


@pytest.fixture
def homes(tmp_path: Path) -> Dict[str, Path]:
    found = {name: tmp_path / name for name in ("tech", "maker", "own", "linked", "plain home")}
    for name, home in found.items():
        home.mkdir()
        if name == "linked":
            (home / ".local/share").mkdir(parents=True)
            (home / PLACE).symlink_to(tmp_path / "tech" / PLACE)
        elif name != "maker":
            (home / PLACE).mkdir(parents=True)
    lines = ["%s:x:1:1:Full Name,,,:%s:/bin/sh" % (name.split()[0], home) for name, home in found.items()]
    (tmp_path / "passwd").write_text("\n".join(["broken", *lines]) + "\n", encoding="utf-8")
    return found


def test_the_agents_of_other_users_are_found(tmp_path: Path, homes: Dict[str, Path], monkeypatch: Any) -> None:
    monkeypatch.setattr(_agent, "ROOT_BASE", str(tmp_path / "opt"))
    (tmp_path / "opt").mkdir()
    own = str(homes["own"] / PLACE)
    found = agent_of(Link(tmp_path / "passwd"), own).of_others()
    assert {one["user"]: one["directory"] for one in found} == {
        "tech": str(homes["tech"] / PLACE),
        "plain": str(homes["plain home"] / PLACE),
        "root": str(tmp_path / "opt"),
    }
    found = agent_of(Link(tmp_path / "passwd"), str(tmp_path / "opt")).of_others()
    assert {one["user"] for one in found} == {"tech", "plain", "own"}


def test_a_hostile_device_names_no_user_that_steers(tmp_path: Path) -> None:
    lines = ["tech; rm -rf /:/x", "-e:/x", "a\x1b[2J:/x", "b:relative", "c", "d:/\x1b[2J", "e:/%s" % ("x" * 5000)]
    link = Link(tmp_path, "\n".join([*lines, *("u%d:/x" % number for number in range(5000))]))
    found = agent_of(link, "/opt").of_others()
    assert len(found) <= 50
    assert {one["user"][0] for one in found} <= {"d", "u"}
    assert all(one["directory"].isprintable() for one in found)
