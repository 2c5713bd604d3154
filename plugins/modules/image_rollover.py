#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_rollover
short_description: Delete the oldest images of a device
version_added: 0.1.0
description:
  - Deletes the oldest images, so that O(keep) remain of each job. Only complete images count, in the order in which they were made.
  - The last image of a disk or volume that the newest image of its job does not hold stays, until O(forget_disks) lists it.
  - Pinned and archived images stay, and so does the last image of every key that O(password) does not open.
  - What only deleted images need goes to the trash at once, and for good by a later run, at least a day after.
  - M(plantops.imaging.image) does this after each successful run; this module is for storages on which devices may not delete.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.options.storage
  - plantops.imaging.options.password
  - plantops.imaging.options.image_rollover
attributes:
  check_mode:
    support: full
    details: Says what would be deleted, and deletes nothing.
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - On the host that the task works on, Python 3.8 or newer with C(blake3), C(cryptography) and C(zstandard).
  - C(paramiko) for an SFTP server, C(smbprotocol) for a share.
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: See what a rollover would delete
  plantops.imaging.image_rollover:
    storage:
      url: /srv/images
    device_name: press-07
    keep: 14
  check_mode: true
  diff: true

- name: Keep two weeks of images
  plantops.imaging.image_rollover:
    storage:
      url: sftp://images.example.com/plant-1
      username: operator
      private_key_file: /etc/imaging/operator_ed25519
      host_key: SHA256:AAAAbbbbCCCCddddEEEEffffGGGGhhhhIIIIjjjjKKK
    device_name: press-07
    keep: 14
    password: "{{ vault_imaging_password }}"
"""

RETURN = r"""
images:
  description: The images that remain, oldest first.
  returned: success
  type: list
  elements: str
  sample: [2026-11-22_13-45-10]
deleted:
  description: The images that were deleted.
  returned: success
  type: list
  elements: str
  sample: [2026-11-15_13-45-10]
spared:
  description: Older images that stay, each with the reason.
  returned: success
  type: dict
  sample: {"2026-10-01_13-45-10": "it is pinned"}
missing_disks:
  description: Disks and volumes that older images of a job hold and its newest one does not, each with the image that is kept for it.
  returned: success
  type: list
  elements: dict
  sample: []
dry_run:
  description: Whether nothing was deleted because of check mode.
  returned: success
  type: bool
  sample: false
trashed_packs:
  description: Packs that no image needs any more and that went to the trash.
  returned: success
  type: list
  elements: str
  sample: []
purged_packs:
  description: Packs that left the trash for good.
  returned: success
  type: list
  elements: str
  sample: []
freed_bytes:
  description: Bytes that came free.
  returned: success
  type: int
  sample: 16777216
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
