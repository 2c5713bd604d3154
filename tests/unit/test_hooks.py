# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hooks of pre-commit run what scripts/lint.sh runs: every step once, from this repository alone."""

from __future__ import annotations

import re
import subprocess
from typing import Any, Dict, List

import yaml
from support.paths import ROOT

LINT = ROOT / "scripts" / "lint.sh"


def steps() -> List[str]:
    (names,) = re.findall(r'^STEPS="(.*)"$', LINT.read_text(encoding="utf-8"), re.MULTILINE)
    return str(names).split()


def hooks() -> List[Dict[str, Any]]:
    document = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in document["repos"]] == ["local"], "a hook from elsewhere needs a network"
    return list(document["repos"][0]["hooks"])


def test_every_step_is_a_hook() -> None:
    assert sorted(hook["entry"] for hook in hooks()) == sorted("scripts/lint.sh %s" % step for step in steps())
    assert all(hook["language"] == "system" for hook in hooks())
    assert {hook["id"] for hook in hooks()} == set(steps())


def test_every_step_is_one_of_the_script() -> None:
    cases = set(re.findall(r"^    ([a-z-]+)\)", LINT.read_text(encoding="utf-8"), re.MULTILINE))
    assert cases == set(steps())


def test_a_step_that_is_not_there_is_refused() -> None:
    done = subprocess.run(["sh", str(LINT), "nothing"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "ansible-lint" in done.stderr
