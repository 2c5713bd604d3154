# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage as the operator works on it, as ``settings/precedence.py`` decides."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional

from ansible.errors import AnsibleFilterError
from ansible_collections.plantops.imaging.plugins.module_utils.settings import precedence
from ansible_collections.plantops.imaging.plugins.plugin_utils._undefined import takes_undefined

DOCUMENTATION = r"""
name: operator_storage
short_description: Return the storage of the chosen job with the operator's settings
description:
  - Returns the site's storage with the operator's credentials instead of the device's. Other keys that the operator's
    settings do not contain are taken from the site's storage.
  - A job that defines its own storage uses the credentials of the job.
positional: _input, job, storage, operator
options:
  _input:
    description: The jobs, as in C(imaging_jobs).
    type: list
    elements: dict
    required: true
  job:
    description: The chosen job, empty for none.
    type: str
    required: true
  storage:
    description: The storage of the site, as in C(imaging_storage).
    type: dict
    required: true
  operator:
    description: The operator's settings, as in C(imaging_storage_operator); empty for none.
    type: dict
    required: true
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Show where the operator works
  ansible.builtin.debug:
    msg: "{{ (imaging_jobs | plantops.imaging.operator_storage(imaging_job, imaging_storage, imaging_storage_operator)).url }}"
"""

RETURN = r"""
_value:
  description: The storage.
  type: dict
  sample:
    url: sftp://images.example.com/plant-1
    username: operator
"""


@takes_undefined
def operator_storage(jobs: Any, job: str, storage: Any, operator: Optional[Mapping[str, Any]]) -> Any:
    """Return the storage of the chosen ``job`` as the operator works on it."""
    if operator and not isinstance(operator, Mapping):
        raise AnsibleFilterError("operator_storage takes the operator's settings as a dictionary")
    return precedence.operator_storage(jobs, job, storage, operator)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"operator_storage": operator_storage}
