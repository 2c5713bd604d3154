# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments as every document of the collection has them: UTC, to the second, ``2026-11-22T13:45:10Z``."""

from __future__ import annotations

import re
import time
from typing import Optional

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def moment(seconds: Optional[float] = None) -> str:
    """Return ``seconds`` since 1970, or this machine's time now, as a document has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
