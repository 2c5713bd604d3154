#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: device_info
short_description: Show information about a device and its disks
version_added: 0.1.0
description:
  - Returns hardware, firmware, operating system, disks, partitions and volumes of a device as one document with a version,
    and the device document with its software, services, network, accounts and more.
  - Use it to choose the values of O(plantops.imaging.image#module:drives). A line for each disk and volume shows its
    size, model, permanent name and mount points, whether V(all) contains it, and what freezes it.
  - The agent is installed or updated first, so this module also tests the remote installation. A local device
    (C(ansible_connection=local)) without an agent is queried without installing it.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.device
  - plantops.imaging.options.link
attributes:
  check_mode:
    support: full
    details: Does not install or update the agent. Without a usable agent no information is returned.
  diff_mode:
    support: full
    details: Shows the agent if the task installs it. The module makes no other changes.
  idempotent:
    support: full
seealso:
  - module: plantops.imaging.agent
  - module: plantops.imaging.image
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Ask the device
  plantops.imaging.device_info:
  register: device

- name: Show its disks
  ansible.builtin.debug:
    var: device.disks
"""

RETURN = r"""
information:
  description: The document. V(null) in check mode if the device has no agent.
  returned: success
  type: dict
  contains:
    version:
      description: Version of the document. It increases when a field changes its meaning or is removed.
      type: int
      sample: 1
    operating_system:
      description: The operating system.
      type: dict
      sample: {"family": "linux", "id": "debian", "name": "Debian GNU/Linux 12 (bookworm)", "version": "12", "architecture": "x86_64"}
    hardware:
      description: Manufacturer, model and serial numbers, if the machine provides them.
      type: raw
    firmware:
      description: Kind and version of the firmware.
      type: raw
    processors:
      description: The processors.
      type: raw
    memory_bytes:
      description: Size of the memory.
      type: int
    interfaces:
      description: The network interfaces.
      type: raw
    disks:
      description: The disks with their partitions, serial numbers and sector sizes.
      type: raw
    volumes:
      description: The volumes, with the file system and mount points of each.
      type: raw
    layers:
      description: The layers between disks and volumes, such as LVM and software RAID.
      type: raw
    unreadable:
      description: The unreadable parts, with the reason.
      type: raw
    write_filters:
      description: On Windows the write filters (UWF, EWF, FBWF) that protect a volume or do not tell whether they do. The task warns of each.
      type: raw
disks:
  description: The disks to choose from, as the task also shows them in lines. Empty in check mode if the device has no
    agent.
  returned: success
  type: list
  elements: dict
  sample:
    - path: /dev/sda
      size: 2.5 GB
      size_bytes: 2469606195
      model: QEMU HARDDISK
      id: serial:QM00001
      is_system: true
      mount_points: [/boot/efi, /]
      why_not_in_all: ""
      frozen_by: nothing, LVM
      volumes: []
document:
  description: The device document, as an image of the device contains it and M(plantops.imaging.device_compare) takes it.
    V(null) in check mode if the device has no agent of this release.
  returned: success
  type: dict
  contains:
    schema_version:
      description: Version of the document. It increases when a field changes its meaning or is removed.
      type: int
      sample: 1
    sections:
      description: For each section its items by their key.
      type: dict
      sample:
        software:
          nginx: {"version": "1.24-1", "architecture": "amd64", "source": "dpkg", "held": false}
    unreadable:
      description: The sections that can't be read, with the reason.
      type: dict
      sample: {}
agent:
  description: The agent that responded or would be installed, whether the device changes, and the number of bytes
    sent.
  returned: when the device has an agent or one would be installed
  type: dict
  sample:
    id: 0.1.0-6a1c0f4be09d2277
    platform: linux-x86_64-glibc-cp311
    changed: false
    replaced:
    sent_bytes: 0
error_code:
  description: The code of the failure in the catalogue of errors.
  returned: failure
  type: str
  sample: A402
hint:
  description: How to fix the failure.
  returned: failure
  type: str
"""
