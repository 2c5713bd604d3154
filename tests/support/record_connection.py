# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device's ForceCommand in sshd_config: does what the connection asks for, and writes down every byte that crosses it."""

import os
import pty
import subprocess
import sys
import threading
from typing import BinaryIO

_FOLDER = "/data/capture"


def main() -> int:
    command = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    with open("%s/%d" % (_FOLDER, os.getpid()), "ab", buffering=0) as record:
        record.write(command.encode() + b"\n")
        if os.isatty(0):
            return on_a_terminal(command, record)
        return through_pipes(command, record)


def on_a_terminal(command: str, record: BinaryIO) -> int:
    def note(descriptor: int) -> bytes:
        data = os.read(descriptor, 65536)
        record.write(data)
        return data

    return os.waitstatus_to_exitcode(pty.spawn(["/bin/sh", "-c", command], note, note))


def through_pipes(command: str, record: BinaryIO) -> int:
    child = subprocess.Popen(
        ["/bin/sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )

    def pump(source: int, sink: int) -> None:
        while True:
            data = os.read(source, 65536)
            record.write(data)
            if not data:
                break
            os.write(sink, data)
        if source == 0:
            os.close(sink)

    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    wires = ((child.stdout.fileno(), 1), (child.stderr.fileno(), 2), (0, os.dup(child.stdin.fileno())))
    child.stdin.close()
    threads = [threading.Thread(target=pump, args=wire, daemon=True) for wire in wires]
    for thread in threads:
        thread.start()
    for thread in threads[:2]:
        thread.join()
    return child.wait()


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # the thread that waits for more input has nobody to wait for
