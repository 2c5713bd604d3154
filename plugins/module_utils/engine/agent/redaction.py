# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes secrets out of what people get to read: messages, warnings, and the log of a run."""

from __future__ import annotations

import contextlib
import io
import json
import os
from typing import Any, Dict, Iterator, List

from ..tame import several_lines
from ..verbs.secret_names import STORAGE_SECRETS, STORAGES

_SHOWN_INSTEAD = "********"
_LEAST_LINE_CHARACTERS = 8
_MAX_LOG_BYTES = 1 << 20
_MAX_LINE_CHARACTERS = 64 << 10


class Redactor:
    """Knows the secrets of one run; short ones too, which may take innocent letters with them."""

    def __init__(self) -> None:
        self._words: List[str] = []

    def learn(self, secrets: Any) -> None:
        """Add every text inside ``secrets`` as it is, as Python and JSON would quote it, and line by line."""
        words = set(self._words)
        for text in _texts(secrets):
            words.update((text, repr(text)[1:-1], json.dumps(text)[1:-1]))
            words.update(line for line in text.splitlines() if len(line) >= _LEAST_LINE_CHARACTERS)
        self._words = sorted((word for word in words if word), key=len, reverse=True)

    def learn_of(self, document: Dict[str, Any]) -> None:
        """Add the secrets of a complete request that is not checked yet."""
        self.learn(document.get("secrets"))
        for name in STORAGES:
            storage = document.get(name)
            if isinstance(storage, dict):
                self.learn([storage.get(secret) for secret in STORAGE_SECRETS])

    def event(self, event: Dict[str, Any]) -> Dict[str, Any]:
        """Return the event with its sentences redacted; figures and names have none to tell."""
        sentences = {name: self(event[name]) for name in ("message", "hint") if isinstance(event.get(name), str)}
        return dict(event, **sentences)

    def __call__(self, text: str) -> str:
        for word in self._words:
            text = text.replace(word, _SHOWN_INSTEAD)
        return text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for child in value.values():
            yield from _texts(child)
    elif isinstance(value, (list, tuple)):
        for child in value:
            yield from _texts(child)
    elif isinstance(value, str):
        yield value


class RedactedLog(io.TextIOBase):
    """A text stream for ``sys.stdout`` and ``sys.stderr`` that writes whole, redacted lines, up to 1 MiB of them."""

    def __init__(self, descriptor: int, redact: Redactor) -> None:
        self._descriptor = descriptor
        self._redact = redact
        self._line = ""
        self._written_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._put(line + "\n")
        if len(self._line) > _MAX_LINE_CHARACTERS:
            self._line = ""  # a secret could lie across any place where it is cut
        return len(text)

    def _put(self, line: str) -> None:
        data = several_lines(self._redact(line)).encode("utf-8", "backslashreplace")
        if self._written_bytes + len(data) <= _MAX_LOG_BYTES:
            self._written_bytes += len(data)
            with contextlib.suppress(OSError):  # a device without room: what prints must not end the run
                os.write(self._descriptor, data)
