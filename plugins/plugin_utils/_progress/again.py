# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that runs a play again for the devices that failed.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import shlex
from typing import Any, List, Mapping, Sequence

from ansible_collections.plantops.imaging.plugins.module_utils.engine.tame import one_line

_MOST_DEVICES = 200
_INVENTORY = ("-i", "--inventory", "--inventory-file")
_EXTRA = ("-e", "--extra-vars")


def command_again(
    playbooks: Sequence[str], options: Mapping[str, Any], given: Sequence[str], devices: List[str]
) -> str:
    """Return the command, "" where there is none to give.

    :param options: as Ansible parsed them. :param given: the words of the command line. Variables in them may be secret,
        so they are not repeated.
    """
    names = list(dict.fromkeys(devices))
    if not names or not playbooks or len(names) > _MOST_DEVICES:
        return ""
    words = ["ansible-playbook"]
    if _has(given, _INVENTORY):
        for inventory in options.get("inventory") or ():
            words += ["-i", str(inventory)]
    words += [str(one) for one in playbooks]
    words += ["--limit", ",".join(names)]
    if options.get("check"):
        words.append("--check")
    extra = " (with the -e options of this run)" if _has(given, _EXTRA) else ""
    return one_line(" ".join(map(shlex.quote, words))) + extra


def _has(given: Sequence[str], names: Sequence[str]) -> bool:
    """Whether one of the options is there, as ``-i file``, ``-ifile`` or ``--inventory=file``."""
    long = tuple(name + "=" for name in names if name.startswith("--"))
    short = tuple(name for name in names if not name.startswith("--"))
    return any(word in names or word.startswith(long) or word.startswith(short) for word in given)
