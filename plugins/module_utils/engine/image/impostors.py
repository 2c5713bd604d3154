# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which directories, of which nothing can be proved and which list no packs, can't be images of ours.

A damaged image keeps a rollover from sweeping as long as it is not known what it needs. An account that may only create
files must not be able to do the same for ever with one file, so three kinds are told apart from damage: names in the
future; names between two proved images whose numbers follow each other, since every image took a number of its own; and
names older than the image with the number one, or than as many proved images as are kept, since such an image would go
if it were intact.
"""

from __future__ import annotations

from typing import List

from .format.manifest import Manifest


class Impostors:
    """``last`` is the last name that is plausible; ``proved`` are the images that a key proved, none without a key."""

    def __init__(self, proved: List[Manifest], keep: int, last: str) -> None:
        self._proved = sorted(proved, key=lambda manifest: manifest.image)
        self._keep = keep
        self._last = last

    def has(self, image: str) -> bool:
        """Whether the directory ``image``, which does not tell what it needs, can need nothing."""
        if image > self._last:
            return True
        older = [manifest for manifest in self._proved if manifest.image < image]
        newer = [manifest for manifest in self._proved if manifest.image > image]
        if not older:
            return len(newer) >= self._keep or (bool(newer) and newer[0].sequence == 1)
        return bool(newer) and newer[0].sequence == older[-1].sequence + 1
