# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words for the answers of the service: every code that the header knows has some, and each sentence shows the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from engine.snapshot.vss import codes

HEADER = Path("/usr/share/mingw-w64/include/vsserror.h")
# Restores of whole machines and calls that the engine does not make.
OTHERS = re.compile(r"VSS_E_ASRERROR_\w+|VSS_S_\w+")


def test_every_code_of_the_header_has_words() -> None:
    known = dict(re.findall(r"#define (VSS_\w+) \(\(HRESULT\)(0x\w+)\)", HEADER.read_text()))
    assert len(known) > 60
    unknown = codes.words_of(0x80049999).partition(" (")[0]
    missing = [name for name, code in known.items() if codes.words_of(int(code, 16)).startswith(unknown)]
    assert [name for name in missing if not OTHERS.fullmatch(name)] == []


def test_the_codes_with_a_meaning_are_those_of_the_header() -> None:
    known = {
        name: int(code, 16)
        for name, code in re.findall(r"#define (VSS_\w+) \(\(HRESULT\)(0x\w+)\)", HEADER.read_text())
    }
    assert known["VSS_E_SNAPSHOT_SET_IN_PROGRESS"] == codes.IN_PROGRESS
    assert known["VSS_E_OBJECT_NOT_FOUND"] == codes.NOT_FOUND
    names = ("PENDING", "FINISHED", "CANCELLED")
    assert [known["VSS_S_ASYNC_" + name] for name in names] == [codes.PENDING, codes.FINISHED, codes.CANCELLED]
    waits = (
        "FLUSH_WRITES_TIMEOUT",
        "HOLD_WRITES_TIMEOUT",
        "WRITER_NOT_RESPONDING",
        "WRITERERROR_TIMEOUT",
        "WRITERERROR_RETRYABLE",
    )
    assert {known["VSS_E_" + name] for name in waits} <= codes.FOR_A_WHILE
    assert known["VSS_E_INSUFFICIENT_STORAGE"] not in codes.FOR_A_WHILE


@pytest.mark.parametrize("code", [0x80042316, 0x80070005, 0x80049999])
def test_each_clause_ends_with_the_code(code: int) -> None:
    assert codes.words_of(code).endswith("(0x%08X)" % code)


def test_states_of_writers_that_failed() -> None:
    assert codes.failed_state(1) == ""
    assert codes.failed_state(5) == ""
    assert all(codes.failed_state(state) for state in (6, 7, 8, 9, 10, 11, 12, 15))
