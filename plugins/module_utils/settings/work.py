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
            "Whether to follow the run to its end; without that the result holds its handle, C(run).",
            "V(false) returns as soon as the run has its secrets.",
            "The run does not depend on the connection or on C(ansible-playbook) in either case.",
        ),
        FOLLOWED,
        default=True,
    ),
    Setting(
        "run",
        "str",
        (
            "A handle that an earlier task returned. That run is followed instead of starting one.",
            "Not needed to go on with a run that a killed play left, or one of O(wait=false), as long as it is at work. A task with"
            " the same settings finds it.",
        ),
        FOLLOWED,
        default="",
        module=NO_DEFAULT,
    ),
    Setting("cancel", "bool", ("Cancel the run that O(run) names.",), FOLLOWED, default=False),
    Setting(
        "cancel_on_interrupt",
        "bool",
        ("Cancel the run when the play is interrupted while it is followed; without it the run goes on.",),
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
            "V(present) installs the agent where there is none that can be used, and leaves an older one as it is.",
            "V(latest) makes it the one of this collection.",
            "V(absent) removes it with everything that it keeps on the device. Refused while a run is at work.",
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
            "How long a lost connection to the device is tried again before the task fails.",
            "A run on the device goes on meanwhile, and after.",
            "A device that can't be reached at the beginning of a task is unreachable at once, as with any module.",
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
            "Directory on the controller with bundles of the agent that M(plantops.imaging.agent_bundle) made, for a site without a"
            " package index.",
            "It is only read, and must hold the bundle of the device's platform.",
            "Without it a missing bundle is built and kept in the user's cache.",
        ),
        ON_THE_DEVICE,
        default="",
        module=NO_DEFAULT,
    ),
    Setting(
        "agent_directory",
        "str",
        (
            "Where the agent lives on the device, an absolute path, for systems where C(/opt) can't be written or runs no programs."
            " Remove the agent before it is changed.",
            "C(/opt/plantops-imaging) without it; for another user than root, C(plantops-imaging) in the folder of that user's data.",
            "The directory is the agent's alone. It is made where it is missing, and those above it must belong to root or to the"
            " agent's user and must not be writable for others.",
            "An agent somewhere else is not found. Remove it, with the setting that it was installed with, before it is changed.",
        ),
        ON_THE_DEVICE,
        default="",
        default_words="`/opt/plantops-imaging` for root",
        module=NO_DEFAULT,
    ),
)

SITE: Tuple[Setting, ...] = (
    Setting(
        "site_variables",
        "list",
        (
            "Names of a site's own variables that begin with C(imaging_). Every other variable of that prefix that is not a setting"
            " of this role is refused, with the nearest setting named.",
        ),
        ALL,
        elements="str",
        default=[],
        role_only=True,
    ),
)
