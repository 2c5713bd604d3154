#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_copy
short_description: Copy an image with everything that a recovery needs
version_added: 0.1.0
description:
  - Copies an image with just the packs that it needs to a directory, such as a USB disk or a FAT32 stick, or to another storage.
  - The copy has the layout of a storage, so every verb works on it, and C(sha256sum -c SHA256SUMS) verifies it
    without the engine.
  - The copy includes the recovery program and instructions for this image in English and German, C(RECOVERY.html) for
    printing and C(RECOVERY.txt).
  - Every file is read back after it was written. Intact files of an earlier copy are reused, so an interrupted copy
    continues.
  - The password is optional. With a password the manifest is authenticated, and the instructions contain more details
    of the machine.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.options.storage
  - plantops.imaging.options.device_directory
  - plantops.imaging.options.password
  - plantops.imaging.options.image_copy
attributes:
  check_mode:
    support: full
    details: Check mode writes no files; RV(bytes_to_copy) is the number of bytes that would be copied.
  diff_mode:
    support: N/A
    details: The result contains the copied bytes.
  idempotent:
    support: full
requirements:
  - Python 3.8 or newer on the host that runs the task, with C(blake3), C(cryptography) and C(zstandard).
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
  description: The copied image.
  returned: success
  type: str
  sample: 2026-11-22_13-45-10
device:
  description: The device's directory.
  returned: success
  type: str
  sample: press-07
target:
  description: The directory or storage of the copy.
  returned: success
  type: str
  sample: /media/usb-disk/recovery
authenticated:
  description: Whether a password authenticated the manifest. Null for an unencrypted image.
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
  description: Bytes of packs that were already stored and were hashed.
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
  description: The images of the device in the target, oldest first.
  returned: success, not in check mode
  type: list
  elements: str
  sample: [2026-11-22_13-45-10]
pinned:
  description: The pinned images of RV(images). A pin in the source is copied with the image.
  returned: success, not in check mode
  type: list
  elements: str
  sample: []
seconds:
  description: Duration in seconds.
  returned: success, not in check mode
  type: float
  sample: 21.4
storage_host_key:
  description: Fingerprint of the host key that the SFTP server of O(storage) presented.
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
  sample: C100
hint:
  description: How to fix the failure.
  returned: failure
  type: str
"""
