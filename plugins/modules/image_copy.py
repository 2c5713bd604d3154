#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_copy
short_description: Copy an image with all that a recovery needs
version_added: 0.1.0
description:
  - Copies an image with just the packs that it needs to a directory, such as a USB disk or a FAT32 stick, or to another storage.
  - The copy has the layout of a storage, so every verb works on it, and C(sha256sum -c SHA256SUMS) proves it without any tool of ours.
  - The recovery program goes with it, and pages in English and German, C(RECOVERY.html) to print and C(RECOVERY.txt), that say for this
    very image what to have at hand and what to type.
  - Everything is read back after it was written. What is there already and intact is not copied again, so that an interrupted copy goes on.
  - No password is needed. With one the manifest is authenticated, and the pages tell more of the machine.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.options.storage
  - plantops.imaging.options.password
  - plantops.imaging.options.image_copy
attributes:
  check_mode:
    support: full
    details: Nothing is written; tells in RV(bytes_to_copy) what would be.
  diff_mode:
    support: N/A
    details: What is copied is in the result.
  idempotent:
    support: full
requirements:
  - On the host that the task works on, Python 3.8 or newer with C(blake3), C(cryptography) and C(zstandard).
  - C(paramiko) for an SFTP server, C(smbprotocol) for a share.
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Copy the newest image to a USB disk
  plantops.imaging.image_copy:
    storage:
      url: sftp://backup.plant.example/srv/images
      username: operator
      private_key_file: /etc/plantops/operator.key
    device_name: press-07
    directory: /media/usb-disk/recovery
    password: "{{ vault_imaging_password }}"

- name: Copy an image to the storage of the other hall
  plantops.imaging.image_copy:
    storage:
      url: /srv/images
    device_name: press-07
    image: 2026-11-22_13-45-10
    copy_storage:
      url: \\nas2.plant.example\images
      username: PLANT\operator
      password: "{{ vault_nas2_password }}"
"""

RETURN = r"""
image:
  description: The image that was copied.
  returned: success
  type: str
  sample: 2026-11-22_13-45-10
device:
  description: The device's directory.
  returned: success
  type: str
  sample: press-07
target:
  description: Where the copy is.
  returned: success
  type: str
  sample: /media/usb-disk/recovery
authenticated:
  description: Whether a password proved the manifest. Null for an image that is not encrypted.
  returned: success
  type: bool
  sample: true
bytes:
  description: Size of the packs that the image needs.
  returned: success
  type: int
  sample: 1473249280
packs:
  description: How many packs the image needs.
  returned: success
  type: int
  sample: 176
bytes_copied:
  description: Bytes of packs that were copied.
  returned: success, not in check mode
  type: int
  sample: 53477376
packs_copied:
  description: How many packs were copied.
  returned: success, not in check mode
  type: int
  sample: 7
bytes_kept:
  description: Bytes of packs that were there already, and were hashed.
  returned: success, not in check mode
  type: int
  sample: 1419771904
bytes_to_copy:
  description: Bytes of packs that would be copied.
  returned: success, in check mode
  type: int
  sample: 53477376
packs_to_copy:
  description: How many packs would be copied.
  returned: success, in check mode
  type: int
  sample: 7
images:
  description: The images of the device that the target holds now, oldest first.
  returned: success, not in check mode
  type: list
  elements: str
  sample: [2026-11-22_13-45-10]
pinned:
  description: Those of RV(images) that are pinned there. A pin of the source goes with the image.
  returned: success, not in check mode
  type: list
  elements: str
  sample: []
seconds:
  description: How long it took.
  returned: success, not in check mode
  type: float
  sample: 21.4
storage_host_key:
  description: Fingerprint of the host key that the SFTP server of O(storage) showed.
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
  sample: C100
hint:
  description: What to do about the failure.
  returned: failure
  type: str
"""
