#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: agent
short_description: Install, update or remove the agent of a device
version_added: 0.1.0
description:
  - The agent is the program that images a device. M(plantops.imaging.image) installs or updates it automatically;
    this module installs it ahead of time, or removes it.
  - The agent is a single directory, C(/opt/plantops-imaging) for root, and needs only CPython. It sets up no service
    and does not run while idle.
  - On a Windows device, reached with the connection P(plantops.imaging.admin_share#connection), it is the directory
    C(plantops-imaging) in C(Program Files), with its own Python, and a service of the same name, which waits for
    commands. A removal that was interrupted is completed by the next play.
  - Only the parts that are missing on the device are sent. A new agent is activated only after it has passed its
    self-test.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.device
  - plantops.imaging.options.link
  - plantops.imaging.options.agent
attributes:
  check_mode:
    support: full
    details: Returns the agent that would be installed and the number of bytes that would be sent.
  diff_mode:
    support: full
    details: Shows the id of the agent before and after.
  idempotent:
    support: full
seealso:
  - module: plantops.imaging.image
  - module: plantops.imaging.device_info
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Install the agent of this collection on the device
  plantops.imaging.agent:
    state: latest

- name: Remove the agent from the device
  plantops.imaging.agent:
    state: absent
"""

RETURN = r"""
installed:
  description: Id of the installed agent, V(null) if the device has no agent.
  returned: success
  type: str
  sample: 0.1.0-6a1c0f4be09d2277
replaced:
  description: Id of the previous agent, if it was replaced.
  returned: success
  type: str
  sample: 0.1.0-93bb7a5d1c44e016
sent_bytes:
  description:
    - Bytes of the agent that were sent to the device, or would be.
    - V(null), like RV(installed), in check mode if the controller would first have to download packages.
  returned: success
  type: int
  sample: 11534336
others:
  description: The agents that other users of the device have; each is removed by a play that runs as that user.
  returned: with O(state=absent)
  type: list
  elements: dict
  sample: [{"user": "tech", "directory": "/home/tech/.local/share/plantops-imaging"}]
base:
  description: The agent's directory on the device.
  returned: success
  type: str
  sample: /opt/plantops-imaging
platform:
  description: The platform of the device, which selects the bundle.
  returned: success
  type: str
  sample: linux-x86_64-glibc-cp311
python:
  description: The interpreter that was found on the device.
  returned: success
  type: str
  sample: python3
error_code:
  description: The code of the failure in the catalogue of errors.
  returned: failure
  type: str
  sample: A402
hint:
  description: How to fix the failure.
  returned: failure
  type: str
"""
