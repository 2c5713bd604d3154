#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image
short_description: Make an image of a device's disks
version_added: 0.1.0
description:
  - Images the blocks in use of disks, volumes or image files, compressed, deduplicated against the device's earlier
    images and encrypted, straight to a storage.
  - Every image is complete. What earlier images hold already is not sent again.
  - A new image appears on the storage when everything it needs is there and was read back; until then, and when a run is
    interrupted at any moment, the earlier images stay as they are.
  - After success the oldest images are deleted so that O(keep) remain.
  - The agent on the device is installed or updated first. What it does goes on when the connection is lost or the play is
    killed; the next task with the same settings finds that run and follows it.
  - Secrets reach the run sealed to a key that only its memory holds.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.device
  - plantops.imaging.device.run
  - plantops.imaging.options.storage
  - plantops.imaging.options.password
  - plantops.imaging.options.link
  - plantops.imaging.options.run
  - plantops.imaging.options.image
attributes:
  check_mode:
    support: full
    details: Returns the disks, the bytes in use, an estimate of what would be sent, and the images that would be deleted.
      What the run would refuse before it reads a disk is refused here too, a wrong password for one. Nothing is written. On
      a device without an agent that can be used, returns what would be installed.
  diff_mode:
    support: full
    details: Shows the agent where it is installed on the way, the device's images before and after, and what changed on
      the device since the previous image.
  idempotent:
    support: none
    details: Every run makes an image, unless one with the same settings is under way; then that is followed.
notes:
  - The agent brings the Python packages that it needs. Where a process of the controller does the work, its Python needs
    C(blake3), C(cryptography), C(zstandard) and, for the storage in question, C(paramiko) or C(smbprotocol).
  - It runs with the lowest processor and disk priority.
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Make an encrypted image of the system disk
  plantops.imaging.image:
    storage:
      url: /srv/images
    device_name: "{{ inventory_hostname }}"
    drives:
      - /dev/sda
    password: "{{ vault_imaging_password }}"
    keep: 14

- name: Show what would be imaged, and what changed on the device
  plantops.imaging.image:
    storage:
      url: /srv/images
    device_name: press-07
    drives:
      - /dev/sda
    password: "{{ vault_imaging_password }}"
  check_mode: true

- name: Start the image, do something else, and follow it to its end
  module_defaults:
    plantops.imaging.image:
      storage:
        url: sftp://backup.plant.example/srv/images
        username: line3
        private_key: "{{ vault_line3_key }}"
        host_key: SHA256:d6KNsk3bmZ8Cx4Gmkqz5bA1zVJ3mS8rBxkH3qkqkqk0
      device_name: press-07
      drives:
        - /dev/sda
      password: "{{ vault_imaging_password }}"
  block:
    - name: Start
      plantops.imaging.image:
        wait: false
      register: started

    - name: Follow
      plantops.imaging.image:
        run: "{{ started.run }}"
"""

RETURN = r"""
image:
  description: Name of the new image, V(null) in check mode.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: str
  sample: 2026-11-22_13-45-10
device:
  description: The device's directory on the storage.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: str
  sample: line1_press-07
job:
  description: The job that the image was made for, empty for the default one.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: str
  sample: monthly
missing_disks:
  description: Disks and volumes that earlier images of the job hold and this one does not, each with the image that is kept for it.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: list
  elements: dict
  contains:
    kind:
      description:
        - V(missing), V(replaced) by another disk that has the same partition table, V(resized), or V(volume) for a volume of a
          disk that is still there.
      returned: always
      type: str
      sample: missing
    id:
      description: The id of the disk, or of the disk and the volume, as O(forget_disks) takes it.
      returned: always
      type: str
      sample: serial:S3Z8NB0K
    number:
      description: The number of the partition or volume on its disk; 0 for a whole disk.
      returned: always
      type: int
      sample: 0
    model:
      description: The disk's model, as the earlier image says.
      returned: always
      type: str
      sample: Samsung SSD 870
    size_bytes:
      description: The size in the earlier image.
      returned: always
      type: int
      sample: 500107862016
    image:
      description: The image that is kept for it.
      returned: always
      type: str
      sample: 2026-11-22_13-45-10
    created:
      description: When that image was made.
      returned: always
      type: str
      sample: 2026-11-22_13-45-10
    job:
      description: The job that made that image.
      returned: always
      type: str
      sample: ""
    now:
      description: The stable id of the disk that replaced it, or the bytes that a resized one has now; empty otherwise.
      returned: always
      type: str
      sample: ""
sequence:
  description: The image's number; the order of images is the order of these.
  returned: when an image was made
  type: int
  sample: 12
