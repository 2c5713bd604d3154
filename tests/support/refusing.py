# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refused runs in tests: what is left as it was, what is said in one sentence, and what it cost in derivations."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple, Type

import pytest
from engine.errors import EngineError
from engine.image.format import keys
from engine.storage.lease import LEASE_NAME
from engine.storage.local.storage import DirectoryStorage


class Derivations:
    """Every scrypt that really ran: the salt says of which slot, the secret of which password."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: List[Tuple[bytes, bytes]] = []
        derive = hashlib.scrypt

        def watched(secret: bytes, **parameters: Any) -> bytes:
            self.done.append((secret, parameters["salt"]))
            return derive(secret, **parameters)

        monkeypatch.setattr("engine.image.format.keys.hashlib.scrypt", watched)

    def start(self) -> None:
        """Count from here on, as in a process of its own."""
        keys._derive.cache_clear()
        self.done.clear()

    def of(self, password: str) -> List[bytes]:
        """The salts of the slots that ``password`` was tried on."""
        return [salt for secret, salt in self.done if secret == password.encode("utf-8")]

    def check(self, *passwords: str) -> None:
        """At most one per slot and password, and none of any other password."""
        assert len(self.done) == len(set(self.done))
        assert {secret for secret, dummy in self.done} <= {password.encode("utf-8") for password in passwords}


def everything(storage: DirectoryStorage) -> Dict[str, bytes]:
    """All that is stored, directories included, but the lease."""
    root = Path(storage.description)
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else b"directory"
        for path in root.rglob("*")
        if path.name != LEASE_NAME
    }


def slot_files(storage: DirectoryStorage) -> List[Path]:
    """Every key slot, the copies in the images included."""
    return [path for path in Path(storage.description).rglob("*.json") if path.parent.name == "keys"]


def check_sentence(error: EngineError, unsaid: Sequence[str] = ()) -> None:
    """One sentence, of one line, with nothing of ``unsaid`` in it."""
    text = str(error)
    assert text.endswith(".")
    assert ". " not in text
    assert "\n" not in text
    shown = repr(error) + str(error.as_dict())
    assert [secret for secret in unsaid if secret in shown] == []


@contextlib.contextmanager
def failing(kind: Type[Any], **fields: object) -> Iterator[pytest.ExceptionInfo[Any]]:
    """The block must fail with an error of the catalogue, ``kind``, whose fields have these values: a text may be a part of the field, and
    an ``errno`` stands for what the system calls it."""
    with pytest.raises(kind) as caught:
        yield caught
    for name, value in fields.items():
        there = caught.value.fields[name]
        if name == "reason" and isinstance(value, int):
            value = os.strerror(value)
        assert value == there or (isinstance(value, str) and value in str(there)), "%s is %r" % (name, there)


def refused(
    storage: DirectoryStorage,
    code: str,
    work: Callable[[], object],
    unsaid: Sequence[str] = (),
) -> EngineError:
    """Run ``work``, which must fail with the error ``code``, change nothing stored, and say nothing of ``unsaid``."""
    before = everything(storage)
    with pytest.raises(EngineError) as caught:
        work()
    assert caught.value.code == code
    check_sentence(caught.value, unsaid)
    assert everything(storage) == before
    return caught.value
