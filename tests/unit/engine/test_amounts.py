# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes for people: one system of units, and no size that rounds into the next unit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine.amounts import size
from support.paths import ROOT


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_951, "100 kB"),
        (999_499, "999 kB"),
        (999_501, "1.0 MB"),
        (955_000_000, "955 MB"),
        (480_100_000_000, "480 GB"),
        (5 << 40, "5.5 TB"),
        (5_000_000_000_000_000, "5000 TB"),
    ],
)
def test_sizes(count: int, words: str) -> None:
    assert size(count) == words


def test_no_sentence_counts_in_another_system() -> None:
    """Requests, formats and comments count in powers of two; what a person reads does not."""
    place = re.compile(r"""["'][^"'\n]*%[.0-9]*[dfs] ?(KiB|MiB|GiB|TiB)""")
    sources = [*(ROOT / "plugins").rglob("*.py")]
    found = ["%s: %s" % (path.name, one.group(0)) for path in sources for one in place.finditer(_text(path))]
    assert found == []


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
