#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_verify
short_description: Verify an image on its storage
version_added: 0.1.0
description:
  - Verifies at one of three levels that an image can be restored.
  - Damaged packs are moved to the trash, so that the next image of the device uploads their content again.
  - The result is recorded beside the image.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.options.storage
  - plantops.imaging.options.device_directory
  - plantops.imaging.options.password
  - plantops.imaging.options.image_verify
attributes:
  check_mode:
    support: full
    details: Verifies without recording the result and without moving damaged packs.
  diff_mode:
    support: N/A
    details: Images are not changed; RV(bad_packs) lists the packs that were moved.
  idempotent:
    support: full
requirements:
  - Python 3.8 or newer on the host that runs the task, with C(blake3), C(cryptography) and C(zstandard).
  - C(paramiko) for an SFTP server, C(smbprotocol) for a share.
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Verify that the newest image can be restored
  plantops.imaging.image_verify:
    storage:
      url: /srv/images
    device_name: press-07
    password: "{{ vault_imaging_password }}"

- name: Check the stored bytes without a password
  plantops.imaging.image_verify:
    storage:
      url: /srv/images
    device_name: press-07
    level: storage
"""

RETURN = r"""
image:
  description: The verified image.
  returned: when the image was verified, also if it is damaged
  type: str
  sample: 2026-11-22_13-45-10
level:
  description: The level.
  returned: when the image was verified, also if it is damaged
  type: str
  sample: full
ok:
  description: Whether the image is intact.
  returned: when the image was verified, also if it is damaged
  type: bool
  sample: true
problems:
  description: The problems that were found, as sentences.
  returned: when the image was verified, also if it is damaged
  type: list
  elements: str
  sample: []
bad_packs:
  description: Damaged packs. They were moved to the trash, except in check mode or if the account may not rename
    files.
  returned: when the image was verified, also if it is damaged
  type: list
  elements: str
  sample: []
checked_bytes:
  description: Bytes of disk content that were read back, at level V(full); bytes of packs that were hashed, at level
    V(storage); 0 at level V(quick), which compares names and sizes.
  returned: when the image was verified, also if it is damaged
  type: int
  sample: 4294967296
good_since:
  description: When a verification of this level, or of a deeper one, first found the image intact, without a failure
    since, in UTC. Null for the first verification, and for a damaged image.
  returned: when the image was verified, also if it is damaged
  type: str
  sample: "2026-11-22T13:58:02Z"
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
