# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the checks of the field test that need shadow copies, and prints their answers as one object of JSON. Runs in the double.

It stands in the place of requests.py: shadowed_disk.py has put its answers in the place of Wine's before.
"""

from __future__ import annotations

import json
import os
import sys

from engine.agent.field_test.catalogue import BY_NAME
from engine.agent.field_test.guard import forbid_writes
from engine.host import windows_volumes

_SYSTEM = json.loads(os.environ["PLANTOPS_SHADOWED"])["volumes"][1]["name"]
_NAMES = (
    "shadow_writers",
    "shadow_list",
    "shadow_set",
    "shadow_of_a_killed_process",
    "shadow_file_system",
    "shadow_without_writers",
)

windows_volumes.volume_of = lambda path: _SYSTEM
forbid_writes()
found = {}
for name in _NAMES:
    try:
        found[name] = {"state": "answered", "answer": BY_NAME[name].ask()}
    except Exception as error:
        found[name] = {"state": "failed", "error": {"kind": type(error).__name__, "number": None, "text": repr(error)}}
sys.stdout.write(json.dumps(found) + "\n")
