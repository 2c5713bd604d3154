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
  - The agent is the program that images a device there. M(plantops.imaging.image) installs or updates it by itself; this
    module does it ahead of time, or takes it away.
  - It is a directory of its own, C(/opt/plantops-imaging) for root, and needs nothing but CPython. No service is set up and
    nothing runs while there is no work.
  - Only parts that the device does not have are sent. A new agent is used only after it has passed its own test.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.device
  - plantops.imaging.options.link
  - plantops.imaging.options.agent
attributes:
  check_mode:
    support: full
    details: Returns what would be installed and how much would be sent.
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
- name: Have the agent of this collection on the device
  plantops.imaging.agent:
    state: latest

- name: Leave nothing on the device
  plantops.imaging.agent:
    state: absent
"""

RETURN = r"""
installed:
  description: Id of the agent that the device has, V(null) for none.
  returned: success
  type: str
  sample: 0.1.0-6a1c0f4be09d2277
replaced:
  description: Id of the agent that it had before, where that changed.
  returned: success
  type: str
  sample: 0.1.0-93bb7a5d1c44e016
sent_bytes:
  description:
    - Bytes of the agent that were sent to the device, or would be.
    - V(null), as RV(installed), in check mode where the controller would first have to download packages.
  returned: success
  type: int
  sample: 11534336
base:
  description: The agent's directory on the device.
  returned: success
  type: str
  sample: /opt/plantops-imaging
platform:
  description: The platform that bundles are chosen by.
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
  description: What to do about the failure.
  returned: failure
  type: str
"""
