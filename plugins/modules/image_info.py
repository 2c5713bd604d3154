#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_info
short_description: List the images of a device, or of every device of a storage
version_added: 0.1.0
description:
  - Lists the complete images of a device, oldest first, from their manifests. No password is needed.
  - With O(password) manifests and records that are not authenticated by it are skipped, and O(documents) reads the
    documents of an encrypted image.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.options.storage
  - plantops.imaging.options.password
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

- name: Show them as a table
  ansible.builtin.debug:
    msg: "{{ press_07_images.table }}"

- name: Read the log of the newest image
  plantops.imaging.image_info:
    storage:
      url: /srv/images
    device_name: press-07
    image: latest
    documents: [log]
    password: "{{ vault_imaging_password }}"

- name: List the images of every device of the storage
  plantops.imaging.image_info:
    storage:
      url: /srv/images
    devices: all
"""

RETURN = r"""
table:
  description: The images as a table, one line each.
  returned: success
  type: list
  elements: str
  sample:
    - DEVICE    IMAGE                AGE      DISKS       SIZE      IN USE   KEY        JOB  VERIFIED            PINNED
    - press-07  2026-11-22_13-45-10  8 hours  QEMU DISK   256.1 GB  41.2 GB  encrypted  -    full ok 2026-11-22  no
devices:
  description: Each device with its images.
  returned: success
  type: list
  elements: dict
  contains:
    device:
      description: Name of the device directory.
      type: str
      sample: press-07
    images:
      description: Its images, as in RV(images).
      type: list
      elements: dict
images:
  description: The complete images, oldest first.
  returned: success, with O(devices=one)
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
    age_seconds:
      description: Age of the image, by the controller's clock. Null if it is unknown.
      type: int
      sample: 86400
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
      description: The results of verifications, oldest first. C(verified_at) is null for those of release 0.1.0. C(good_since)
        is when the image was first found to be intact, without a failure since.
      type: list
      elements: dict
      sample:
        - level: full
          ok: true
          verified_at: "2026-11-29T14:31:02Z"
          good_since: "2026-11-22T14:31:02Z"
          author: operator@imaging-01
    result:
      description: The document of the run that made the image, as docs/run-results.md describes it. Null if the image
        has none, or without the password.
      returned: if one image is asked for
      type: dict
    device_document:
      description: The description of the device, as docs/device-information.md describes it. Null if it is larger than
        2.1 MB.
      returned: if O(documents) contains V(device)
      type: dict
    log:
      description: The lines of the log of the run.
      returned: if O(documents) contains V(log)
      type: list
      elements: str
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
