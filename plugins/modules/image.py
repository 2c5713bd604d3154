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
    images and encrypted, directly to a storage.
  - Every image is complete. Data that earlier images already contain is not uploaded again.
  - A new image appears in the storage once all of its data is stored and was read back. Until then, and if a run is
    interrupted at any moment, the earlier images stay intact.
  - After success the rollover deletes the oldest images so that O(keep) remain.
  - The agent on the device is installed or updated first. A run continues when the connection is lost or the play is
    killed; the next task with the same settings finds that run and follows it.
  - Secrets are sealed to a key that exists only in the memory of the run.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.device
  - plantops.imaging.device.run
  - plantops.imaging.options.storage
  - plantops.imaging.options.device_directory
  - plantops.imaging.options.password
  - plantops.imaging.options.link
  - plantops.imaging.options.run
  - plantops.imaging.options.image
attributes:
  check_mode:
    support: full
    details: Returns the disks, the bytes in use, an estimate of the upload, and the images that would be deleted.
      Check mode refuses everything that a run refuses before it reads a disk, such as a wrong password, and writes no
      data. On a device without a usable agent it returns the agent that would be installed.
  diff_mode:
    support: full
    details: Shows the agent if the task installs it, the device's images before and after, and the changes of the
      device since the image that it is compared with.
  idempotent:
    support: none
    details: Every run makes an image, unless a run with the same settings is in progress; the task then follows that
      run.
notes:
  - The agent includes the Python packages that it needs. If a process on the controller does the work, its Python
    needs
    C(blake3), C(cryptography), C(zstandard) and, for the storage in question, C(paramiko) or C(smbprotocol).
  - The agent runs with the lowest processor and disk priority.
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

- name: Show the planned image and the changes of the device
  plantops.imaging.image:
    storage:
      url: /srv/images
    device_name: press-07
    drives:
      - /dev/sda
    password: "{{ vault_imaging_password }}"
  check_mode: true

- name: Start the image, do other work, and follow the run to its end
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
  returned: when the run was followed to its end, or estimated in check mode
  type: str
  sample: 2026-11-22_13-45-10
device:
  description: The device's directory on the storage.
  returned: when the run was followed to its end, or estimated in check mode
  type: str
  sample: line1_press-07
job:
  description: The job that the image belongs to, empty for the default job.
  returned: when the run was followed to its end, or estimated in check mode
  type: str
  sample: monthly
operating_system:
  description: V(workstation) or V(server), as a Windows says it of itself, or as O(operating_system) declares it; V(null) if
    neither is known.
  returned: when the run was followed to its end, or estimated in check mode
  type: str
  sample: workstation
missing_disks:
  description: Disks and volumes that earlier images of the job contain and this one does not, each with the image
    that is kept for it.
  returned: when the run was followed to its end, or estimated in check mode
  type: list
  elements: dict
  contains:
    kind:
      description:
        - V(missing), V(replaced) by another disk that has the same partition table, V(resized), or V(volume) for a
          missing volume of an existing disk.
      returned: always
      type: str
      sample: missing
    id:
      description: The id of the disk, or of the disk and the volume, in the form that O(forget_disks) accepts.
      returned: always
      type: str
      sample: serial:S3Z8NB0K
    number:
      description: The number of the partition or volume on its disk; 0 for a whole disk.
      returned: always
      type: int
      sample: 0
    model:
      description: The disk's model, as recorded in the earlier image.
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
      description: The stable id of the disk that replaced it, or the current size in bytes of a resized disk; empty
        otherwise.
      returned: always
      type: str
      sample: ""
sequence:
  description: The sequence number of the image, which defines the order of images.
  returned: when an image was made
  type: int
  sample: 12
storage:
  description: The storage, as shown in messages.
  returned: when the run was followed to its end, or estimated in check mode
  type: str
  sample: /srv/images
snapshot:
  description: How still the volumes stood while they were read, as the manifest says it.
  returned: success, not in check mode
  type: str
  sample: lvm
bytes_in_use:
  description: Bytes in use on the imaged disks.
  returned: when the run was followed to its end, or estimated in check mode
  type: int
  sample: 4294967296
bytes_to_send:
  description:
    - In check mode, an estimate of the bytes that the run would add to the storage. The exact number requires reading
      the disks.
    - For a first image half of the bytes in use. For a later image a twentieth of what the last image needs, plus
      half of the bytes in use beyond those of the fullest kept image.
  returned: in check mode, if the agent could estimate the job
  type: int
  sample: 62914560
bytes_to_send_most:
  description:
    - In check mode, the upper end of that estimate. It is larger than RV(bytes_to_send) if a disk has no name, table
      or volume in common with any kept image, so that all of its data may be new.
  returned: in check mode, if the agent could estimate the job
  type: int
  sample: 62914560
images:
  description: The device's images, oldest first, including the new one and without those that the rollover deleted.
    In check mode the existing images.
  returned: when the run was followed to its end, or estimated in check mode
  type: list
  elements: str
  sample: [2026-11-21_13-45-10, 2026-11-22_13-45-10]
bytes_stored:
  description: Bytes that this run added to the storage in packs.
  returned: when an image was made
  type: int
  sample: 31457280
