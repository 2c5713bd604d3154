# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rates and passwords of a job, as an inventory may write them."""

from __future__ import annotations

from typing import Any

import pytest
from engine.errors import RequestInvalid
from engine.verbs.fields import Fields
from engine.verbs.request_parts import passwords_of
from support.refusing import failing


@pytest.mark.parametrize(
    ("value", "rate"), [(None, 0), (0, 0), ("0", 0), (0.5, 5e5), ("2.5", 2.5e6), (20, 2e7), ("80", 8e7)], ids=str
)
def test_a_rate_may_be_a_fraction(value: Any, rate: float) -> None:
    assert Fields({"limit_io_rate": value}).rate("limit_io_rate") == rate


@pytest.mark.parametrize("value", [-1, "-0.1", "nan", "inf", "fast", [], 1e12, 4_000_000], ids=str)
def test_what_is_no_rate_is_refused_by_name(value: Any) -> None:
    with failing(RequestInvalid, reason="imaging_limit_io_rate"):
        Fields({"limit_io_rate": value}).rate("limit_io_rate")


@pytest.mark.parametrize("name", ["password", "password_previous"])
def test_half_a_character_in_a_password_is_refused_without_the_password(name: str) -> None:
    with failing(RequestInvalid, reason="imaging_%s contains" % name) as caught:
        passwords_of(Fields({"secrets": {name: "correct horse \ud83d battery"}}))
    assert "horse" not in repr(caught.value) + str(caught.value.as_dict())
