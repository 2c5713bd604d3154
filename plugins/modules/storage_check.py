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
  - Reaches the storage, logs in, and tries with files of its own what a run needs; writes, reads back, renames, replaces, deletes.
  - Where O(password) is given and the device has images with a password, it must open them.
  - Each failure is one sentence with a code of the catalogue of errors.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.options.storage
  - plantops.imaging.options.password
attributes:
  check_mode:
    support: partial
    details: Only looks; nothing is written, so RV(may_replace), RV(may_rename), RV(may_delete) and what is measured are missing.
  diff_mode:
    support: N/A
    details: The device's directory is made; what is written into it is deleted again, where this account may delete.
  idempotent:
    support: full
requirements:
  - On the host that the task works on, Python 3.8 or newer with C(blake3), C(cryptography) and C(zstandard).
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
  description: The storage, as messages name it.
  returned: success
  type: str
  sample: /srv/images
images:
  description: How many images the device has.
  returned: success
  type: int
  sample: 7
has_key:
  description: Whether there are images with a password.
  returned: success
  type: bool
  sample: true
may_delete:
  description: Whether this account may delete; if not, rollover is the operator's.
  returned: success, not in check mode
  type: bool
  sample: true
may_replace:
  description: Whether this account may replace files of its own.
  returned: success, not in check mode
  type: bool
  sample: true
may_rename:
  description: Whether this account may rename; if not, rollover is the operator's.
  returned: success, not in check mode
  type: bool
  sample: true
clock_ahead_seconds:
  description: How far the server's clock is ahead of this machine's, null where the server does not tell.
  returned: success, not in check mode
  type: int
  sample: 0
round_trip_milliseconds:
  description: How long one listing took.
  returned: success, not in check mode
  type: float
  sample: 3.1
write_mb_per_second:
  description: How fast one MiB was written, its publication included.
  returned: success, not in check mode
  type: float
  sample: 80.5
free_bytes:
  description: Free space, null where the server does not tell.
  returned: success
  type: int
  sample: 512000000000
total_bytes:
  description: Size of the storage, null where the server does not tell.
  returned: success
  type: int
  sample: 2000000000000
storage_host_key:
  description: Fingerprint of the host key that the SFTP server showed.
  returned: success, with an SFTP server that was asked
  type: str
  sample: SHA256:d6KNsk3bmZ8Cx4Gmkqz5bA1zVJ3mS8rBxkH3qkqkqk0
storage_host_key_is_new:
  description: Whether V(accept-new) took it without a check; compare it with the server's own and give it as C(host_key).
  returned: success, with an SFTP server that was asked
  type: bool
  sample: false
error_code:
  description: The code of the failure in the catalogue of errors.
  returned: failure
  type: str
  sample: K100
hint:
  description: What to do about the failure.
  returned: failure
  type: str
"""
