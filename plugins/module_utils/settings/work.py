# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the work on a device: the run, the link to the device, the agent; and names of a site's own."""

from __future__ import annotations

from typing import Tuple

from .setting import NO_DEFAULT, Setting
from .verbs import ALL, FOLLOWED, ON_THE_DEVICE

RUN: Tuple[Setting, ...] = (
    Setting(
        "wait",
        "bool",
        (
            "Whether to follow the run to its end. Otherwise the result contains the handle of the run, C(run).",
            "V(false) returns as soon as the run has received its secrets.",
            "In both cases the run does not depend on the connection or on C(ansible-playbook).",
        ),
        FOLLOWED,
        default=True,
    ),
    Setting(
        "run",
        "str",
        (
            (
                "The handle of a run, as returned by an earlier task. The task follows that run instead of starting a "
                "new one."
            ),
            (
                "Not needed for a run in progress that a killed play or O(wait=false) started: a task with the same "
                "settings finds it."
            ),
        ),
        FOLLOWED,
        default="",
        module=NO_DEFAULT,
    ),
    Setting("cancel", "bool", ("Cancel the run O(run).",), FOLLOWED, default=False),
    Setting(
        "cancel_on_interrupt",
        "bool",
        ("Cancel the run when the play is interrupted. Otherwise the run continues.",),
        FOLLOWED,
        default=False,
    ),
)

AGENT: Tuple[Setting, ...] = (
    Setting(
        "agent_state",
        "str",
        (
            "V(present), V(latest) for the agent of this collection, or V(absent).",
            "V(present) installs the agent if the device has no usable agent, and keeps an older version.",
            "V(latest) installs the version of this collection.",
            (
                "V(absent) removes the agent and all of its files from the device. It is refused while a run is in "
                "progress."
            ),
        ),
        ("agent",),
        choices=("present", "latest", "absent"),
        default="latest",
        option="state",
        module={"default": "present"},
    ),
)
LINK: Tuple[Setting, ...] = (
    Setting(
        "reconnect_seconds",
        "int",
        (
            "How long a task retries a lost connection to the device before it fails.",
            "A run on the device continues regardless.",
            (
                "A device that can't be reached at the start of a task is reported as unreachable at once, as with any "
                "module."
            ),
        ),
        ON_THE_DEVICE,
        default=600,
        unit="seconds",
        minimum=0,
    ),
    Setting(
        "bundle_directory",
        "path",
        (
            (
                "Directory on the controller with agent bundles built by M(plantops.imaging.agent_bundle), for a site "
                "without a package index."
            ),
            "The directory is only read, and must contain the bundle for the platform of the device.",
            "Without this setting a missing bundle is built and stored in the user's cache.",
        ),
        ON_THE_DEVICE,
        default="",
        module=NO_DEFAULT,
    ),
    Setting(
        "agent_directory",
        "str",
        (
            (
                "Absolute path of the agent's directory on the device, for systems where C(/opt) is not writable or is "
                "mounted noexec. Remove the agent before you change this setting."
            ),
            (
                "The default is C(/opt/plantops-imaging) for root, and C(plantops-imaging) in the user's data folder "
                "for any other user."
            ),
            (
                "Only the agent may use the directory. A missing directory is created. Its parent directories must "
                "belong to root or to the agent's user and must not be writable by other users."
            ),
            (
                "An agent in another directory is not found. Remove it, using the setting that it was installed with, "
                "before you change this setting."
            ),
        ),
        ON_THE_DEVICE,
        default="",
        default_words="`/opt/plantops-imaging` for root",
        module=NO_DEFAULT,
    ),
)

RESULTS_OF_RUNS: Tuple[Setting, ...] = (
    Setting(
        "results_directory",
        "str",
        (
            (
                "Absolute path of a directory on the operator host that gets a JSON document of every run, as "
                "C(<device>/<yyyy-mm-dd_hh-MM-ss>-<verb>.json). Without this setting no document is written there."
            ),
        ),
        ALL,
        default="",
        default_words="none",
        role_only=True,
    ),
)

SITE: Tuple[Setting, ...] = (
    Setting(
        "site_variables",
        "list",
        (
            (
                "Names of your own variables that begin with C(imaging_). Every other variable with this prefix that "
                "is not a setting of this role is refused; the message suggests the nearest setting."
            ),
        ),
        ALL,
        elements="str",
        default=[],
        role_only=True,
    ),
    Setting(
        "validate_report",
        "str",
        ("Path without suffix of the report of the playbook C(validate), which writes a C(.json) and a C(.xml) file.",),
        ALL,
        default="",
        default_words="none",
        role_only=True,
    ),
)
