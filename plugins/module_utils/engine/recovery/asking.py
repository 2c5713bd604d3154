# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords and confirmations: from a file descriptor, or asked for on the terminal. Never from an argument."""

from __future__ import annotations

import getpass
import os
import sys
from typing import Optional

from ..errors import RecoveryNotConfirmed, RecoverySecretUnreadable
from ..tame import one_line

_MAX_BYTES = 64 << 10


def has_terminal() -> bool:
    """Whether a person can be asked."""
    try:
        return sys.stdin.isatty() and sys.stderr.isatty()
    except (AttributeError, ValueError):  # closed by the process that started this one
        return False


def read_secret(option: str, descriptor: int) -> str:
    """Return the first line of a descriptor; a second secret may follow in the next one.

    :raises RecoverySecretUnreadable: when there is none.
    """
    if descriptor < 0:
        raise RecoverySecretUnreadable(option=option, reason="%d is not a file descriptor" % descriptor)
    data = bytearray()
    try:
        while len(data) <= _MAX_BYTES:
            one = os.read(descriptor, 1)  # not a byte more: the same descriptor may hold another secret
            if not one or one == b"\n":
                break
            data += one
    except OSError as error:
        reason = "file descriptor %d: %s" % (descriptor, error.strerror or error)
        raise RecoverySecretUnreadable(option=option, reason=reason) from None
    try:
        text = data.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError:
        raise RecoverySecretUnreadable(option=option, reason="it is not text in UTF-8") from None
    if not text or len(data) > _MAX_BYTES:
        reason = "it is empty" if not text else "it is longer than %d bytes" % _MAX_BYTES
        raise RecoverySecretUnreadable(option=option, reason=reason)
    return text


def ask_secret(words: str) -> Optional[str]:
    """Ask on the terminal, without showing the input; return None for an empty answer."""
    try:
        return getpass.getpass("%s: " % one_line(words), stream=sys.stderr) or None
    except EOFError:
        return None


def confirm(is_agreed: bool, question: str) -> None:
    """Have the plan agreed to.

    :raises RecoveryNotConfirmed: when it is not, or no person can be asked.
    """
    if is_agreed:
        return
    if not has_terminal():
        raise RecoveryNotConfirmed(reason="the plan was not confirmed, and the program has no terminal to ask")
    sys.stderr.write("%s Type yes to continue: " % one_line(question))
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("yes", "y", "ja"):
        raise RecoveryNotConfirmed(reason="the plan was not confirmed")
