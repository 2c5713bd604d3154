#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_archive
short_description: Check an image in to the archive as a numbered version
version_added: 0.1.0
description:
  - Checks an image in to an archive, a separate storage in which images are numbered versions that no rollover deletes.
  - Only the packs that the archive lacks are copied. An image that is a version already stays that version.
  - Each version's record contains its number, comment, author and the hash of the version before. With a password the
    record is authenticated with the key of the image; without a password the chain of hashes alone protects it.
  - The archive has the layout of a storage, so every module and the recovery program work on it, and accept a version
    such as V(v3) as the image.
  - The account in the archive need not be allowed to replace or delete files.
  - The key slots of the image are copied with it. A separate password for the archive is not supported.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.options.storage
  - plantops.imaging.options.device_directory
  - plantops.imaging.options.password
  - plantops.imaging.options.image_archive
attributes:
  check_mode:
    support: full
    details: Check mode writes no files; RV(version) is the number that the image would get.
  diff_mode:
    support: full
    details: The diff contains the versions before and after, or the two compared versions.
  idempotent:
    support: full
requirements:
  - Python 3.8 or newer on the host that runs the task, with C(blake3), C(cryptography) and C(zstandard).
  - C(paramiko) for an SFTP server, C(smbprotocol) for a share.
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Check the newest image in before an update of the machine
  plantops.imaging.image_archive:
    storage:
      url: sftp://backup.plant.example/srv/images
      username: operator
      private_key_file: /etc/plantops/operator.key
    archive:
      url: sftp://archive.plant.example/srv/archive
      username: archivist
      private_key_file: /etc/plantops/archivist.key
    device_name: press-07
    comment: Before the update to release 4.2 of the controller
    author: M. Huber
    password: "{{ vault_imaging_password }}"

- name: Verify that no version was changed or removed
  plantops.imaging.image_archive:
    storage:
      url: /srv/images
    archive:
      url: /srv/archive
    device_name: press-07
    state: verified
    password: "{{ vault_imaging_password }}"

- name: Compare two versions
  plantops.imaging.image_archive:
    storage:
      url: /srv/images
    archive:
      url: /srv/archive
    device_name: press-07
    state: compared
    versions: [v1, v3]
    password: "{{ vault_imaging_password }}"
"""

RETURN = r"""
version:
  description: Number of the version that the image is. If RV(not_due), the newest version of the job.
  returned: success, if O(state=present)
  type: int
  sample: 3
image:
  description: The image. Null in check mode with O(coming).
  returned: success, if O(state=present)
  type: str
  sample: 2026-11-22_13-45-10
device:
  description: The device's directory.
  returned: success
  type: str
  sample: press-07
archive:
  description: The archive.
  returned: success
  type: str
  sample: sftp://archive.plant.example:22/srv/archive
not_due:
  description: Whether the image was not checked in because the newest version is more recent than O(every).
  returned: success, if O(state=present)
  type: bool
  sample: false
comment:
  description: Comment of the version.
  returned: success, if the version exists
  type: str
  sample: Before the update to release 4.2 of the controller
author:
  description: Author of the version.
  returned: success, if the version exists
  type: str
  sample: M. Huber
checked_in:
  description: When the image was checked in, in UTC by the clock of the operator host.
  returned: success, if the version exists
  type: str
  sample: "2026-11-22T14:01:07Z"
authenticated:
  description:
    - Whether a password authenticated the manifest of the image and the record. Null for an unencrypted image.
    - With O(state=verified) whether the password authenticates all versions. Null without a password.
  returned: success
  type: bool
  sample: true
bytes:
  description: Size of the packs that the image needs.
  returned: success, if O(state=present)
  type: int
  sample: 1473249280
packs:
  description: How many packs the image needs.
  returned: success, if O(state=present)
  type: int
  sample: 176
bytes_copied:
  description: Bytes of packs that were copied.
  returned: success, if O(state=present), not in check mode
  type: int
  sample: 53477376
packs_copied:
  description: How many packs were copied.
  returned: success, if O(state=present), not in check mode
  type: int
  sample: 7
bytes_kept:
  description: Bytes of packs that the archive already contained.
  returned: success, if O(state=present), not in check mode
  type: int
  sample: 1419771904
bytes_to_copy:
  description: Bytes of packs that would be copied.
  returned: success, if O(state=present), in check mode
  type: int
  sample: 53477376
packs_to_copy:
  description: How many packs would be copied.
  returned: success, if O(state=present), in check mode
  type: int
  sample: 7
ok:
  description: Whether every version is what was checked in, and none is missing.
  returned: success, if O(state=verified)
  type: bool
  sample: true
problems:
  description: Each problem, with the number of the version.
  returned: success, if O(state=verified)
  type: list
  elements: str
  sample: []
versions:
  description: All versions, or the two compared versions.
  returned: success, if O(state=verified) or O(state=compared)
  type: list
  elements: dict
  sample:
    - version: 1
      image: 2026-10-22_13-45-10
      comment: As delivered
      author: M. Huber
      checked_in: "2026-10-22T14:01:07Z"
      authenticated: true
      ok: true
      problems: []
disks:
  description: The disks of the compared versions, with their sizes and the bytes of the chunks that differ.
  returned: success, if O(state=compared)
  type: list
  elements: dict
  sample:
    - stable_id: serial:S3Z8NB0K
      before: disk0
      after: disk0
      size_bytes_before: 256060514304
      size_bytes_after: 256060514304
      changed_bytes: 53477376
changed_bytes:
  description: Bytes of all chunks that differ. Null if the versions have different keys.
  returned: success, if O(state=compared)
  type: int
  sample: 53477376
comparison:
  description: The comparison of the device information, as that of M(plantops.imaging.image).
  returned: success, if O(state=compared)
  type: dict
  sample:
    against: 2026-10-22_13-45-10
    count: 0
    sections: {}
    not_compared: []
device_changes:
  description: The differences of RV(comparison) as a flat list.
  returned: success, if O(state=compared)
  type: list
  elements: dict
  sample:
    - path: operating_system/kernel.version
      before: 6.1.0-40-amd64
      after: 6.1.0-41-amd64
sections:
  description: The sections of the device information that differ.
  returned: success, if O(state=compared)
  type: list
  elements: str
  sample: [operating_system]
seconds:
  description: Duration in seconds.
  returned: success, if O(state=present), not in check mode
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
  sample: A332
hint:
  description: How to fix the failure.
  returned: failure
  type: str
"""
