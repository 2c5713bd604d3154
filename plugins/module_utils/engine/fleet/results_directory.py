# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of run results on the operator: one folder for each device, one file for each run.

A standalone file: standard library only, so that it also runs on an operator host that has no collection. As a
program it reads one order as JSON from standard input and prints one answer.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import sys
from typing import Any, Dict, NamedTuple, Optional, Sequence

_MAX_ORDER_CHARACTERS = 64 << 20  # twenty runs that ended before, each with a large comparison
_MAX_FILE_BYTES = 16 << 20
_MOST_OF_A_SECOND = 1000
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class NotWritten(Exception):
    """A path that could not be written, and the reason."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__("%s: %s" % (path, reason))
        self.path = path
        self.reason = reason


class Left(NamedTuple):
    """Where a document is now, and whether that is new."""

    path: str
    changed: bool


def prepare(directory: str) -> None:
    """Make the directory if its parent exists.

    :raises NotWritten:
    """
    if not os.path.isabs(directory):
        raise NotWritten(directory, "it is not an absolute path")
    _make(directory)


def leave(
    directory: str,
    device: str,
    name: str,
    document: Dict[str, Any],
    replaces: str = "",
    supersedes: Sequence[str] = (),
) -> Left:
    """Write the document as ``<directory>/<device>/<name>``, whole or not at all, and never over another run's.

    A name that another run of the same second has gets a number. A run whose handle has a document there is not written
    again, unless that has one of the error codes in ``supersedes``: it was written before the run had ended. ``replaces`` is
    the path of an earlier document of this run, which this one takes the place of.

    :raises NotWritten:
    """
    prepare(directory)
    folder = os.path.join(directory, device)
    _make(folder)
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    aside = os.path.join(folder, ".%s.%s" % (name, secrets.token_hex(8)))
    try:
        _write(aside, text.encode("ascii"))
        if replaces:
            os.replace(aside, replaces)
            return Left(replaces, True)
        return _publish(folder, name, aside, document.get("run"), supersedes)
    except OSError as error:
        raise NotWritten(error.filename or folder, error.strerror or str(error)) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(aside)


def _publish(folder: str, name: str, aside: str, run: Any, supersedes: Sequence[str]) -> Left:
    stem, suffix = os.path.splitext(name)
    for number in range(1, _MOST_OF_A_SECOND):
        path = os.path.join(folder, name if number == 1 else "%s-%d%s" % (stem, number, suffix))
        if _link(aside, path):
            _sync_folder(folder)
            return Left(path, True)
        found = read(path) or {}
        if run and found.get("run") == run:
            is_early = found.get("error_code") in supersedes
            if is_early:
                os.replace(aside, path)
                _sync_folder(folder)
            return Left(path, is_early)
    raise NotWritten(os.path.join(folder, name), "%d runs have this name" % _MOST_OF_A_SECOND)


def _link(aside: str, path: str) -> bool:
    """Give the file its name unless another file has it; return whether it did."""
    try:
        os.link(aside, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
        except FileExistsError:
            return False
        os.replace(aside, path)  # of this run alone since the line above
    return True


def read(path: str) -> Optional[Dict[str, Any]]:
    """Return the document, None where there is none."""
    try:
        with open(path, "rb") as file:
            document = json.loads(file.read(_MAX_FILE_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _make(path: str) -> None:
    try:
        os.mkdir(path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise NotWritten(path, "it is not a directory") from None
    except FileNotFoundError:
        raise NotWritten(path, "its parent directory does not exist") from None
    except OSError as error:
        raise NotWritten(path, error.strerror or str(error)) from None


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        return  # a share whose folders can't be synced
    finally:
        os.close(descriptor)


def carry_out(order: Dict[str, Any]) -> Dict[str, Any]:
    """Do what an order says: prepare the directory, and leave its documents. Return the answer as JSON knows it."""
    try:
        if not order.get("documents"):
            prepare(order["directory"])
        left = [leave(order["directory"], order["device"], **one) for one in order.get("documents", [])]
    except NotWritten as error:
        return {"ok": False, "path": error.path, "reason": error.reason}
    return {"ok": True, "left": [list(one) for one in left]}


def main() -> int:
    """Carry out the order on standard input."""
    answer = carry_out(json.loads(sys.stdin.read(_MAX_ORDER_CHARACTERS)))
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0 if answer["ok"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
