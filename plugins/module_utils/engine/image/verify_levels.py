# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a verification looks at, for those who check a request and verify nothing."""

from __future__ import annotations

from typing import Literal, Tuple

Level = Literal["quick", "storage", "full"]
LEVELS: Tuple[Level, ...] = ("quick", "storage", "full")