bytes_reused:
  description: Bytes in use that earlier images already contain or that are zero.
  returned: when an image was made
  type: int
  sample: 4263510016
disks:
  description: The imaged disks with their partitions and volumes.
  returned: when the run was followed to its end, or estimated in check mode
  type: list
  elements: dict
  sample:
    - name: disk0
      path: /dev/sda
      stable_id: serial:S3Z8NB0K
plan:
  description:
    - A dictionary for each disk - its path, size, bytes in use, how it is frozen, and C(volumes) with the kind, label,
      mount points, size and bytes in use of each volume, and the reason why it is imaged whole.
  returned: when the run was followed to its end, or estimated in check mode
  type: list
  elements: dict
not_chosen:
  description: Partitions of the imaged disks whose content is not part of the image.
  returned: when the run was followed to its end, or estimated in check mode
  type: list
  elements: dict
left_out:
  description: The files that each exclusion matched.
  returned: when the run was followed to its end, or estimated in check mode
  type: list
  elements: dict
  sample:
    - pattern: \\pagefile.sys
      automatic: true
      files: 1
      saved_bytes: 4294967296
contested:
  description: Volumes and disks that contain marks of more than one structure, with the name of each for O(trust),
    the positions of its marks on RV(contested[].path), and the commands that remove stale marks.
  returned: when the run was followed to its end, or estimated in check mode
  type: list
  elements: dict
  contains:
    path:
      description: The volume's own device, or the disk or image file that contains it.
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
  description: Ranges outside all partitions that are not completely in the image. C(missing_bytes) is the number of
    nonzero bytes that were found, and C(read_all) is whether the whole range was read.
  returned: when the run was followed to its end, or estimated in check mode
  type: list
  elements: dict
  sample:
    - {path: /dev/sda, place: 67108864, size_bytes: 500000000000, missing_bytes: 0, read_all: false}
healed_packs:
  description: Damaged packs of earlier images that were repaired.
  returned: when an image was made
  type: list
  elements: str
  sample: []
rollover:
  description: The images that the rollover deleted and spared, or would in check mode. V(null) if the rollover was
    not possible; a warning contains the reason.
  returned: when the run was followed to its end, or estimated in check mode
  type: dict
  sample: {"dry_run": false, "deleted": ["2026-11-15_13-45-10"], "spared": {"2026-10-01_13-45-10": "it is pinned"}}
comparison:
  description: The changes of the device since the image that O(compare) names. V(null) with O(compare=none).
  returned: when the run was followed to its end, or estimated in check mode
  type: dict
  contains:
    against:
      description: The image that the device was compared with; empty if there is none.
      type: str
      sample: 2026-11-21_13-45-10
    sections:
      description: For each section with differences the lists C(added), C(removed) and C(changed). Each entry has the
        C(key) of an item; an added or removed one also its fields, a changed one C(field), C(before) and C(after).
      type: dict
      sample:
        software:
          added: [{"key": "nginx", "version": "1.24-1", "architecture": "amd64", "source": "dpkg", "held": false}]
          removed: []
          changed: []
    count:
      description: The number of differences.
      type: int
      sample: 1
    not_compared:
      description: The sections that were not compared, each with the C(reason).
      type: list
      elements: dict
      sample: []
device_changes:
  description: The differences of RV(comparison) as a flat list.
  returned: when the run was followed to its end, or estimated in check mode
  type: list
  elements: dict
  sample:
    - path: hardware/memory.size_mib
      before: "8192"
      after: "4096"
seconds:
  description: Duration in seconds.
  returned: when an image was made
  type: float
  sample: 74.2
waited_seconds:
  description: How long the run waited for other programs on the device, in seconds. At most RV(seconds).
  returned: when an image was made
  type: float
  sample: 21.4
waited_disk_seconds:
  description: Of RV(waited_seconds), the pauses in which O(limit_read_rate=auto) left the disk to other programs.
  returned: when an image was made
  type: float
  sample: 18.9
waited_processor_seconds:
  description: Of RV(waited_seconds), the time in which other programs had the processors. V(null) on systems that do not
    count it, such as Windows.
  returned: when an image was made
  type: float
  sample: 2.5
run:
  description: The handle of the run on the device.
  returned: when the agent did the work, in check mode only with O(run)
  type: str
  sample: image-3fa9c0d1e2b45f60-20261122-134510-a1b2c3
state:
  description: State of the run, one of V(waiting), V(running), V(done), V(failed), V(cancelled), V(lost).
  returned: when an agent was involved
  type: str
  sample: running
status:
  description: The newest status of the run.
  returned: with O(cancel=true), and with O(run) and O(wait=false) or in check mode
  type: dict
attached:
  description: Whether the run was started before this task.
  returned: when a run was started, or followed to its end
  type: bool
agent:
  description: The agent that did the work, whether this task installed it, the agent that it replaced, and the number
    of bytes sent.
  returned: when the agent did the work and O(run) was not given
  type: dict
  sample:
    id: 0.1.0-6a1c0f4be09d2277
    platform: linux-x86_64-glibc-cp311
    changed: false
    replaced:
    sent_bytes: 0
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
ended_runs:
  description: The status of each run on the device that ended without its play.
  returned: with O(collect), if the agent is used
  type: list
  elements: dict
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
