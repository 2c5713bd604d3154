# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds variables that are meant for the role and are spelt otherwise: Ansible ignores them without a word."""

from __future__ import annotations

import difflib
from typing import Any, Callable, Dict, Iterable, List

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: misspelt
short_description: Find names that are nearly those of known ones
version_added: 0.1.0
description:
  - Returns a sentence for each name that is not known but looks like one that is. Other names are none of its business.
  - The role uses it, because a misspelt C(imaging_password) would make images in clear.
positional: _input, known
options:
  _input:
    description: The names that are set.
    type: list
    elements: str
    required: true
  known:
    description: The names that mean something.
    type: list
    elements: str
    required: true
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Find misspelt settings
  ansible.builtin.debug:
    msg: "{{ ['imaging_pasword'] | plantops.imaging.misspelt(['imaging_password', 'imaging_keep']) }}"
"""

RETURN = r"""
_value:
  description: A sentence for each name that looks misspelt.
  type: list
  elements: str
  sample: [imaging_pasword is no setting; imaging_password may be meant.]
"""

_LIKENESS = 0.85


def misspelt(names: Iterable[str], known: Iterable[str]) -> List[str]:
    """Return a sentence for each of ``names`` that is none of ``known`` but looks like one."""
    if isinstance(names, str) or isinstance(known, str):
        raise AnsibleFilterError("misspelt takes lists of names")
    # What all names begin with would make them alike.
    meant = {_end(name): str(name) for name in known}
    found = []
    for name in sorted({str(one) for one in names} - set(meant.values())):
        close = difflib.get_close_matches(_end(name), list(meant), 1, _LIKENESS)
        if close:
            found.append("%s is no setting; %s may be meant." % (name, meant[close[0]]))
    return found


def _end(name: Any) -> str:
    return str(name).partition("_")[2]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"misspelt": misspelt}
