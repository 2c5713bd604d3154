# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document of a bundle for Windows: names lead nowhere else, and what is malformed is refused."""

from __future__ import annotations

import json
from typing import Any, Dict

import pytest
from engine.errors import BundleInvalid
from engine.install.windows.document import File, checked_name, make_document, read_document

FILES = [File("lib/a.pyd", "0" * 64, 3, "1" * 64), File("install.cmd", "2" * 64, 0, "")]


def test_what_is_made_is_read_again() -> None:
    made = make_document("1.2.3", "windows-7-amd64", "3.8.10", FILES)
    assert read_document(made.raw, "x") == made
    assert made.files == tuple(FILES)
    assert made.identity.startswith("1.2.3-")
    assert make_document("1.2.3", "windows-7-amd64", "3.8.10", FILES[:1]).identity != made.identity


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "../x",
            "a/../b",
            "/x",
            "a//b",
            "a/",
            "C:/x",
            "a:b",
            "a\\b",
            "a\0b",
            "nul",
            "lib/CON.py",
            "com1",
            "x.",
            "a b",
        ),
        *("lib/\u00e9", "a" * 201, "a/.hidden"),
    ],
)
def test_names_that_lead_elsewhere_or_that_windows_can_not_store(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        checked_name(name)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"version": "x"},
        {"platform": "linux-x86_64-glibc-cp311"},
        {"python": "3.8"},
        {"files": []},
        {"files": [FILES[0]._asdict(), dict(FILES[0]._asdict(), name="LIB/A.PYD")]},
        {"files": [dict(FILES[0]._asdict(), size_bytes=True)]},
        {"files": [dict(FILES[0]._asdict(), size_bytes=1 << 40)]},
        {"files": [dict(FILES[0]._asdict(), sha256="0")]},
        {"files": [dict(FILES[0]._asdict(), authenticode=None)]},
        {"files": [dict(FILES[0]._asdict(), name="../a")]},
        {"files": [{"name": "a"}]},
    ],
)
def test_a_malformed_document_is_refused(change: Dict[str, Any]) -> None:
    content = json.loads(make_document("1.2.3", "windows-amd64", "3.13.2", FILES).raw)
    content.update(change)
    with pytest.raises(BundleInvalid):
        read_document(json.dumps(content).encode(), "bundle.json")


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b"[" * 5000, b"{" + b" " * (9 << 20)])
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    with pytest.raises(BundleInvalid):
        read_document(raw, "bundle.json")
