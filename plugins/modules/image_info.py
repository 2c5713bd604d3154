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
    details: The module makes no changes.
  idempotent:
    support: full
requirements:
  - Python 3.8 or newer on the host that runs the task, with C(blake3), C(cryptography) and C(zstandard).
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
      description: The job that the image belongs to, empty for the default job.
      type: str
      sample: monthly
    sequence:
      description: The sequence number of the image, which defines the order of images.
      type: int
      sample: 12
    created:
      description: When the image was made, by the controller's clock.
      type: str
      sample: 2026-11-22_13-45-10
    snapshot:
      description: How the volumes were frozen.
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
      description: Size of all packs of the image; other images may share them.
      type: int
      sample: 1503238553
    pinned:
      description: Whether the image is protected from the rollover.
      type: bool
      sample: false
    version:
      description: Number of the version of the archive that the image is. Null if it is not a version.
      type: int
      sample: 3
    comment:
      description: Comment of the version.
      type: str
      sample: Before the update to release 4.2 of the controller
    author:
      description: Author of the version.
      type: str
      sample: M. Huber
    checked_in:
      description: When the image was checked in to the archive, in UTC.
      type: str
      sample: "2026-11-22T14:01:07Z"
    disks:
      description: The imaged disks.
      type: list
      elements: dict
      sample:
        - name: disk0
          stable_id: serial:S3Z8NB0K
          size_bytes: 256060514304
    verified:
      description: The results of verifications.
      type: list
      elements: dict
      sample:
        - level: full
          ok: true
    result:
      description: The document of the run that made the image, as docs/run-results.md describes it. Null if the image
        has none, or without the password.
      returned: if one image is asked for
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
  sample: I100
hint:
  description: How to fix the failure.
  returned: failure
  type: str
"""
