# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names a storage may hold."""

from __future__ import annotations

import pytest
from engine.errors import StoragePathInvalid
from engine.names import check_name, check_path, is_valid_name

INVALID = [
    "",
    ".",
    "..",
    "a/b",
    "a\\b",
    "a:b",
    "a\0",
    "a\n",
    "a.",
    "a ",
    "con",
    "NUL.txt",
    "com1",
    "Lpt0 .x",
    "com\xb9",
    "conin$",
    "x" * 256,
    "x\ud800",
    "\udce9",
]
VALID = ["a", "a.b", ".hidden", "größe 2", "console", "com", "com10", "com\u2074", "x" * 255]


@pytest.mark.parametrize("name", INVALID)
def test_names_that_are_refused(name: str) -> None:
    assert not is_valid_name(name)
    with pytest.raises(StoragePathInvalid):
        check_name(name)


@pytest.mark.parametrize("name", VALID)
def test_names_that_pass(name: str) -> None:
    assert is_valid_name(name)
    assert check_name(name) == check_path(name) == name
