#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_restore
short_description: Restore an image onto disks
version_added: 0.1.0
description:
  - Writes disks of an image onto disks of a device, or into sparse files.
  - The restore is planned and the whole image is verified before the first byte is written.
  - Partition tables and boot sectors are written last, so that a partly restored disk never looks complete.
  - An interrupted restore continues where it stopped when it is run again with the same arguments. A completed
    restore is reported as complete, without writing, while the target still contains every byte of it.
  - If an image contains only some volumes and the target has the partition table of the imaged disk, the restore
    writes only to these volumes. A target with a different partition table is refused, see O(replace_table).
  - Below C(/dev) and on file systems in memory, only block devices are valid targets.
  - The agent on the device is installed or updated first. The restore continues when the connection is lost or the
    play is killed; the next task with the same settings finds that run and follows it.
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
  - plantops.imaging.options.image_restore
attributes:
  check_mode:
    support: full
    details: Returns the plan after checking the targets, the password and the sizes of all files of the image; a run
      also hashes these files first. Check mode writes no data. On a device without a usable agent it returns the
      agent that would be installed.
  diff_mode:
    support: full
    details: Shows each target before and after, and the agent if the task installs it.
  idempotent:
    support: partial
    details: The restore does not write to a target that already contains the image byte for byte. A disk with other
      content is only overwritten with O(overwrite=true), and then each time.
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Put yesterday's image on the new disk
  plantops.imaging.image_restore:
    storage:
      url: /srv/images
    device_name: press-07
    map:
      disk0: /dev/sdb
    password: "{{ vault_imaging_password }}"

- name: Restore into a file, to inspect it or to start it in a virtual machine
  plantops.imaging.image_restore:
    storage:
      url: /srv/images
    device_name: press-07
    image: 2026-11-22_13-45-10
    map:
      disk0: /var/tmp/press-07.raw
    password: "{{ vault_imaging_password }}"

- name: Restore the volumes of the image and delete partition 3, which was added to the disk later
  plantops.imaging.image_restore:
    storage:
      url: /srv/images
    device_name: press-07
    map:
      disk0: /dev/sdb
    overwrite: true
    replace_table: ["3"]
    password: "{{ vault_imaging_password }}"
"""

RETURN = r"""
image:
  description: The restored image.
  returned: when the run was followed to its end, or estimated in check mode
  type: str
  sample: 2026-11-22_13-45-10
plan:
  description: The planned steps, as sentences.
  returned: when the run was followed to its end, or estimated in check mode
  type: list
  elements: str
  sample:
    - disk0 of 2026-11-22_13-45-10 (256060514304 bytes) goes to /dev/sdb
restore_plan:
  description: The plan as a document with V(schema) 1. For each disk it has the target and, for each
    partition, its place before and after, the tools that are used, and the bytes of the target that stay unused.
  returned: when the run was followed to its end, or estimated in check mode
  type: dict
  sample:
    schema: 1
    image: 2026-11-22_13-45-10
    disks:
      - disk: disk0
        target: /dev/sdb
        tools: [e2fsck, resize2fs, loop devices]
        partitions:
          - number: 2
            action: grown
            before: {start_lba: 2048, start_bytes: 1048576, length_bytes: 53687091200}
            after: {start_lba: 2048, start_bytes: 1048576, length_bytes: 107374182400}
targets:
  description: The content of each target before and after.
  returned: when the run was followed to its end, or estimated in check mode
  type: list
  elements: dict
  sample:
    - target: /dev/sdb
      before: 256060514304 bytes, it is blank
      after: disk0 of 2026-11-22_13-45-10, 256060514304 bytes
disks:
  description: The bytes written and kept on each disk. Empty in check mode.
  returned: when the run was followed to its end, or estimated in check mode
  type: list
  elements: dict
  sample:
    - disk: disk0
      target: /dev/sdb
      written_bytes: 4294967296
      kept_bytes: 0
already_restored:
  description: Whether all targets already contained the whole image, so that the restore writes no data.
  returned: when the run was followed to its end, or estimated in check mode
  type: bool
  sample: false
read_back:
  description: Whether each target was read back and compared with the image before it became bootable.
  returned: when the run was followed to its end, or estimated in check mode
  type: bool
  sample: true
boot:
  description:
    - Whether the restored disks start. C(machine) is the firmware mode of this machine.
    - >-
      C(disks) lists for each disk its firmware modes (C(starts)), boot code, active partition, EFI partition, boot loaders, whether
      the EFI partition has C(EFI/BOOT/BOOTX64.EFI) (C(efi_fallback)), and the state of the boot entry in the firmware (C(entry)).
  returned: when the run was followed to its end, or estimated in check mode
  type: dict
  sample:
    machine: uefi
    disks:
      - disk: disk0
        scheme: gpt
        starts: uefi
        boot_code: false
        active_partition: null
        bios_boot_partition: null
        efi_partition: 1
        efi_id: 6e1b5a1c-3c1f-4b0e-9d0a-0f3c2b1a4d5e
        efi_fallback: true
        efi_loaders: [EFI/debian/shimx64.efi]
        sealed: []
        is_windows: false
        entry: created
        entry_reason: ""
proof:
  description: When the image is verified, V(first) or V(while_writing).
  returned: when the run was followed to its end, or estimated in check mode
  type: str
  sample: while_writing
proof_reason:
  description: Why RV(proof) was chosen.
  returned: when the run was followed to its end, or estimated in check mode
  type: str
  sample: the storage is a server, and no target contains data
damaged:
  description:
    - The lost ranges of the restored disks, which became zeros. Always empty without O(damaged=true).
    - C(files) are the damaged files, as far as the file system can be read; C(where) lists other damaged structures.
  returned: when the run was followed to its end, or estimated in check mode
  type: list
  elements: dict
  sample:
    - disk: disk0
      offset: 1073741824
      length: 65536
      files: ["disk0p2:/plant/recipes.db"]
      files_count: 1
      where: []
      reason: "The image 2026-11-22_13-45-10 is damaged: byte 4096 of the pack 3fa9 is not authentic."
seconds:
  description: Duration in seconds.
  returned: when a disk was restored
  type: float
  sample: 61.5
run:
  description: The handle of the run on the device.
  returned: when the agent did the work, in check mode only with O(run)
  type: str
  sample: restore-3fa9c0d1e2b45f60-20261122-134510-a1b2c3
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
  sample: R102
hint:
  description: How to fix the failure.
  returned: failure
  type: str
"""
