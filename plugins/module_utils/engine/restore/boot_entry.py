# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot entry of a restored disk in the firmware of this machine, through efibootmgr.

Only on UEFI, only for a whole disk restored to a block device, and only in a rescue system (``rescue_system.py``): a
machine that runs an installed system must not start a cloned disk next time. An entry that exists is left alone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Callable, List, NamedTuple

from .rescue_system import System, running_system

Run = Callable[[List[str]], str]
PROGRAM = "efibootmgr"
_SECONDS = 60
_MAX_OUTPUT = 1 << 20
_EXISTING = r"HD\(\d+,GPT,%s[,)]"

NOT_NEEDED, EXISTS, CREATED, TO_CREATE, SKIPPED, FAILED = (
    "not_needed",
    "exists",
    "created",
    "to_create",
    "skipped",
    "failed",
)


class Machine(NamedTuple):
    """This machine as far as a boot entry depends on it; ``run`` is the one way to efibootmgr."""

    is_uefi: bool
    system: System
    run: Run


class Entry(NamedTuple):
    """``state`` is one of the words above, ``reason`` says why nothing was created."""

    state: str
    reason: str = ""
    is_doubtful: bool = False  # the machine may run a rescue system anyway


def this_machine() -> Machine:
    """Look at the firmware and the root of the running system."""
    if sys.platform == "win32":
        return Machine(False, System(False, "this machine runs Windows"), _run)  # what it restores starts others
    return Machine(os.path.isdir("/sys/firmware/efi/efivars"), running_system(), _run)


def _run(arguments: List[str]) -> str:
    """Run efibootmgr and return its output.

    :raises OSError: when it is missing or fails.
    """
    environment = dict(os.environ, LC_ALL="C", PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            [PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise OSError("it did not end within %d seconds" % _SECONDS) from None
    text = done.stdout[:_MAX_OUTPUT].decode("utf-8", "replace")
    if done.returncode:
        raise OSError((text.strip().splitlines() or ["exit status %d" % done.returncode])[-1])
    return text


def boot_entry(
    machine: Machine, disk: str, partition: int, partition_id: str, loader: str, label: str, check: bool
) -> Entry:
    """Create the entry of the loader on ``partition`` of ``disk``, unless the firmware has one for that partition.

    :param check: only say what would be done.
    """
    if not machine.is_uefi:
        return Entry(NOT_NEEDED, "this machine did not start with UEFI")
    if not machine.system.is_rescue:
        return Entry(SKIPPED, machine.system.reason, machine.system.is_doubtful)
    try:
        if re.search(_EXISTING % re.escape(partition_id), machine.run(["-v"]), re.IGNORECASE):
            return Entry(EXISTS)
        if check:
            return Entry(TO_CREATE)
        path = "\\" + loader.replace("/", "\\")
        machine.run(["-q", "-c", "-d", disk, "-p", str(partition), "-L", label, "-l", path])
    except OSError as error:
        return Entry(FAILED, str(error.strerror or error))
    return Entry(CREATED)
