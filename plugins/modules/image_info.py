#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_info
short_description: List the images of a device
version_added: 0.1.0
description:
  - Lists the complete images of a device, oldest first, from their manifests. No password is needed.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.options.storage
  - plantops.imaging.options.image_info
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: Nothing is changed.
  idempotent:
    support: full
requirements:
  - On the host that the task works on, Python 3.8 or newer with C(blake3), C(cryptography) and C(zstandard).
  - C(paramiko) for an SFTP server, C(smbprotocol) for a share.
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: List the images of a device
  plantops.imaging.image_info:
    storage:
      url: /srv/images
    device_name: press-07
  register: press_07_images

- name: Show when they were made
  ansible.builtin.debug:
    msg: "{{ press_07_images.images | map(attribute='image') | list }}"
"""

RETURN = r"""
images:
  description: The complete images, oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    image:
      description: Name of the image.
      type: str
      sample: 2026-11-22_13-45-10
    job:
      description: The job that it was made for, empty for the default one.
      type: str
      sample: monthly
    sequence:
      description: Its number; the order of images is the order of these.
      type: int
      sample: 12
    created:
      description: When it was made, by the controller's clock.
      type: str
      sample: 2026-11-22_13-45-10
    snapshot:
      description: How the volumes were held still.
      type: str
      sample: offline
    encrypted:
      description: Whether a password is needed to read it.
      type: bool
      sample: true
    size_bytes:
      description: Size of the imaged disks.
      type: int
      sample: 256060514304
    in_use_bytes:
      description: Bytes in use on them.
      type: int
      sample: 4294967296
    pack_bytes:
      description: Size of all packs that the image needs; other images may need the same ones.
      type: int
      sample: 1503238553
    pinned:
      description: Whether it is kept from being rolled over.
      type: bool
      sample: false
    disks:
      description: The imaged disks.
      type: list
      elements: dict
      sample:
        - name: disk0
          stable_id: serial:S3Z8NB0K
          size_bytes: 256060514304
    verified:
      description: What verifications found.
      type: list
      elements: dict
      sample:
        - level: full
          ok: true
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
  sample: I100
hint:
  description: What to do about the failure.
  returned: failure
  type: str
"""
