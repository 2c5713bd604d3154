# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of a host: their names, schedules, and what refers to them."""

from __future__ import annotations

from typing import Iterator, List, Tuple

from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    ForgottenJobDefined,
    JobNameInvalid,
    JobNamesTwice,
    JobUndefined,
    JobUnscheduled,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.image.format import job_name

from . import storages
from .expressions import text_of
from .finding import Issue, issue
from .nodes import Node, Variables

_JOBS = "imaging_jobs"


def issues(variables: Variables) -> Iterator[Issue]:
    """Yield what is wrong with the jobs of a host."""
    node = variables.get(_JOBS)
    if node is not None and node.is_open:
        return
    jobs = [(place, job) for place, job in enumerate(node.items if node else ()) if isinstance(job.value, dict)]
    names: List[str] = []
    for place, job in jobs:
        yield from _name(place, job, names)
        if "storage" in job.keys:
            key = "%s[%d].storage" % (_JOBS, place)
            yield from storages.issues(job.keys["storage"].keys, variables, key, job.text("name"))
    yield from _schedules(jobs)
    yield from _references(variables, names)


def _name(place: int, job: Node, names: List[str]) -> Iterator[Issue]:
    node, key = job.keys.get("name"), "%s[%d].name" % (_JOBS, place)
    if node is None or node.is_open or node.value in (None, "") or isinstance(node.value, (dict, list)):
        return
    try:
        name = job_name.parse(node.value)
    except JobNameInvalid as error:
        yield issue(error, key, node, str(node.value))
        return
    if name in names:
        yield issue(JobNamesTwice(job=name), key, node, name)
    names.append(name)


def _schedules(jobs: List[Tuple[int, Node]]) -> Iterator[Issue]:
    planned = [place for place, job in jobs if "schedule" in job.keys and job.keys["schedule"].value is not None]
    for place, job in jobs if planned else ():
        if place not in planned:
            name = job.text("name")
            yield issue(JobUnscheduled(job=name), "%s[%d].schedule" % (_JOBS, place), job, name)


def _references(variables: Variables, names: List[str]) -> Iterator[Issue]:
    chosen = text_of(variables["imaging_job"], variables) if "imaging_job" in variables else ""
    if chosen and chosen not in names:
        yield issue(JobUndefined(job=chosen), "imaging_job", variables["imaging_job"], chosen)
    forgotten = variables.get("imaging_forget_jobs")
    for place, one in enumerate(forgotten.entries if forgotten else ()):
        is_default = one.value == "" and not names and not chosen and chosen is not None
        if isinstance(one.value, str) and (one.value in names or is_default):
            error = ForgottenJobDefined(job=job_name.shown(one.value))
            yield issue(error, "imaging_forget_jobs[%d]" % place, one, one.value)
