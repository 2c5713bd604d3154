# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing from a disk, a storage or a device steers a terminal, a log or a result: at the catalogue, the engine's events, its logs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from engine.agent.redaction import RedactedLog, Redactor
from engine.errors import DiskNotFound, RequestInvalid
from engine.tame import MAX_DEPTH, one_line, several_lines, tame
from hypothesis import given
from hypothesis import strategies as st
from support.paths import MODULE_UTILS

EVIL = "\x1b]0;owned\x07\x9b2J\x7f\r\nok: [press-1]\u202e\u2028\u2029\x85\udc9b\u200f\ufeff\U000e0041\t\x00"
STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
TEXTS = st.text(st.characters() | st.sampled_from(EVIL))


def steers(text: str) -> bool:
    return any(unicodedata.category(one) in STEERING for one in text)


@given(TEXTS)
def test_a_line_holds_nothing_that_steers_and_can_be_written_anywhere(text: str) -> None:
    tamed = one_line(text)
    assert not steers(tamed)
    tamed.encode("utf-8")
    assert one_line(tamed) == tamed
    assert not steers(several_lines(text).replace("\n", "").replace("\t", ""))
    assert several_lines(text).count("\n") == text.count("\n")


@given(st.text(st.characters(whitelist_categories=("L", "N", "P", "S", "Zs"))))
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert one_line(text) == text


def test_what_was_there_is_shown_as_escapes() -> None:
    assert one_line("a\x1b[31m\n\t\x9b\u202e\udc80\U000e0041") == r"a\x1b[31m\n\t\x9b\u202e\udc80\U000e0041"
    assert one_line("C:\\Users\\n\xe4he\u3000\u5370") == "C:\\Users\\n\xe4he\u3000\u5370"


@given(st.recursive(TEXTS | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_documents_are_tamed_at_every_depth(document: Any) -> None:
    assert not steers(json.dumps(tame({"x": document}), ensure_ascii=False))


def test_the_sides_of_a_diff_keep_their_lines_and_nothing_else_does() -> None:
    lines = {"before": "a\nb\x1b\n", "after": ""}
    assert tame({"diff": lines, "other": lines})["diff"]["before"] == "a\nb\\x1b\n"
    assert tame({"diff": lines, "other": lines})["other"]["before"] == "a\\nb\\x1b\\n"


def test_what_is_too_deep_is_refused() -> None:
    document: Any = "x"
    for dummy in range(MAX_DEPTH + 2):
        document = [document]
    with pytest.raises(ValueError, match="deep"):
        tame(document)


def test_the_catalogue_tames_names_and_reasons() -> None:
    told = DiskNotFound(path="/dev/" + EVIL)
    assert not steers(str(told) + told.as_dict()["message"])
    assert not steers(RequestInvalid(reason=EVIL).as_dict()["message"])


def test_the_log_of_a_run_takes_lines_and_no_escapes(tmp_path: Path) -> None:
    descriptor = os.open(str(tmp_path / "log"), os.O_WRONLY | os.O_CREAT)
    redact = Redactor()
    redact.learn_of({"secrets": {"password": "Geheim-1"}, "storage": {"private_key": "key-of-mine", "url": "/s"}})
    RedactedLog(descriptor, redact).write("one Geheim-1 key-of-mine /s\x1b[2J\rtwo\nthree\n")
    os.close(descriptor)
    assert (tmp_path / "log").read_bytes() == b"one ******** ******** /s\\x1b[2J\\rtwo\nthree\n"


def asked(document: Any) -> Any:
    environment = dict(os.environ, PYTHONPATH=str(MODULE_UTILS))
    command = [sys.executable, "-m", "engine.agent.command"]
    done = subprocess.run(
        command, input=json.dumps(document), stdout=subprocess.PIPE, env=environment, text=True, check=False
    )
    return [json.loads(line) for line in done.stdout.splitlines()][-1]


def test_the_command_line_tames_what_it_tells_and_hides_secrets_in_it(tmp_path: Path) -> None:
    storage = {"url": str(tmp_path / ("no\x1b[2J\nsuch Geheim-1"))}
    document = {"verb": "list", "device": "pc", "storage": storage, "secrets": {"password": "Geheim-1"}}
    event = asked(document)
    assert event["event"] == "error"
    assert not steers(event["message"])
    assert "Geheim-1" not in event["message"]


def test_a_secret_under_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    document = {
        "verb": "list",
        "device": "pc",
        "storage": {"url": str(tmp_path)},
        "secrets": {"encryption_password": "x"},
    }
    (tmp_path / "disk").write_bytes(bytes(1 << 20))
    event = asked(dict(document, verb="image", drives=[str(tmp_path / "disk")]))
    assert event["code"] == "J100"
    assert list(tmp_path.iterdir()) == [tmp_path / "disk"]
