# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds keys of a setting that the role does not know, in dictionaries and lists of them."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.plantops.imaging.plugins.plugin_utils._misspelt import unknown_keys

DOCUMENTATION = r"""
name: misspelt_keys
short_description: Find unknown keys of a setting
version_added: 0.1.0
description:
  - Returns a sentence for each unknown key of a dictionary, or of the dictionaries in a list, with the nearest known
    key.
  - The role uses this filter before Ansible checks the arguments, because Ansible lists all valid keys without a
    suggestion.
  - A value that is neither a dictionary nor a list of dictionaries has no keys; the role's argument specification
    checks its type.
positional: _input, setting, known
options:
  _input:
    description: The value of the setting.
    type: raw
    required: true
  setting:
    description: The name of the setting for the sentences.
    type: str
    required: true
  known:
    description: The known keys, each with the known keys of the dictionary that is its value, or with an empty
      dictionary.
    type: dict
    required: true
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Find misspelt keys
  ansible.builtin.debug:
    msg: "{{ [{'nmae': 'daily'}] | plantops.imaging.misspelt_keys('imaging_jobs', {'name': {}, 'keep': {}}) }}"
"""

RETURN = r"""
_value:
  description: A sentence for each key that is not known.
  type: list
  elements: str
  sample: ['Unknown key nmae in imaging_jobs[0]. Did you mean name?']
"""


def misspelt_keys(value: Any, setting: str, known: Mapping[str, Any]) -> List[str]:
    """Return a sentence for each key in ``value`` that is not among ``known``."""
    if not isinstance(known, Mapping):
        raise AnsibleFilterError("misspelt_keys takes a dictionary of the keys that are known")
    return list(unknown_keys(value, setting, known))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"misspelt_keys": misspelt_keys}
