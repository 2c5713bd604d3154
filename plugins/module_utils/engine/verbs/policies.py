# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which job a request means, which jobs are defined, and what a rollover is asked for."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from ..errors import ForgottenJobDefined, JobInvalid, JobNamesTwice
from ..image.format import job_name
from ..image.upkeep.keeping import Policy
from ..image.upkeep.missing import forgotten_ids
from .settings import number_of

_MAX_LISTED = 10_000
_KEEP = 7


def job_of(request: Dict[str, Any]) -> str:
    """The job that makes an image; the default one where the request names none."""
    return job_name.parse(request.get("job"))


def chosen_job(request: Dict[str, Any]) -> Optional[str]:
    """The job whose newest image ``latest`` is; None for the newest of the device, whichever job made it."""
    return job_of(request) or None


def policy_of(request: Dict[str, Any], *, of_all_jobs: bool = False) -> Policy:
    """Return the policy of the rollover after a run of the request's job.

    :param of_all_jobs: also of each job in ``jobs`` that says how many of its images remain: the operator's rollover.
    :raises JobInvalid, JobNameInvalid, JobNamesTwice, ForgottenJobDefined: what can't be meant.
    """
    own = job_of(request)
    keeps = _defined_jobs(request)
    keep = {own: number_of(request, "keep", _KEEP, 1)}
    if keeps is not None and of_all_jobs:
        keep = dict({job: number for job, number in keeps.items() if number is not None}, **keep)
    forgotten = frozenset(job_name.parse(one) for one in _list_of(request, "forget_jobs"))
    for job in forgotten:
        if job in keep or job in (keeps or {}):
            raise ForgottenJobDefined(job=job_name.shown(job))
    return Policy(
        keep, None if keeps is None else frozenset(keeps), forgotten, frozenset(forgotten_ids(_disks_of(request)))
    )


def _defined_jobs(request: Dict[str, Any]) -> Optional[Dict[str, Optional[int]]]:
    """The jobs of the inventory, each with how many images remain where that is said; None where they are not known."""
    if request.get("jobs") is None:
        return None
    found: Dict[str, Optional[int]] = {}
    for entry in _list_of(request, "jobs"):
        fields = entry if isinstance(entry, dict) else {"name": entry}
        name = job_name.parse(fields.get("name"))
        if not name:
            raise JobInvalid(reason="a job in imaging_jobs has no name")
        if name in found:
            raise JobNamesTwice(job=name)
        found[name] = None if fields.get("keep") is None else number_of(fields, "keep", _KEEP, 1)
    return found


def _disks_of(request: Dict[str, Any]) -> List[str]:
    listed = _list_of(request, "forget_disks")
    if not all(isinstance(one, str) and one.strip() for one in listed):
        raise JobInvalid(reason="imaging_forget_disks must be a list of ids of disks")
    return listed


def _list_of(request: Dict[str, Any], key: str) -> List[Any]:
    value = request.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _MAX_LISTED:
        raise JobInvalid(reason="imaging_%s must be a list" % key)
    return value
