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
  - Deletes the oldest images so that O(keep) remain of each job. Only complete images count, in the order of their
    sequence numbers.
  - The last image of a disk or volume that is missing from the newest image of its job is kept until O(forget_disks)
    lists it.
  - Pinned and archived images are kept, and so is the last image of every key that O(password) does not open.
  - Packs that only deleted images need are moved to the trash at once, and deleted by a later run at least a day
    later.
  - M(plantops.imaging.image) runs the rollover after each successful run; use this module for storages in which
    devices may not delete.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.options.storage
  - plantops.imaging.options.device_directory
  - plantops.imaging.options.password
  - plantops.imaging.options.image_rollover
attributes:
  check_mode:
    support: full
    details: Returns the images that would be deleted, without deleting them.
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
  description: Older images that are kept, each with the reason.
  returned: success
  type: dict
  sample: {"2026-10-01_13-45-10": "it is pinned"}
missing_disks:
  description: Disks and volumes that older images of a job contain and its newest image does not, each with the image
    that is kept for it.
  returned: success
  type: list
  elements: dict
  sample: []
dry_run:
  description: Whether the deletion was skipped because of check mode.
  returned: success
  type: bool
  sample: false
trashed_packs:
  description: Packs that are no longer needed and were moved to the trash.
  returned: success
  type: list
  elements: str
  sample: []
purged_packs:
  description: Packs that were deleted from the trash.
  returned: success
  type: list
  elements: str
  sample: []
freed_bytes:
  description: Bytes that were freed.
  returned: success
  type: int
  sample: 16777216
trash:
  description:
    - The packs of deleted images that are not deleted for good yet. C(packs) and C(bytes) say how many they are,
      C(due_bytes) what the next rollover frees, C(next_due) and C(last_due) from when on it frees more and all of it,
      C(needs_image) whether part of it waits for another image.
  returned: success, null if the sweep was skipped
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
