# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The value of a setting for the chosen job, as ``settings/precedence.py`` decides."""

from __future__ import annotations

from typing import Any, Callable, Dict

from ansible.errors import AnsibleFilterError
from ansible_collections.plantops.imaging.plugins.module_utils.settings import precedence, table
from ansible_collections.plantops.imaging.plugins.plugin_utils._undefined import takes_undefined

DOCUMENTATION = r"""
name: job_setting
short_description: Tell the value of a setting for the chosen job
description:
  - Returns what the chosen job says of a setting, or else what the site says.
  - The role uses it for every setting that a job may override.
positional: _input, setting, job, site
options:
  _input:
    description: The jobs, as in C(imaging_jobs).
    type: list
    elements: dict
    required: true
  setting:
    description: The name of the setting, as jobs write it.
    type: str
    required: true
  job:
    description: The chosen job, empty for none.
    type: str
    required: true
  site:
    description: The value that holds where the job does not say another.
    type: raw
    required: true
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Show how many images of the chosen job remain
  ansible.builtin.debug:
    msg: "{{ imaging_jobs | plantops.imaging.job_setting('keep', imaging_job, imaging_keep) }}"
"""

RETURN = r"""
_value:
  description: The value.
  type: raw
  sample: 7
"""


@takes_undefined
def job_setting(jobs: Any, setting: str, job: str, site: Any) -> Any:
    """Return the value of ``setting`` for the chosen ``job``."""
    if setting not in [one.name for one in table.SETTINGS if one.in_jobs]:
        raise AnsibleFilterError("%s is not a setting that a job may override" % setting)
    return precedence.value_of(setting, jobs, job, site)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"job_setting": job_setting}
