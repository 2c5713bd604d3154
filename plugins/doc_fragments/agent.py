# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that work through the agent on a device."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the link to a device, and of a run on it."""

    DOCUMENTATION = r"""
options:
  reconnect_seconds:
    description:
      - How long a lost connection is tried again before the task fails. A run on the device goes on meanwhile, and after.
      - A device that can't be reached at the beginning of a task is unreachable at once, as with any module.
    type: int
    default: 600
  bundle_directory:
    description:
      - A directory on the controller with bundles that M(plantops.imaging.agent_bundle) made, for a site without a package
        index. It is only read, and must hold the bundle of the device's platform.
      - Without it a missing bundle is built and kept in the user's cache.
    type: path
  agent_directory:
    description:
      - Where the agent lives on the device, an absolute path, for systems where C(/opt) can't be written or runs no programs.
      - C(/opt/plantops-imaging) without it; for another user than root, C(plantops-imaging) in the folder of that user's data.
      - The directory is the agent's alone. It is made where it is missing, and those above it must belong to root or to the
        agent's user and must not be writable for others.
      - An agent somewhere else is not found. Remove it, with the setting that it was installed with, before it is changed.
    type: str
requirements:
  - CPython 3.8 or newer on the device; C(ansible_python_interpreter) names it where the search does not find the right one.
  - A POSIX shell on the device, reached over any connection that can put a file and run a command, such as C(ssh).
"""

    RUN = r"""
options:
  wait:
    description:
      - Whether to follow the run to its end. V(false) returns its handle in RV(run) as soon as the run has its secrets.
      - The run does not depend on the connection or on C(ansible-playbook) in either case.
    type: bool
    default: true
  run:
    description:
      - A handle that an earlier task returned. That run is followed instead of starting one.
      - Not needed to go on with a run that a killed play left, or one of O(wait=false), as long as it is at work. A task
        with the same settings finds it.
    type: str
  cancel:
    description: Cancel the run that O(run) names.
    type: bool
    default: false
  cancel_on_interrupt:
    description: Cancel the run when the play is interrupted while it is followed. Without it the run goes on.
    type: bool
    default: false
notes:
  - A local device (C(ansible_connection=local)) that has no agent is worked on by a process of the machine that runs
    C(ansible-playbook), and nothing is installed. That process ends with the play; O(wait=false) uses the agent.
"""
