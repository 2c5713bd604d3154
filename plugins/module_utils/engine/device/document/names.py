# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of the sections of a device document. A system that has nothing for a section leaves it empty."""

from __future__ import annotations

from typing import Tuple

SECTIONS: Tuple[str, ...] = (
    "certificates",
    "disks",
    "drivers",
    "drives",  # the disks that device names in imaging_drives stand for; only beside an image
    "firmware",
    "groups",
    "hardware",
    "kernel_modules",
    "listening_ports",
    "mounts",
    "network",
    "operating_system",
    "partitions",
    "scheduled_tasks",
    "services",
    "software",
    "updates",
    "users",
    "volumes",
)
