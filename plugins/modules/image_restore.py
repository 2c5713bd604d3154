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
  - First everything is planned and the whole image is verified; only then the first byte is written.
  - Partition tables and boot sectors are written last, so that a half-restored disk never looks like a whole one.
  - An interrupted restore goes on where it stopped when it is run again with the same arguments. One that has ended is told
    as ended as long as the target still holds every byte of it, and nothing is written.
  - An image of some volumes only is restored without writing outside of these volumes when the target has the partition
    table of the imaged disk. A target that has another one is refused, see O(replace_table).
  - Below C(/dev) and on file systems in memory only block devices are targets.
  - The agent on the device is installed or updated first. The restore goes on when the connection is lost or the play is
    killed; the next task with the same settings finds that run and follows it.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.device
  - plantops.imaging.device.run
  - plantops.imaging.options.storage
  - plantops.imaging.options.password
  - plantops.imaging.options.link
  - plantops.imaging.options.run
  - plantops.imaging.options.image_restore
attributes:
  check_mode:
    support: full
    details: Returns the plan after checking targets and password, and that everything the image needs is stored in full
      size; a real run hashes it all first. Nothing is written. On a device without an agent that can be used, returns what
      would be installed.
  diff_mode:
    support: full
    details: Shows for each target what it is and what it becomes, and the agent where it is installed on the way.
  idempotent:
    support: partial
    details: Nothing is written when the target holds all of the image already, byte for byte. A disk that holds anything else
      is only overwritten when O(overwrite=true), and then each time.
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

- name: Restore into a file, to look at it or to start it in a virtual machine
  plantops.imaging.image_restore:
    storage:
      url: /srv/images
    device_name: press-07
    image: 2026-11-22_13-45-10
    map:
      disk0: /var/tmp/press-07.raw
    password: "{{ vault_imaging_password }}"

- name: Put the volumes of the image back, and give up partition 3, which the disk got since
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
  returned: when the work was followed to its end, or could be foretold in check mode
  type: str
  sample: 2026-11-22_13-45-10
plan:
  description: What goes where, in words.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: list
  elements: str
  sample:
    - disk0 of 2026-11-22_13-45-10 (256060514304 bytes) goes to /dev/sdb
targets:
  description: What is on each target before, and what is after.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: list
  elements: dict
  sample:
    - target: /dev/sdb
      before: 256060514304 bytes, it is blank
      after: disk0 of 2026-11-22_13-45-10, 256060514304 bytes
disks:
  description: What was written, by disk. Empty in check mode.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: list
  elements: dict
  sample:
    - disk: disk0
      target: /dev/sdb
      written_bytes: 4294967296
      kept_bytes: 0
already_restored:
  description: Whether all targets held all of the image already, so that nothing was, or would be, written.
  returned: when the work was followed to its end, or could be foretold in check mode
  type: bool
  sample: false
damaged:
  description:
    - What of the restored disks is lost and became zeros. Always empty without O(damaged=true).
    - C(files) are those that lie there, as far as the file system can tell; C(where) is what else does.
  returned: when the work was followed to its end, or could be foretold in check mode
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
  description: How long it took.
  returned: when something was restored
  type: float
  sample: 61.5
run:
  description: The handle of the run on the device.
  returned: when the agent did the work, in check mode only with O(run)
  type: str
  sample: restore-3fa9c0d1e2b45f60-20261122-134510-a1b2c3
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
  sample: R102
hint:
  description: What to do about the failure.
  returned: failure
  type: str
"""
