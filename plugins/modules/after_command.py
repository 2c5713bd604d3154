#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: after_command
short_description: Have a device run a command after a run, however the run ends
version_added: 0.1.0
description:
  - Hands the agent of a device a command that it runs when a run ends - after success, failure and cancelling, if the
    run is killed, and if the controller or the connection is lost.
  - Register it before a task stops anything on the device, and pass RV(id) to the option O(plantops.imaging.image#module:after_command)
    of the run. If no run begins in time, the device runs the command.
  - The agent is installed or updated first. A device that restarts runs the command at the next contact with a
    controller.
  - The command may run twice if the agent is killed while the command runs, so it must do no harm then. C(systemctl start)
    is an example.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.device
  - plantops.imaging.options.link
attributes:
  check_mode:
    support: full
    details: Check mode registers no command.
  diff_mode:
    support: none
    details: The outcome is in the result.
  idempotent:
    support: none
    details: Each task registers another command.
options:
  state:
    description:
      - V(registered) hands the command to the agent.
      - V(run) has it run now, unless its run is in progress, and returns its outcome.
    type: str
    choices: [registered, run]
    default: registered
  id:
    description: The registered command. Required for V(run).
    type: str
  after:
    description:
      - The program and each of its arguments. No shell reads them.
      - They are stored on the device, so they must not contain secrets.
      - Required for V(registered).
    type: list
    elements: str
  time_limit_seconds:
    description: The device stops the command after this time.
    type: int
    default: 60
  start_within_seconds:
    description: The device runs the command if no run begins within this time.
    type: int
    default: 900
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Have the device start the application after the run
  plantops.imaging.after_command:
    after: [systemctl, start, hmi.service]
  register: application

- name: Stop the application
  ansible.builtin.service:
    name: hmi.service
    state: stopped
"""

RETURN = r"""
id:
  description: The handle of the command, null in check mode.
  returned: success
  type: str
  sample: after-20261129-175000-1a2b3c
outcome:
  description: How the command ended. Null if it did not run yet.
  returned: always
  type: dict
  sample:
    exit_status: 0
    timed_out: false
    seconds: 0.4
    output: ""
    reason: "the run ended: done"
error_code:
  description: The code of the failure in the catalogue of errors.
  returned: failure
  type: str
  sample: A352
hint:
  description: How to fix the failure.
  returned: failure
  type: str
"""
