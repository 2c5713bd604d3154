#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: storage_check
short_description: Check that a storage can take the images of a device
version_added: 0.1.0
description:
  - Connects to the storage, logs in, and tests with temporary files the operations that a run needs (write, read
    back, rename, replace, delete).
  - If O(password) is set and the device has encrypted images, the password must open them.
  - Each failure is reported as one sentence with an error code.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.options.storage
  - plantops.imaging.options.device_directory
  - plantops.imaging.options.password
attributes:
  check_mode:
    support: partial
    details: Check mode writes no files, so RV(may_replace), RV(may_rename), RV(may_delete) and the measurements are
      missing.
  diff_mode:
    support: N/A
    details: The module creates the device directory. It deletes its temporary files again, if the account may delete.
  idempotent:
    support: full
requirements:
  - Python 3.8 or newer on the host that runs the task, with C(blake3), C(cryptography) and C(zstandard).
  - C(paramiko) for an SFTP server, C(smbprotocol) for a share.
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Check the storage before the first image
  plantops.imaging.storage_check:
    storage:
      url: sftp://images.example.com/plant-1
      username: press-07
      private_key_file: /etc/imaging/press-07_ed25519
      host_key: SHA256:AAAAbbbbCCCCddddEEEEffffGGGGhhhhIIIIjjjjKKK
    device_name: press-07
    password: "{{ vault_imaging_password }}"
"""

RETURN = r"""
storage:
  description: The storage, as shown in messages.
  returned: success
  type: str
  sample: /srv/images
images:
  description: How many images the device has.
  returned: success
  type: int
  sample: 7
has_key:
  description: Whether the device has encrypted images.
  returned: success
  type: bool
  sample: true
may_delete:
  description: Whether this account may delete. Otherwise the operator must run the rollover.
  returned: success, not in check mode
  type: bool
  sample: true
may_replace:
  description: Whether this account may replace its own files.
  returned: success, not in check mode
  type: bool
  sample: true
may_rename:
  description: Whether this account may rename. Otherwise the operator must run the rollover.
  returned: success, not in check mode
  type: bool
  sample: true
clock_ahead_seconds:
  description: How far the server's clock is ahead of this machine's, null if the server does not report it.
  returned: success, not in check mode
  type: int
  sample: 0
round_trip_milliseconds:
  description: Duration of one listing.
  returned: success, not in check mode
  type: float
  sample: 3.1
write_mb_per_second:
  description: Write rate of one megabyte, including the final rename.
  returned: success, not in check mode
  type: float
  sample: 80.5
free_bytes:
  description: Free space, null if the server does not report it.
  returned: success
  type: int
  sample: 512000000000
total_bytes:
  description: Size of the storage, null if the server does not report it.
  returned: success
  type: int
  sample: 2000000000000
trash:
  description:
    - The packs of deleted images that are not deleted for good yet. C(packs) and C(bytes) say how many they are,
      C(due_bytes) what the next rollover frees, C(next_due) and C(last_due) from when on it frees more and all of it,
      C(needs_image) whether part of it waits for another image.
  returned: success
  type: dict
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
