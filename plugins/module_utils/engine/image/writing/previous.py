# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An earlier index that a new image is compared with: of a disk of a kept image, or left by an interrupted run."""

from __future__ import annotations

from typing import NamedTuple, Set

from ..format import constants as fmt
from ..format.index import Root
from ..format.root_columns import SegmentReference


class Previous(NamedTuple):
    """The root of one earlier disk, and the packs of it that the new image may rely on.

    ``complete`` tells a kept image from a checkpoint; ``disk`` is the disk's number in it.
    """

    image: str
    root: Root
    usable: Set[str]
    complete: bool
    disk: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing speaks against any of its segments, so that one may be shared without being loaded."""
        return self.complete and len(self.usable) == len(self.root.packs)

    def reference(self, number: int) -> SegmentReference:
        """The segment at ``number``, a hole beyond the end."""
        segments = self.root.segments
        return segments[number] if 0 <= number < len(segments) else _NOTHING


class PreviousFalse(Exception):
    """A previous index contradicts itself: it was made to, or a defect made it so. Never leaves the writer."""


_NOTHING = SegmentReference(fmt.HOLE_ID, None, 0)
