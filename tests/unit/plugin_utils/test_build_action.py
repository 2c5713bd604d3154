# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugins that build files on the controller: the result, what check mode says, and a failure on the way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Dict, List

import pytest
from ansible.plugins.action import ActionBase
from ansible_collections.plantops.imaging.plugins.action import agent_bundle, recovery_program
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import BundleFailed
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.publishing import Built
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.recovery_program import (
    DEFAULT_PLATFORMS,
    BuiltProgram,
)

ARGUMENTS = {"destination": "/srv/bundles", "cache_folder": "/c", "wheel_folder": "/w"}


@pytest.fixture(autouse=True)
def no_ansible_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ActionBase, "run", lambda self, tmp, task_vars: {})


def run(module: Any, check: bool = False, diff: bool = False, **arguments: Any) -> Dict[str, Any]:
    action = module.ActionModule.__new__(module.ActionModule)
    action._task = SimpleNamespace(args={**ARGUMENTS, **arguments}, check_mode=check, diff=diff)
    result: Dict[str, Any] = action.run(None, {})
    return result


class Builder:
    """Builds what ``files`` says of a platform, and fails for any other."""

    def __init__(self, **files: Built) -> None:
        self.files = files
        self.calls: List[Dict[str, Any]] = []

    def __call__(self, platform: str, destination: str, **options: Any) -> Built:
        self.calls.append({"platform": platform, "destination": destination, **options})
        if platform not in self.files:
            raise BundleFailed(path=destination, reason="no space left")
        return self.files[platform]


NEW = Built("a", "/srv/bundles/a.pyz", "11", 10, "id", True, None)
SAME = Built("b", "/srv/bundles/b.pyz", "22", 10, "id", False, None)
OTHER = Built("c", "/srv/bundles/c.pyz", None, None, None, True, "33")


def test_every_platform_is_built_with_the_options_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    builder = Builder(a=NEW, b=SAME)
    monkeypatch.setattr(agent_bundle, "build_bundle", builder)
    result = run(agent_bundle, check=True, platforms=["a", "b"], version="2.0")
    assert result == {"changed": True, "bundles": [NEW._asdict(), SAME._asdict()]}
    options = {
        "destination": "/srv/bundles",
        "cache_folder": "/c",
        "wheel_folder": "/w",
        "version": "2.0",
        "python": None,
    }
    assert builder.calls == [{"platform": one, "check": True, **options} for one in "ab"]


def test_bundles_that_are_there_are_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_bundle, "build_bundle", Builder(b=SAME))
    assert run(agent_bundle, diff=True, platforms=["b"]) == {
        "changed": False,
        "bundles": [SAME._asdict()],
        "diff": [],
    }


def test_the_diff_has_each_file_that_changes_with_its_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_bundle, "build_bundle", Builder(a=NEW, b=SAME, c=OTHER))
    new, other = run(agent_bundle, diff=True, platforms=["a", "b", "c"])["diff"]
    assert (new["before_header"], new["before"], new["after"]) == (NEW.path, "none\n", "sha256:11\n")
    assert (other["before_header"], other["before"]) == (OTHER.path, "sha256:33\n")
    assert "sha256" not in other["after"], "check mode has not built it"


@pytest.mark.parametrize(("platforms", "changed"), [(["a", "lost", "b"], True), (["b", "lost"], False)])
def test_a_failure_says_whether_something_was_built_before_it(
    platforms: List[str], changed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = Builder(a=NEW, b=SAME)
    monkeypatch.setattr(agent_bundle, "build_bundle", builder)
    result = run(agent_bundle, diff=True, platforms=platforms)
    assert (result["failed"], result["changed"]) == (True, changed)
    assert result["error_code"] == BundleFailed.code
    assert "diff" not in result
    assert [call["platform"] for call in builder.calls] == platforms[: platforms.index("lost") + 1]


@pytest.mark.parametrize(
    ("arguments", "platforms"), [({}, DEFAULT_PLATFORMS), ({"platforms": ["linux-x86_64-glibc-cp311"]}, None)]
)
def test_the_program_is_one_file_for_all_platforms(
    arguments: Dict[str, Any], platforms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: List[Dict[str, Any]] = []
    built = BuiltProgram("/srv/bundles/recover.pyz", "1.0", ["x"], "44", 10, True, "55")

    def build(destination: str, **options: Any) -> BuiltProgram:
        calls.append({"destination": destination, **options})
        return built

    monkeypatch.setattr(recovery_program, "build_program", build)
    result = run(recovery_program, diff=True, **arguments)
    assert {name: result[name] for name in built._fields} == built._asdict()
    (diff,) = result["diff"]
    assert (diff["before"], diff["after"]) == ("sha256:55\n", "sha256:44\n")
    wanted = platforms or arguments["platforms"]
    assert calls == [{**ARGUMENTS, "platforms": wanted, "check": False}]
