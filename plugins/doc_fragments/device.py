# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation, besides options, that is common to modules that work through the agent on a device."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the link to a device, and of a run on it."""

    DOCUMENTATION = r"""
options: {}
requirements:
  - "Linux: CPython 3.8 or newer on the device; set C(ansible_python_interpreter) if the search does not find the right one."
  - "Linux: a POSIX shell on the device, reached over any connection that can put a file and run a command, such as C(ssh)."
  - "Windows: the connection P(plantops.imaging.admin_share#connection)."
"""

    RUN = r"""
options: {}
notes:
  - On a local device (C(ansible_connection=local)) without an agent, a process of the machine that runs
    C(ansible-playbook) does the work, and the agent is not installed. That process ends with the play; O(wait=false)
    uses the agent.
"""
