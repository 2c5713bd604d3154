# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bounds that hold for whatever a registry holds."""

from __future__ import annotations

import pytest
from engine.device.document.tree import Unreadable
from engine.device.document.windows.reading import Values
from engine.host.registry import Value
from support.windows.registries import reader


def test_too_many_keys_are_a_reason() -> None:
    with pytest.raises(Unreadable):
        reader({r"SOFTWARE\%d" % number: {} for number in range(20_001)}).names("SOFTWARE")


def test_a_closed_key_is_a_reason() -> None:
    with pytest.raises(Unreadable):
        reader({}, closed=["SAM"]).values(r"SAM\SAM")


@pytest.mark.parametrize("value", [5, b"x", ["a"], "", "\0abc", "   "])
def test_a_text_of_another_kind_is_empty(value: Value) -> None:
    assert Values({"A": value}).text("a") == ""


def test_values_are_cut_to_what_is_theirs() -> None:
    values = Values({"A": "x" * 10_000, "B": b"y" * (2 << 20), "C": "1.2.3.4, 5.6.7.8", "D": ["a\0", "", "b"], "E": 7})
    assert len(values.text("A")) == 4096
    assert values.data("B") == b""
    assert values.texts("C") == ["1.2.3.4", "5.6.7.8"]
    assert values.texts("D") == ["a", "b"]
    assert (values.number("e"), values.number("A")) == (7, None)
