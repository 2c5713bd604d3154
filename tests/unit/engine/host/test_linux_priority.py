# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The priorities of a run, read back from the kernel; and that they are its own, not those of whoever started it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Dict

import pytest
from support.paths import MODULE_UTILS

PROGRAM = """
import json, os
from engine.host.linux_priority import lower_priority
done = lower_priority()
words = open("/proc/self/autogroup").read().split() if os.path.exists("/proc/self/autogroup") else []
group = words[-1] if words else None
memory = int(open("/proc/self/oom_score_adj").read())
print(json.dumps({"done": done, "nice": os.nice(0), "group": group, "memory": memory}))
"""


def lowered(own_session: bool) -> Dict[str, Any]:
    command = [sys.executable, "-c", PROGRAM]
    environment = dict(os.environ, PYTHONPATH=str(MODULE_UTILS))
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, start_new_session=own_session)
    answer: Dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("own_session", [True, False], ids=["own session", "somebody's session"])
def test_priority(own_session: bool) -> None:
    """Without sessions' groups, or in a session that has none (the one that the system started with), the file is missing or empty."""
    before = lowered(False)["group"]
    found = lowered(own_session)
    assert found["nice"] == 19
    assert "I/O class idle" in found["done"]
    assert found["memory"] == 1000, "short of memory, the system ends the run and not the plant's programs"
    if found["group"] is not None:
        assert found["group"] == ("19" if own_session else before)
        assert ("autogroup 19" in found["done"]) == own_session
    assert before is None or lowered(False)["group"] == before
