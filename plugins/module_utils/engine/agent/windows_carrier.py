# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of one command on Windows: ``windows_carrier <base>``, the command on standard input as the service opened it.

It writes the answer itself, so that a command may stop, update or remove the service that took it.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from typing import IO, Any, Dict, List

from ..host.commands import ProcessTree, start_tree
from .service_client import MAX_STREAM_BYTES, Answer, Command, seal_answer
from .service_files import ServiceFiles

_LAST_WORDS_SECONDS = 1.0
_STARTED_NOTHING = 9009  # what cmd.exe answers for a program that is not there


class _Head(threading.Thread):
    """Reads a stream to its end and keeps its first bytes: a full pipe would stop the command."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(name="output", daemon=True)
        self._stream = stream
        self.kept = b""
        self.is_cut = False

    def run(self) -> None:
        while True:
            data = os.read(self._stream.fileno(), 65536)
            if not data:
                return
            self.is_cut = self.is_cut or len(self.kept) + len(data) > MAX_STREAM_BYTES
            self.kept = (self.kept + data)[:MAX_STREAM_BYTES]


def main(arguments: List[str]) -> int:
    """Carry the command out and answer it; return 1 when it is not to be carried out any more."""
    document: Dict[str, Any] = json.loads(sys.stdin.buffer.read().decode("ascii"))
    reply = document.pop("reply")
    command = Command(**dict(document, stdin=base64.b64decode(document["stdin"])))
    files = ServiceFiles(arguments[0])
    with files.held(command.id) as is_mine:
        if not is_mine:
            return 1
        files.begin(command.id)
        files.answer(command.id, seal_answer(command.id, reply, carry_out(command)))
    return 0


def carry_out(command: Command) -> Answer:
    """Run the command to its end or its limit.

    A program that it leaves running may hold its output; what comes after the command's own end is not waited for.
    """
    try:
        started = start_tree(command.line, stdin=subprocess.PIPE, stderr=subprocess.PIPE, folder=command.folder or None)
    except (OSError, ValueError) as error:
        return Answer(_STARTED_NOTHING, b"", str(error).encode("utf-8"), False)
    with started as tree:
        return _follow(tree, command)


def _follow(tree: ProcessTree, command: Command) -> Answer:
    process = tree.process
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise AssertionError("the process has no streams")
    heads = [_Head(process.stdout), _Head(process.stderr)]
    threading.Thread(target=_give, args=(process.stdin, command.stdin), daemon=True).start()
    for head in heads:
        head.start()
    is_late = False
    try:
        status = process.wait(command.limit_seconds)
    except subprocess.TimeoutExpired:
        is_late = True
        tree.end()  # the shell of a command line is seldom what hangs
        status = process.wait()
    for head in heads:
        head.join(_LAST_WORDS_SECONDS)
    return Answer(status, heads[0].kept, heads[1].kept, is_late, any(head.is_cut for head in heads))


def _give(stream: IO[bytes], data: bytes) -> None:
    try:
        with stream:
            stream.write(data)
    except OSError:
        return  # the command needs none of it


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
