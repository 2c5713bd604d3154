#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_pin
short_description: Protect an image from the rollover
version_added: 0.1.0
description:
  - A pinned image is kept, regardless of the number of newer images, and in addition to those that the rollover
    keeps.
  - The module needs no password. The account in O(storage) must be permitted to create files.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.options.storage
  - plantops.imaging.options.device_directory
  - plantops.imaging.options.image_pin
attributes:
  check_mode:
    support: full
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
- name: Keep the image of the accepted state for good
  plantops.imaging.image_pin:
    storage:
      url: /srv/images
    device_name: press-07
    image: 2026-11-22_13-45-10

- name: Unpin the image again
  plantops.imaging.image_pin:
    storage:
      url: /srv/images
    device_name: press-07
    image: 2026-11-22_13-45-10
    state: unpinned
"""

RETURN = r"""
image:
  description: Name of the image.
  returned: success
  type: str
  sample: 2026-11-22_13-45-10
pinned:
  description: Whether it is pinned now; in check mode, whether it would be.
  returned: success
  type: bool
  sample: true
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