storage:
  description: The storage, as messages name it.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: str
  sample: /srv/images
bytes_in_use:
  description: Bytes in use on the imaged disks.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: int
  sample: 4294967296
bytes_to_send:
  description:
    - In check mode, an estimate of the bytes that the run would add to the storage. Only reading the disks would tell.
    - For a first image half of what is in use; for a later one a twentieth of what the last one needs, and half of what
      is in use beyond what the fullest kept image holds.
  returned: in check mode, where the job could be asked
  type: int
  sample: 62914560
bytes_to_send_most:
  description:
    - In check mode, the upper end of that estimate. It is larger than RV(bytes_to_send) when a disk has no name, table or
      volume in common with any kept image, so that all of it may be new.
  returned: in check mode, where the job could be asked
  type: int
  sample: 62914560
images:
  description: The device's images, oldest first; with the new one, without what the rollover deleted. In check mode those
    that are there.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: list
  elements: str
  sample: [2026-11-21_13-45-10, 2026-11-22_13-45-10]
bytes_stored:
  description: Bytes that this run added to the storage in packs.
  returned: when an image was made
  type: int
  sample: 31457280
bytes_reused:
  description: Bytes in use that earlier images hold already or that are zero.
  returned: when an image was made
  type: int
  sample: 4263510016
disks:
  description: The imaged disks with their partitions and volumes.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: list
  elements: dict
  sample:
    - name: disk0
      path: /dev/sda
      stable_id: serial:S3Z8NB0K
not_chosen:
  description: Partitions of the imaged disks whose content is not part of the image.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: list
  elements: dict
left_out:
  description: What each exclusion left out.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: list
  elements: dict
  sample:
    - pattern: \\pagefile.sys
      automatic: true
      files: 1
      saved_bytes: 4294967296
contested:
  description: Volumes and disks that more than one system claims, what each is called in O(trust), where its marks lie on RV(contested[].path), and the
    commands that remove them where they are stale.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: list
  elements: dict
  contains:
    path:
      description: The volume's own device, else the disk or image file that it lies on.
      type: str
  sample:
    - volume: disk0p1
      path: /dev/sda1
      claims:
        - name: ntfs
          trust: ntfs
          marks: [{place: 3, size_bytes: 8}]
          remove: [wipefs -o 0x3 -t ntfs /dev/sda1]
        - name: btrfs
          trust: btrfs
          marks: [{place: 65600, size_bytes: 8}]
          remove: [wipefs -o 0x10040 -t btrfs /dev/sda1]
outside_partitions:
  description: What lies in no partition and is not in the image as a whole; C(missing_bytes) were found not to be zero, and C(read_all) says whether
    all of it was looked at.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: list
  elements: dict
  sample:
    - {path: /dev/sda, place: 67108864, size_bytes: 500000000000, missing_bytes: 0, read_all: false}
healed_packs:
  description: Damaged packs of earlier images that are whole again.
  returned: when an image was made
  type: list
  elements: str
  sample: []
rollover:
  description: What the rollover deleted and what it spared, or in check mode would. V(null) where it could not be done; a warning says why.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: dict
  sample: {"dry_run": false, "deleted": ["2026-11-15_13-45-10"], "spared": {"2026-10-01_13-45-10": "it is pinned"}}
device_changes:
  description: What changed on the device since the previous image.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: list
  elements: dict
  sample:
    - path: memory_mib
      before: "8192"
      after: "4096"
seconds:
  description: How long it took.
  returned: when an image was made
  type: float
  sample: 74.2
run:
  description: The handle of the run on the device.
  returned: when the agent did the work, in check mode only with O(run)
  type: str
  sample: image-3fa9c0d1e2b45f60-20261122-134510-a1b2c3
state:
  description: How far the run is, one of V(waiting), V(running), V(done), V(failed), V(cancelled), V(lost).
  returned: with O(wait=false) or O(cancel=true), and with O(run) in check mode
  type: str
  sample: running
status:
  description: The newest status of the run.
  returned: with O(run) and O(wait=false) or in check mode
  type: dict
attached:
  description: Whether the run was started before this task.
  returned: when a run was started, or followed to its end
  type: bool
agent:
  description: Which agent did the work, whether this task installed it, which one it replaced, and how much was sent.
  returned: when the agent did the work and O(run) was not given
  type: dict
  sample:
    id: 0.1.0-6a1c0f4be09d2277
    platform: linux-x86_64-glibc-cp311
    changed: false
    replaced:
    sent_bytes: 0
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
  sample: K100
hint:
  description: What to do about the failure.
  returned: failure
  type: str
"""
