# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image that a run is about to make, as far as its manifest is known before: what it is compared and counted by."""

from __future__ import annotations

from typing import List, NamedTuple

from ..format import constants as fmt
from ..format.contents import DiskContents
from ..format.manifest import DiskEntry, Manifest

NAME = "coming"  # the name of no image


class ComingDisk(NamedTuple):
    """A disk that will be in the image."""

    stable_id: str
    size_bytes: int
    contents: DiskContents = DiskContents()


def coming_image(device: str, job: str, disks: List[ComingDisk]) -> Manifest:
    """Return a manifest that is newer than any other, with what is known of the disks."""
    return Manifest(
        image=NAME,
        device=device,
        sequence=fmt.MAX_SEQUENCE,
        created="",
        snapshot="offline",
        key_id="",
        slots=[],
        disks=[
            DiskEntry("disk%d" % number, disk.stable_id, disk.size_bytes, 0, 0, "", 0, disk.contents)
            for number, disk in enumerate(disks)
        ],
        files={},
        pack_count=0,
        pack_bytes=0,
        packs_sha256="",
        seconds=0,
        warnings_count=0,
        job=job,
    )
