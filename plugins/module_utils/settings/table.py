# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the role ``imaging``: the one place where each of them is written down.

``make docs`` writes the role's argument specs, defaults, variables and README from it, and the documentation of the modules.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

from .archiving import ARCHIVE, TRANSFER
from .content import CONTENT, ROLLOVER
from .copying import COPY
from .hooks import HOOKS
from .place import KEYS, STORAGE
from .restore import RESTORE
from .retiring import RENAME, RETIRE
from .schedule import SCHEDULE
from .setting import Setting
from .showing import SHOW
from .storage import STORAGE_KEYS
from .verbs import ON_A_STORAGE
from .work import AGENT, LINK, RESULTS_OF_RUNS, RUN, SITE

_OVERRIDABLE = tuple(one for one in (*STORAGE, *CONTENT, *ROLLOVER, TRANSFER, *ARCHIVE, *HOOKS) if one.in_jobs)


def _of_a_job(setting: Setting) -> Setting:
    """A setting that a job does not have follows the site's settings."""
    if setting.name == "storage":
        words = ("Another storage for this job, with all of its keys.",)
        return replace(setting, description=words, default=None, options=STORAGE_KEYS)
    return replace(setting, required=False, default=None)


_JOBS: Tuple[Setting, ...] = (
    Setting(
        "jobs",
        "list",
        ("Named jobs. The settings of a job override those of the site.",),
        ON_A_STORAGE,
        elements="dict",
        default=[],
        default_words="none",
        options=(
            Setting("name", "str", ("Name of the job.",), required=True),
            *(_of_a_job(setting) for setting in _OVERRIDABLE),
            SCHEDULE,
        ),
        role_only=True,
    ),
    Setting(
        "job",
        "str",
        ("The job of O(jobs) to use, for every verb. Empty uses the settings without a job.",),
        ON_A_STORAGE,
        default="",
        default_words="none",
    ),
)

SETTINGS: Tuple[Setting, ...] = (
    *STORAGE,
    *CONTENT,
    *KEYS,
    *_JOBS,
    *ROLLOVER,
    *RETIRE,
    *RENAME,
    *RESTORE,
    *COPY,
    *SHOW,
    TRANSFER,
    *ARCHIVE,
    *RUN,
    *AGENT,
    *LINK,
    *RESULTS_OF_RUNS,
    *HOOKS,
    *SITE,
)
# The variables in which the role's entry points return the results of their tasks.
RESULTS: Tuple[str, ...] = (
    "imaging_agent_result",
    "imaging_archive_result",
    "imaging_copy_result",
    "imaging_device_info_result",
    "imaging_history_result",
    "imaging_image_result",
    "imaging_rename_jobs_result",
    "imaging_rename_result",
    "imaging_restore_result",
    "imaging_retire_jobs_result",
    "imaging_retire_result",
    "imaging_rollover_jobs_result",
    "imaging_rollover_result",
    "imaging_run_result",
    "imaging_show_result",
    "imaging_storage_check_result",
    "imaging_verify_result",
)


def setting(name: str) -> Setting:
    """Return the setting called ``name``, without the prefix."""
    return next(one for one in SETTINGS if one.name == name)


def settings_of(verb: str) -> Tuple[Setting, ...]:
    """Return the settings that one entry point of the role takes."""
    return tuple(one for one in SETTINGS if verb in one.verbs)
