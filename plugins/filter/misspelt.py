# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds variables with the role's prefix that the role does not know: Ansible ignores them without a word."""

from __future__ import annotations

import difflib
import re
from typing import Any, Callable, Dict, Iterable, List, Sequence

from ansible.errors import AnsibleFilterError
from ansible_collections.plantops.imaging.plugins.module_utils.engine.nearest import nearest

DOCUMENTATION = r"""
name: misspelt
short_description: Find names of the role's prefix that the role does not know
version_added: 0.1.0
description:
  - Returns a sentence for each name that begins with C(imaging_) and is not known, with the known name that is nearest to it.
  - So it does for a name whose prefix is misspelt, such as C(imagin_password) or C(IMAGING_PASSWORD), where the rest of it is known.
  - Other names are left alone. The role uses it, because a misspelt C(imaging_password) would make unencrypted images.
positional: _input, known, site
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
  site:
    description: Names of the site's own.
    type: list
    elements: str
    default: []
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
  description: A sentence for each name that is not known.
  type: list
  elements: str
  sample: ['Unknown setting imaging_pasword. Did you mean imaging_password?']
"""

_PREFIX = "imaging_"
_PREFIX_LIKENESS = 0.8
_RESULT = "_result"


def misspelt(names: Iterable[str], known: Iterable[str], site: Iterable[str] = ()) -> List[str]:
    """Return a sentence for each of ``names`` that has the role's prefix, or nearly, and is neither ``known`` nor the ``site``'s."""
    if isinstance(names, str) or isinstance(known, str) or isinstance(site, str):
        raise AnsibleFilterError("misspelt takes lists of names")
    settings = sorted({str(one) for one in known})
    unknown = {str(one) for one in names} - set(settings) - {str(one) for one in site}
    found = []
    for name in sorted(unknown):
        meant = _nearest(name, settings) if name.startswith(_PREFIX) else _with_another_prefix(name, settings)
        if meant:
            found.append("Unknown setting %s. Did you mean %s?" % (name, meant))
    return found


def _nearest(name: str, settings: Sequence[str]) -> str:
    """Return the setting that is most like ``name``; results of tasks are not what somebody sets."""
    candidates = [one for one in settings if not one.endswith(_RESULT)] or list(settings)
    return nearest(name, candidates, part=_end) or _PREFIX + "*"


def _with_another_prefix(name: str, settings: Iterable[str]) -> str:
    """Return the setting that ``name`` is but for its prefix; "" for a name that has nothing to do with the role."""
    for setting in settings:
        if _letters(name) == _letters(setting):
            return setting
        prefix, dummy_bar, end = name.partition("_")
        likeness = difflib.SequenceMatcher(None, prefix.lower() + "_", _PREFIX).ratio()
        if end.lower() == _end(setting) and likeness >= _PREFIX_LIKENESS:
            return setting
    return ""


def _letters(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _end(name: Any) -> str:
    return str(name).partition("_")[2]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"misspelt": misspelt}
