# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The constants of the agent's protocol (docs/agent.md) for both sides: the program on the device, and the controller."""

from __future__ import annotations

import re

PROTOCOL = 1
PROGRAM = "agent.py"  # in the folder of an installation
SHUTDOWN_FILE = "shutdown"  # in the folder of a run: the system goes down
RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
ALIVE = ("waiting", "running")
ENDED = ("done", "failed", "cancelled", "lost")
STATES = (*ALIVE, *ENDED)
