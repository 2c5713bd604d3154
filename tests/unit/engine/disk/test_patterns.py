# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The patterns of imaging_exclude: what is refused, which volume they are about, which names match."""

from __future__ import annotations

import re
import time

import pytest
from engine.disk.patterns import Pattern, PatternSegment, fold
from engine.errors import PatternInvalid
from hypothesis import given
from hypothesis import strategies as st


def segment(text: str) -> PatternSegment:
    (found,) = Pattern.parse("/" + text).below([], True)
    return found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("C:\\", "whole volume"),
        ("/", "whole volume"),
        ("\\\\server\\share\\x", "network"),
        ("\\\\?\\C:\\Temp\\x", "network"),
        ("//server/x", "network"),
        ("C:\\Temp\\..\\Windows\\x", "'..'"),
        ("/var/../etc/*", "'..'"),
        ("/var/./x", "'.'"),
        ("C:Temp\\x", "streams"),
        ("C:\\Temp\\x.txt:stream", "streams"),
        ("C:\\Temp**\\x", "alone"),
        ("/a***/x", "alone"),
        ("/a\0b", "control"),
        ("/a\nb", "control"),
        ("/" + "a" * 5000, "too long"),
        ("/a" * 129, "too many parts"),
        ("/**/a" * 9, "too many parts"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(PatternInvalid) as caught:
        Pattern.parse(text)
    assert reason in str(caught.value)
    assert caught.value.code == "D130"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("C:\\Temp\\*.tmp", ("Temp", "*.tmp")),
        ("c:/Temp/*.tmp", ("Temp", "*.tmp")),
        ("\\Temp\\x", ("Temp", "x")),
        ("C:\\\\Temp\\\\x", ("Temp", "x")),
        ("/var/cache/**", ("var", "cache", "**")),
        ("/var/cache/", ("var", "cache", "**")),
        ("C:\\Temp\\", ("Temp", "**")),
        ("/with\\backslash/x", ("with\\backslash", "x")),
        ("**\\Thumbs.db", ("**", "Thumbs.db")),
        ("**/core", ("**", "core")),
        ("/[1] (2).csv", ("[1] (2).csv",)),
    ],
)
def test_names(text: str, names: tuple) -> None:
    assert Pattern.parse(text).names == names


@pytest.mark.parametrize(
    ("text", "mount_points", "below"),
    [
        ("C:\\Temp\\x", ["C:\\"], ["Temp", "x"]),
        ("c:\\Temp\\x", ["C:\\"], ["Temp", "x"]),
        ("C:\\Temp\\x", ["D:\\"], []),
        ("C:\\Temp\\x", [], []),  # where no letters are known nobody can tell which volume is meant
        ("\\Temp\\x", [], ["Temp", "x"]),
        ("\\Temp\\x", ["D:\\"], ["Temp", "x"]),
        ("/var/cache/x", [], ["var", "cache", "x"]),
        ("/var/cache/x", ["/"], ["var", "cache", "x"]),
        ("/var/cache/x", ["/var"], ["cache", "x"]),
        ("/var/cache/x", ["/", "/var"], ["cache", "x"]),
        ("/var/cache/x", ["/home"], []),
        ("/var/cache/x", ["/var/cache/x"], []),
        ("/var/cache/x", ["/va"], []),
        ("/*/cache/x", ["/var"], ["cache", "x"]),
        ("/**/core", ["/var/lib"], ["**", "core"]),
        ("**/core", ["/var/lib"], ["**", "core"]),
        ("/a/**/**/b", [], ["a", "**", "b"]),
    ],
)
def test_which_volume(text: str, mount_points: list, below: list) -> None:
    assert [part.text for part in Pattern.parse(text).below(mount_points, True)] == below


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "anything", True),
        ("*", "", True),
        ("*.tmp", "a.tmp", True),
        ("*.tmp", ".tmp", True),
        ("*.tmp", "a.tmp2", False),
        ("a*", "a", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("?", "x", True),
        ("?", "xy", False),
        ("a?c", "abc", True),
        ("*?x*", "x", False),
        ("*?x*", "axb", True),
        ("[a]", "a", False),
        ("[a]", "[a]", True),
    ],
)
def test_matching(pattern: str, name: str, expected: bool) -> None:
    assert segment(pattern).matches(name) is expected


@given(st.text("ab*?", min_size=1, max_size=8).filter(lambda text: "**" not in text), st.text("abc", max_size=8))
def test_matching_is_what_regular_expressions_say(pattern: str, name: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(c, c) for c in pattern)
    assert segment(pattern).matches(name) is bool(re.fullmatch(expression, name))


def test_many_stars_take_no_time() -> None:
    nasty = segment("*a" * 100 + "*b")
    started = time.monotonic()
    for dummy in range(1000):
        assert not nasty.matches("a" * 255)
    assert time.monotonic() - started < 2


def test_folding_never_joins_what_windows_keeps_apart() -> None:
    assert fold("Größe.TXT") == fold("GRÖßE.txt")
    assert fold("ß") != fold("ss")
    assert fold("ı") != fold("I")  # noqa: RUF001
    assert fold("ſ") != fold("s")  # noqa: RUF001
    assert fold("Ελλάδα") == fold("ελλάδα")


@given(st.text(max_size=20))
def test_folding_keeps_the_length(text: str) -> None:
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)


@given(st.text(max_size=40))
def test_every_text_parses_or_is_refused(text: str) -> None:
    try:
        found = Pattern.parse(text)
    except PatternInvalid:
        return
    assert found.names
    assert ".." not in found.names
