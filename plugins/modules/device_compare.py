#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: device_compare
short_description: Compare the device documents of two images
version_added: 0.1.0
description:
  - Lists the software, services, users, addresses and other properties of a device that differ between two images, or between an image
    and the device document of M(plantops.imaging.device_info).
  - The images are not read, only the device document that each of them contains.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.options.storage
  - plantops.imaging.options.device_directory
  - plantops.imaging.options.password
  - plantops.imaging.options.device_compare
attributes:
  check_mode:
    support: full
    details: The module changes nothing.
  diff_mode:
    support: full
    details: Shows the differences.
  idempotent:
    support: full
requirements:
  - Python 3.8 or newer on the host that runs the task, with C(blake3), C(cryptography) and C(zstandard).
  - C(paramiko) for an SFTP server, C(smbprotocol) for a share.
seealso:
  - module: plantops.imaging.image
  - module: plantops.imaging.device_info
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Show what changed since the accepted state
  plantops.imaging.device_compare:
    storage:
      url: /srv/images
    device_name: press-07
    password: "{{ vault_imaging_password }}"
    against: baseline

- name: Ask the device
  plantops.imaging.device_info:
  register: device

- name: Compare it with its newest image
  plantops.imaging.device_compare:
    storage:
      url: /srv/images
    device_name: press-07
    password: "{{ vault_imaging_password }}"
    document: "{{ device.document }}"
  delegate_to: localhost
"""

RETURN = r"""
image:
  description: The later image, V(null) with O(document).
  returned: success
  type: str
  sample: 2026-11-22_13-45-10
comparison:
  description: The differences, as RV(plantops.imaging.image#module:comparison).
  returned: success
  type: dict
  sample: {"against": "2026-11-21_13-45-10", "sections": {}, "count": 0, "not_compared": []}
storage_host_key:
  description: Fingerprint of the host key that the SFTP server presented.
  returned: success, if the task connected to an SFTP server
  type: str
  sample: SHA256:d6KNsk3bmZ8Cx4Gmkqz5bA1zVJ3mS8rBxkH3qkqkqk0
storage_host_key_is_new:
  description: Whether V(accept-new) accepted the key without a check. Compare it with the server's own key and set it
    as C(host_key).
  returned: success, if the task connected to an SFTP server
  type: bool
  sample: false
error_code:
  description: The code of the failure in the catalogue of errors.
  returned: failure
  type: str
  sample: K100
hint:
  description: How to fix the failure.
  returned: failure
  type: str
"""
