# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Some minutes of fuzzing of every parser and reader."""

from __future__ import annotations

import pytest
from fuzz.run import fuzz
from fuzz.targets import TARGETS

_SECONDS_PER_TARGET = 30


@pytest.mark.long
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_nothing_is_found(target: str) -> None:
    executed, found = fuzz(target, _SECONDS_PER_TARGET)
    assert not found
    assert executed > 0
