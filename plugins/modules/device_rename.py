#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: device_rename
short_description: Rename the directory of a device in the storage
version_added: 0.1.0
description:
  - Moves the directory of a device to a new name. The images in it remain usable, and new ones follow them.
  - It never moves onto an existing directory, and it refuses to run while a run writes to the directory.
  - Running the module again is safe at any time, also after it was interrupted. It also repairs a directory that was moved
    by hand; O(device_name) is then the former name.
  - Each key of an image must be opened by O(password) or O(password_previous). The account in O(storage) must be permitted
    to delete, rename and replace files.
  - Then change the name in the inventory, or set C(imaging_device_name) to it.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.options.storage
  - plantops.imaging.options.device_directory
  - plantops.imaging.options.password
  - plantops.imaging.options.device_rename
attributes:
  check_mode:
    support: full
    details: Refuses what it would refuse, and renames no directory.
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - Python 3.8 or newer on the host that runs the task, with C(blake3), C(cryptography) and C(zstandard).
  - C(paramiko) for an SFTP server, C(smbprotocol) for a share.
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Give a device its new name
  plantops.imaging.device_rename:
    storage:
      url: /srv/images
    device_name: press-07
    to: hall2-press-07
    password: "{{ vault_imaging_password }}"
"""

RETURN = r"""
device:
  description: Name of the directory now; in check mode, the name that it would have.
  returned: success
  type: str
  sample: hall2-press-07
former:
  description: Name of the directory before.
  returned: success
  type: str
  sample: press-07
moved:
  description: Whether the directory was moved. V(false) with RV(ignore:changed) means that a directory that was moved before
    was repaired.
  returned: success
  type: bool
  sample: true
images:
  description: The images in the directory, oldest first.
  returned: success
  type: list
  elements: str
  sample: [2026-11-22_13-45-10]
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
  sample: J190
hint:
  description: How to fix the failure.
  returned: failure
  type: str
"""
