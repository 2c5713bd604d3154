# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells a rollover which jobs share the storage that it works on, and how many images of each remain."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: rolled_jobs
short_description: List the jobs of a site as image_rollover takes them
version_added: 0.1.0
description:
  - Returns the name and the number of images for each job that uses the site's storage, and only the name for other
    jobs.
  - If a job is chosen, the rollover is for that job, and only the names are returned.
positional: _input, keep, chosen
options:
  _input:
    description: The jobs, as in C(imaging_jobs).
    type: list
    elements: dict
    required: true
  keep:
    description: How many images to keep of a job without its own number.
    type: int
    required: true
  chosen:
    description: The job of the rollover, empty for all jobs.
    type: str
    required: true
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Show the jobs of a site
  ansible.builtin.debug:
    msg: "{{ imaging_jobs | plantops.imaging.rolled_jobs(imaging_keep, imaging_job) }}"
"""

RETURN = r"""
_value:
  description: The jobs.
  type: list
  elements: dict
  sample:
    - name: monthly
      keep: 12
"""


def rolled_jobs(jobs: Iterable[Mapping[str, Any]], keep: Any, chosen: str) -> List[Dict[str, Any]]:
    """Return ``jobs`` with how many images remain of those that are rolled over together with the default job."""
    found = []
    for job in jobs:
        if not isinstance(job, Mapping) or "name" not in job:
            raise AnsibleFilterError("rolled_jobs takes a list of jobs, each with a name")
        entry = {"name": job["name"]}
        if not chosen and not job.get("storage"):
            entry["keep"] = job.get("keep", keep)
        found.append(entry)
    return found


class FilterModule:
    """The filters of this file."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"rolled_jobs": rolled_jobs}
