# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that a run finds on the storage, and those that others commit during the run: they decide the name and the
number of the new one, and which parts it reuses."""

from __future__ import annotations

from typing import AbstractSet, List, Optional

from ..access import key_for_writing
from ..device_directory import DeviceDirectory
from ..format.keys import MasterKey
from ..format.manifest import Manifest
from ..image_folder import Overtaken
from ..newest import believed, doubts, horizon, next_sequence, others_than, told_errors
from ..upkeep.keeping import to_be_named
from .coming import coming_image
from .image_order import ImageOrder


class History:
    """``images`` are all that can be read; only the ``believed`` ones decide. ``rivals``: committed by others during
    the run."""

    def __init__(self, directory: DeviceDirectory, order: ImageOrder) -> None:
        """:raises EngineError: rule 6, before anything is written."""
        self._directory = directory
        writing = key_for_writing(directory, order.passwords)
        self.images, self.unreadable = writing.images, writing.unreadable
        self.key: Optional[MasterKey] = writing.key
        last = horizon(order.timestamp)
        self.believed = believed(self.images, self.key, last)
        self.last = max([last, *(one.image for one in self.believed)])
        # Those of a name that is not proved now may be accepted again, by a rename or a true read: numbers that begin with 1
        # again would make the image of this run the oldest of them.
        self._misnamed = directory.misnamed.of(self.key)
        self.sequence = next_sequence([*self.images, *self._misnamed], self.key, last)
        self.rivals: List[Manifest] = []
        self.packs_of_newest: Optional[AbstractSet[str]] = None  # known when the packs in use are
        coming = coming_image(order.device, order.job, [disk.coming for disk in order.disks])
        others = others_than(self.images, self.believed, self.key)
        self.missing, named = to_be_named(self.believed, coming, order.policy, others)
        self.warnings = told_errors("The image %s is not usable: %s", self.unreadable)
        self.warnings += [*doubts(self.images, self.key, last), *named]

    @property
    def key_id(self) -> str:
        return self.key.key_id if self.key else ""

    @property
    def newest(self) -> Optional[Manifest]:
        return self.believed[-1] if self.believed else None

    @property
    def of_this_key(self) -> List[Manifest]:
        """The believed images that the run's key opens, oldest first."""
        return [one for one in self.believed if one.key_id == self.key_id]

    @property
    def others(self) -> List[Manifest]:
        """The images that decide nothing."""
        counted = {one.image for one in self.believed}
        return [one for one in self.images if one.image not in counted]

    def newest_name(self) -> str:
        """The name that the new image's must come after."""
        return max((one.image for one in [*self.believed, *self.rivals]), default="")

    def renumber(self) -> None:
        """Take a number above those of the rivals."""
        self.sequence = next_sequence([*self.images, *self._misnamed, *self.rivals], self.key, self.last)

    def check_order(self, image: str) -> None:
        """Check that no other run has committed above this run's name or number: readers treat the last name as the
        newest image.

        :raises Overtaken: when one has; the caller then publishes the same image under a name and a number above all.
        """
        known = {manifest.image for manifest in [*self.images, *self.rivals]} | {image} | self.unreadable.keys()
        new = self._directory.images({}, self.key, but=known)
        # Without a key a name in the future proves no image.
        counted = [one for one in believed(new, self.key, self.last) if self.key is not None or one.image <= self.last]
        self.rivals += counted
        if any(rival.image > image or rival.sequence >= self.sequence for rival in counted):
            raise Overtaken
