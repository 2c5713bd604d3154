# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the recovery program says, and what it takes: options in the place of settings, secrets only from descriptors."""

from __future__ import annotations

import os
import re
import string

import pytest
from engine.amounts import size
from engine.errors import (
    EngineError,
    ImageNotFound,
    PasswordMissing,
    PasswordWrong,
    RecoveryNotConfirmed,
    RecoverySecretUnreadable,
    RestoreError,
    StorageError,
    catalogue,
)
from engine.recovery import asking
from engine.recovery.arguments import is_server, parser, place, storage_settings, targets
from engine.recovery.words import duration, option_words, told
from engine.verbs.image_table import columns

# What only the modules can do; the program does not run into them.
_NOT_HERE = re.compile(
    r"imaging_(keep|adopt|agent_directory|drives|storage_operator|run|bundle_directory|password_previous|restore_many|new_key|allow_clear|parallel)"
)


def test_sentences_name_options() -> None:
    assert option_words("Set imaging_restore_overwrite.") == "Set --overwrite."
    assert option_words("as {disk0: /dev/sdb} in imaging_restore_map") == "as disk0=/dev/sdb in --to"
    assert option_words("/srv/imaging_storage_2 and x-imaging_image") == "/srv/imaging_storage_2 and x-imaging_image"


def test_no_refusal_of_a_restore_or_a_storage_names_a_setting() -> None:
    for error in catalogue():
        if not issubclass(error, (RestoreError, StorageError, ImageNotFound, PasswordMissing, PasswordWrong)):
            continue
        texts = (error.message, error.hint)
        fields = {name for text in texts for dummy, name, dummy_s, dummy_c in string.Formatter().parse(text) if name}
        words = told(error(**dict.fromkeys(fields, "x")))
        shown = words["message"] + " " + words["hint"]
        left = [name for name in re.findall(r"imaging_\w+", shown) if not _NOT_HERE.match(name)]
        assert left == [], error.code


def test_targets() -> None:
    assert targets(["disk0=/dev/sda", "disk1=x=y"]) == {"disk0": "/dev/sda", "disk1": os.path.abspath("x=y")}
    for wrong in (["disk0"], ["disk0="], ["=x"], ["disk0=/a", "disk0=/b"]):
        with pytest.raises(EngineError) as caught:
            targets(wrong)
        assert caught.value.code == "R136"


def test_storages() -> None:
    assert [is_server(one) for one in ("sftp://h/p", r"\\h\s", "//h/s", "/srv", "stick", "file:///srv")] == [
        True
    ] * 3 + [False] * 3
    assert place("stick") == os.path.abspath("stick")
    assert place(r"\\h\s\p") == r"\\h\s\p"
    assert storage_settings("/srv", None, None, "key", None, None) == {
        "url": "/srv",
        "private_key_file": os.path.abspath("key"),
    }


def test_every_command_is_in_the_help() -> None:
    text = parser().format_help()
    for command in (
        "images",
        "show",
        "verify",
        "plan",
        "restore",
        "copy",
        "list",
        "get",
        "serve",
        "export",
        "boot-test",
    ):
        assert re.search(r"^    %s\b" % command, text, re.MULTILINE), command


def descriptor(data: bytes) -> int:
    read, write = os.pipe()
    os.write(write, data)
    os.close(write)
    return read


def test_secrets_are_lines_of_a_descriptor() -> None:
    both = descriptor("pässword \r\nsecond".encode())
    assert asking.read_secret("--password-fd", both) == "pässword "
    assert asking.read_secret("--storage-password-fd", both) == "second"
    for wrong in (descriptor(b""), descriptor(b"\nx"), descriptor(b"\xff\xfe\n"), 9999, -1):
        with pytest.raises(RecoverySecretUnreadable):
            asking.read_secret("--password-fd", wrong)


def test_without_a_terminal_nothing_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "has_terminal", lambda: False)
    asking.confirm(True, "All is overwritten.")
    with pytest.raises(RecoveryNotConfirmed):
        asking.confirm(False, "All is overwritten.")


def test_units_and_tables() -> None:
    assert [size(one) for one in (0, 999, 1500, 3 << 30, 5 << 40)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "3.2 GB",
        "5.5 TB",
    ]
    assert [duration(one) for one in (5, 65, 3700)] == ["0:05 min", "1:05 min", "1:01 h"]
    assert columns(["A", "B"], [["x\x1b[2J", "y"]]) == ["A         B", "x\\x1b[2J  y"]
