# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a target's partitions a yes of the user means."""

from __future__ import annotations

from typing import List

import pytest
from engine.restore.present import Claim

CLAIMS = [
    Claim("1", "Basic data partition", 1 << 20, 1 << 20, (1,)),
    Claim("2", "Basic data partition", 2 << 20, 1 << 20, (2,)),
    Claim("3", "recipes", 3 << 20, 1 << 20, (3,)),
    Claim("4", "3", 4 << 20, 1 << 20, (4,)),
    Claim("5", "disk0p3", 5 << 20, 1 << 20, (5,)),
    Claim("byte512", "", 512, 512, (6,)),
]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["2"], ["2"]),
        (["disk0p2"], ["2"]),
        (["disk1p2"], []),
        (["recipes"], ["3"]),
        (["RECIPES"], []),
        (["Basic data partition"], []),
        (["3"], ["3"]),
        (["disk0p3"], ["3"]),
        (["byte512", "byte512"], ["byte512"]),
        ([""], []),
    ],
)
def test_a_yes_means_one_partition(given: List[str], meant: List[str]) -> None:
    assert [one.number for one in CLAIMS if one.is_named_by(given, "disk0", True, CLAIMS)] == meant


def test_a_number_alone_means_nothing_where_several_disks_are_restored() -> None:
    assert not any(one.is_named_by(["2"], "disk0", False, CLAIMS) for one in CLAIMS)
    assert CLAIMS[1].is_named_by(["disk0p2"], "disk0", False, CLAIMS)
