# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds variables with the role's prefix that the role does not know: Ansible ignores them without a word."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List

from ansible.errors import AnsibleFilterError
from ansible_collections.plantops.imaging.plugins.plugin_utils._misspelt import unknown_settings

DOCUMENTATION = r"""
name: misspelt
short_description: Find unknown names with the role's prefix
version_added: 0.1.0
description:
  - Returns a sentence for each unknown name that begins with C(imaging_), with the nearest known name.
  - The same applies to a name with a misspelt prefix, such as C(imagin_password) or C(IMAGING_PASSWORD), if the rest
    of the name is known.
  - Other names are ignored. The role uses this filter because a misspelt C(imaging_password) would result in
    unencrypted images.
positional: _input, known, site
options:
  _input:
    description: The names of the variables that are set.
    type: list
    elements: str
    required: true
  known:
    description: The known names.
    type: list
    elements: str
    required: true
  site:
    description: The site's own names.
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


def misspelt(names: Iterable[str], known: Iterable[str], site: Iterable[str] = ()) -> List[str]:
    """Return a sentence for each of ``names`` that has the role's prefix, or nearly, and is neither ``known`` nor the ``site``'s."""
    if isinstance(names, str) or isinstance(known, str) or isinstance(site, str):
        raise AnsibleFilterError("misspelt takes lists of names")
    return list(unknown_settings(names, known, site))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"misspelt": misspelt}
