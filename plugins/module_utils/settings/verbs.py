# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry points of the role, and those that share settings."""

from __future__ import annotations

from typing import Dict, Tuple

# The entry points of the role, each with its title and what it does.
VERBS: Dict[str, Tuple[str, str]] = {
    "agent": (
        "Install, update or remove the agent of the device",
        (
            "Brings the agent into the wanted state. The entry points C(image) and C(device_info) install it "
            "automatically."
        ),
    ),
    "device_info": (
        "Show information about the device and its disks",
        "Queries the agent of the device, which is installed or updated first.",
    ),
    "image": (
        "Make an image of the device",
        "Images the disks of the device directly to the storage and rolls old images over.",
    ),
    "verify": (
        "Verify an image of the device",
        "Verifies on the operator host that an image can be restored.",
    ),
    "copy": (
        "Copy an image of the device to a directory or another storage",
        "Copies on the operator host an image with all that a recovery needs: the packs, the recovery program, and pages to print.",
    ),
    "archive": (
        "Check an image of the device in to the archive",
        (
            "Checks on the operator host an image in to the archive as a numbered version, examines the versions, or compares "
            "two of them."
        ),
    ),
    "restore": (
        "Restore an image onto the device",
        "Plans the restore and verifies the image, then writes the image to disks of the device.",
    ),
    "show": (
        "Show the images of the device",
        "Lists on the operator host the images with age, disks, sizes, verifications and pins, and prints one table.",
    ),
    "rollover": (
        "Delete the oldest images of the device",
        "Deletes images in excess of C(imaging_keep) on the operator host.",
    ),
    "retire": (
        "Delete all images of the device, or one of them",
        (
            "Deletes images on the operator host, also the newest ones, after an explicit yes. Pinned and archived images "
            "are kept."
        ),
    ),
    "rename": (
        "Rename the directory of the device in the storage",
        "Moves the directory on the operator host, also one that was moved by hand; its images remain usable.",
    ),
    "storage_check": (
        "Check the storage of the device",
        "Tests on the operator host the operations that a run needs from the storage.",
    ),
}
ALL = tuple(VERBS)
ON_THE_OPERATOR = ("verify", "copy", "archive", "show", "rollover", "retire", "rename", "storage_check")
ON_A_STORAGE = (
    "image",
    "verify",
    "copy",
    "archive",
    "restore",
    "show",
    "rollover",
    "retire",
    "rename",
    "storage_check",
)
ON_THE_DEVICE = ("agent", "device_info", "image", "restore")
FOLLOWED = ("image", "restore")
