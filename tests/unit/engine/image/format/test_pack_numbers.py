# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs have numbers in the order in which they came, whatever is listed twice or renamed."""

from __future__ import annotations

from engine.image.format.pack_numbers import PackNumbers


def test_a_new_name_gets_the_next_number_and_keeps_it() -> None:
    packs = PackNumbers()
    assert [packs[name] for name in ("a", "b", "a", "c")] == [0, 1, 0, 2]
    assert packs.names == ["a", "b", "c"]


def test_asking_whether_a_name_is_there_does_not_number_it() -> None:
    packs = PackNumbers()
    assert "a" not in packs
    assert packs.get("a") is None
    assert packs.names == []


def test_a_list_may_hold_a_name_twice() -> None:
    packs = PackNumbers()
    assert [packs.append(name) for name in ("a", "a", "b")] == [0, 1, 2]
    assert packs.names == ["a", "a", "b"]
    assert packs["b"] == 2


def test_a_renamed_pack_keeps_its_number() -> None:
    packs = PackNumbers()
    assert (packs["a"], packs["b"]) == (0, 1)
    packs.rename("a", "c")
    packs.rename("unknown", "d")
    assert packs.names == ["c", "b"]
    assert packs["c"] == 0
    assert "a" not in packs
    assert "d" not in packs
