# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage with what its flat spellings say, as ``settings/precedence.py`` decides."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.plantops.imaging.plugins.module_utils.settings import precedence
from ansible_collections.plantops.imaging.plugins.plugin_utils._undefined import takes_undefined

DOCUMENTATION = r"""
name: flat_storage
short_description: Fill the missing keys of a storage
description:
  - Returns a storage with the values of variables such as C(imaging_storage_password) for the keys that it does not set.
  - A credential type of AWX sets such variables, because it can't set a key of a dictionary.
  - An empty value sets nothing.
positional: _input, flat
options:
  _input:
    description: The storage, as in C(imaging_storage).
    type: dict
    required: true
  flat:
    description: The value of each key that the storage may lack.
    type: dict
    required: true
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Show the user of the storage
  ansible.builtin.debug:
    msg: "{{ (imaging_storage | plantops.imaging.flat_storage({'username': imaging_storage_username})).username }}"
"""

RETURN = r"""
_value:
  description: The storage.
  type: dict
  sample:
    url: sftp://images.example.com/plant-1
    username: device
"""


@takes_undefined
def flat_storage(storage: Any, flat: Mapping[str, Any]) -> Any:
    """Return ``storage`` with what ``flat`` says of the keys that it lacks."""
    if isinstance(storage, (str, list)) and storage:
        raise AnsibleFilterError("A storage is a dictionary with the key url")
    return precedence.with_flat(storage, flat)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"flat_storage": flat_storage}
