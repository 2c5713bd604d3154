# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several values of a setting holds: the global one, the group's, the host's or the job's. The later ones win.

A value is taken as a whole and never looked into, so that what is sealed or a template stays so until it is used.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence

from .storage import CREDENTIALS, FLAT
from .table import SETTINGS, setting

Jobs = Optional[Sequence[Mapping[str, Any]]]


def job_called(name: str, jobs: Jobs) -> Mapping[str, Any]:
    """Return the first of ``jobs`` that has this name; a job without settings where there is none."""
    for job in jobs or ():
        if "name" in job and job["name"] == name:
            return job
    return {}


def value_of(name: str, jobs: Jobs, job: str, of_the_site: Any) -> Any:
    """Return the value of the setting ``name`` for the chosen ``job``, which may override what the site says."""
    if not setting(name).in_jobs:
        return of_the_site
    return job_called(job, jobs).get(name, of_the_site)


def with_flat(storage: Any, flat: Mapping[str, Any]) -> Any:
    """Return ``storage`` with what ``flat`` says of the keys that it does not set; an empty text says nothing.

    The storage itself is returned, and not looked into, where ``flat`` says nothing.
    """
    said = {key: value for key, value in flat.items() if not _is_empty(value)}
    return {**said, **(storage or {})} if said else storage


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value)


def flat_of(name: str, variables: Mapping[str, Any]) -> Dict[str, Any]:
    """Return what the flat spellings of the storage called ``name`` say, of ``variables`` without their prefix."""
    return {key: variables[flat] for key in FLAT for flat in ["%s_%s" % (name, key)] if flat in variables}


def operator_storage(jobs: Jobs, job: str, of_the_site: Any, of_the_operator: Optional[Mapping[str, Any]]) -> Any:
    """Return the storage of the chosen ``job`` as the operator works on it.

    The operator's settings are those for the site's storage; a job with a separate storage is worked on as the job
    says. Credentials there take the place of all of the device's; where the storage is and how it is recognised stays.
    """
    chosen = job_called(job, jobs)
    if "storage" in chosen or not of_the_operator:
        return chosen.get("storage", of_the_site)
    kept = {key: of_the_site[key] for key in of_the_site if key not in CREDENTIALS}
    return {**kept, **of_the_operator}


def resolved(levels: Sequence[Mapping[str, Any]], job: str = "") -> Dict[str, Any]:
    """Return every setting that has a value, by its name without the prefix, as it holds for the chosen ``job``.

    ``levels`` are the variables of the site, of the groups and of the host, in this order; Ansible merges them where it
    runs. The storage of the operator becomes the whole one that it works on.
    """
    found = {one.name: one.default for one in SETTINGS if one.default is not None}
    for level in levels:
        found.update({one.name: level[one.variable] for one in SETTINGS if one.variable in level})
    for name in ("storage", "storage_operator"):
        found[name] = with_flat(found[name], flat_of(name, found))
    jobs, storage = found["jobs"], found["storage"]
    found["storage_operator"] = operator_storage(jobs, job, storage, found["storage_operator"])
    overridden = job_called(job, jobs)
    found.update({one.name: overridden[one.name] for one in SETTINGS if one.in_jobs and one.name in overridden})
    return found
