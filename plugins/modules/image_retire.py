#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_retire
short_description: Delete all images of a device, or one of them
version_added: 0.1.0
description:
  - Deletes the images of a device that is retired, the newest ones included, or the one image in O(image).
  - It deletes nothing unless O(retire) repeats the name of the device's directory.
  - Pinned and archived images are kept, and so are the images of each key that O(password) does not open. The result
    names them.
  - Packs that no image needs any more are moved to the trash at once. If the device is retired, the module deletes them
    when it runs again at least a day later, or at once with O(purge_trash).
  - The directory is removed when neither images nor packs are left. Running the module again is safe at any time, also
    after it was interrupted.
  - The module refuses to run while a run writes to the directory. The account in O(storage) must be permitted to
    delete, rename and replace files.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.options.storage
  - plantops.imaging.options.device_directory
  - plantops.imaging.options.password
  - plantops.imaging.options.image_retire
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
- name: See what would be deleted
  plantops.imaging.image_retire:
    storage:
      url: /srv/images
    device_name: press-07
    retire: press-07
    password: "{{ vault_imaging_password }}"
  check_mode: true
  diff: true

- name: Delete every image of a device that was scrapped
  plantops.imaging.image_retire:
    storage:
      url: /srv/images
    device_name: press-07
    retire: press-07
    password: "{{ vault_imaging_password }}"

- name: Delete one image
  plantops.imaging.image_retire:
    storage:
      url: /srv/images
    device_name: press-07
    retire: press-07
    image: 2026-11-22_13-45-10
"""

RETURN = r"""
device:
  description: Name of the device directory.
  returned: success
  type: str
  sample: press-07
image:
  description: The image in O(image), null for all.
  returned: success
  type: str
  sample: 2026-11-22_13-45-10
images:
  description: The images that remain, oldest first.
  returned: success
  type: list
  elements: str
  sample: []
deleted:
  description: The images that were deleted.
  returned: success
  type: list
  elements: str
  sample: [2026-11-15_13-45-10, 2026-11-22_13-45-10]
spared:
  description: The images that are kept, each with the reason.
  returned: success
  type: dict
  sample: {"2026-10-01_13-45-10": "it is pinned"}
is_gone:
  description: Whether the directory does not exist any more; in check mode, whether it would not.
  returned: success
  type: bool
  sample: false
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
      C(due_bytes) what the next call frees, C(next_due) and C(last_due) from when on it frees more and all of it,
      C(needs_image) whether part of it waits for another image, as it does if O(image) names one image.
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
  sample: J189
hint:
  description: How to fix the failure.
  returned: failure
  type: str
"""
