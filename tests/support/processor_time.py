# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processor time of a test, with that of the programs that it started and waited for; servers that go on are not in it."""

from __future__ import annotations

import os

PROPERTY = "processor_seconds"


def processor_seconds() -> float:
    """The processor time of this process and of its ended children so far."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
