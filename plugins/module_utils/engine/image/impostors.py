# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds directories that can't be real images: those that the key does not prove and that list no packs.

A damaged image keeps a rollover from sweeping as long as it is not known what it needs. An account that may only create
files must not be able to do the same for ever with one file. So the engine separates damaged images from names that no
real image can have: in the future; between two proved images whose numbers follow each other, since every image took a
separate number; before the image with the number one. A name that is older than as many proved images as are kept is
doubtful: its image would be deleted, unless another rule keeps it.
"""

from __future__ import annotations

from typing import List, Optional

from .format.manifest import Manifest


class Impostors:
    """``last`` is the last name that is plausible; ``proved`` are the images that a key proved, none without a key.

    ``keep`` is how many images remain of all jobs, None where that is not known.
    """

    def __init__(self, proved: List[Manifest], keep: Optional[int], last: str) -> None:
        self._proved = sorted(proved, key=lambda manifest: manifest.image)
        self._keep = keep
        self._last = last

    def has(self, image: str) -> bool:
        """Whether no real image can have the name ``image``."""
        if image > self._last:
            return True
        older = [manifest for manifest in self._proved if manifest.image < image]
        newer = [manifest for manifest in self._proved if manifest.image > image]
        if not newer:
            return False
        return newer[0].sequence == (older[-1].sequence + 1 if older else 1)

    def is_past(self, image: str) -> bool:
        """Whether an image of this name would have been rolled over, if nothing but its age counted."""
        if self._keep is None or (self._proved and self._proved[0].image < image):
            return False
        return len(self._proved) >= self._keep
