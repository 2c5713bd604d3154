# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that tasks left on a device because their play was killed: each is marked with the process that uses it.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import hashlib
import os
import platform
import posixpath
import re
from typing import List

from ansible_collections.plantops.imaging.plugins.module_utils.engine.host.process import boot_id, process_start

_MARK = re.compile(r"plantops-imaging-([0-9a-f]{16})-([0-9]{1,10})-([0-9]{1,20})", re.ASCII)
_FOLDER = re.compile(r"ansible-tmp-[0-9.-]{1,80}", re.ASCII)
_MOST = 100
# Marks the folder and lists what is marked beside it: a line for each, with the word old when it is older than a day.
MARK_AND_LIST = (
    ': >"$1/$2"; for mark in "${1%/*}"/ansible-tmp-*/plantops-imaging-*; do '
    'old=$(find "$mark" -prune -mmin +1440 2>/dev/null); '
    'printf "marked=%s=%s\\n" "${old:+old}" "$mark"; done'
)


def mark() -> str:
    """Return the name of the file that says whose folder it is: this controller's, this process's."""
    pid = os.getpid()
    return "plantops-imaging-%s-%d-%s" % (_controller(), pid, process_start(pid) or "0")


def left(listed: str, folder: str) -> List[str]:
    """Return the folders beside ``folder`` that are no longer in use.

    Those of a process of this controller that has ended; those of other controllers after a day.
    """
    found = []
    for line in listed.splitlines():
        dummy_before, is_mark, rest = line.partition("marked=")
        age, dummy_equals, path = rest.partition("=")
        place, name = posixpath.split(path)
        if not is_mark or place == folder or posixpath.dirname(place) != posixpath.dirname(folder):
            continue
        marked = _MARK.fullmatch(name)
        if marked and _FOLDER.fullmatch(posixpath.basename(place)) and (age == "old" or _has_ended(*marked.groups())):
            found.append(place)
    return found[:_MOST]


def _has_ended(controller: str, pid: str, start: str) -> bool:
    return controller == _controller() and start != "0" and process_start(int(pid)) != start


def _controller() -> str:
    """An id that distinguishes this controller from others; containers of one machine count as several, as they don't
    see each other."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return hashlib.sha256("\0".join((boot_id(), space, platform.node())).encode()).hexdigest()[:16]
