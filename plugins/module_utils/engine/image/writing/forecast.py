# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The effect of the next image on a device's directory, estimated without a change and without reading a disk."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Union

from ...entries import Space
from ...errors import EngineError
from ...storage.contract import Storage
from ..access import Passwords, prove_passwords
from ..device_directory import DeviceDirectory
from ..format import job_name
from ..format.manifest import Manifest
from ..newest import told_errors
from ..upkeep.keeping import Policy
from ..upkeep.missing import Missing
from ..upkeep.rollover import plan_after_next
from .candidates import holds
from .coming import coming_image
from .preflight import check_room, likely_bytes, newest_usable


class Forecast(NamedTuple):
    """``images`` are there now, oldest first; ``deleted`` of them would go after success, ``spared`` says why others stay."""

    storage: str
    device: str
    images: List[str]
    deleted: List[str]
    spared: Dict[str, str]
    newest: Optional[Manifest]
    was_interrupted: bool
    space: Optional[Space]
    warnings: List[str]
    missing: List[Missing] = []
    held_bytes: int = 0  # in use in the fullest kept image: what came into use since was in none
    is_known: bool = True  # every disk has a name, a table or a volume that a kept image has as well

    def bytes_to_send(self, in_use_bytes: int) -> int:
        """An estimate, by the rule that room is judged by: only reading the disks would tell."""
        return likely_bytes(self.newest, in_use_bytes, self.held_bytes)

    def most_bytes_to_send(self, in_use_bytes: int) -> int:
        """The other end of the range: where nothing ties a disk to a kept image, all of it may be new."""
        likely = self.bytes_to_send(in_use_bytes)
        return likely if self.is_known else max(likely, likely_bytes(None, in_use_bytes))

    def check_room(self, in_use_bytes: int) -> List[str]:
        """:raises StorageSpaceTooSmall: as the run would."""
        return check_room(self.storage, self.device, self.newest, self.was_interrupted, self.space, in_use_bytes)

    def rollover(self) -> Dict[str, Any]:
        return {"dry_run": True, "deleted": self.deleted, "spared": self.spared}


def forecast(
    storage: Storage, device: str, passwords: Passwords, wanted: Union[int, Policy], coming: Optional[Manifest] = None
) -> Forecast:
    """Look at the device's directory and prove the password.

    :param wanted: the policy of the rollover; a number is how many images of the default job remain.
    :param coming: the next image, as far as it is known; ``None`` for one of the default job with the disks of the
        newest.
    :raises StorageError: when the storage can't be read.
    :raises KeyProblem: rule 6, as the run would.
    """
    directory = DeviceDirectory(storage, device)
    key = prove_passwords(directory, passwords)
    newest = newest_usable(directory, key)
    unreadable: Dict[str, EngineError] = {}
    images = directory.images(unreadable, key)
    policy = wanted if isinstance(wanted, Policy) else Policy({job_name.DEFAULT: wanted})
    coming = coming or _like_the_newest(device, images)
    rollover = plan_after_next(directory, images, policy, key, coming)
    of_this_key = [manifest for manifest in images if manifest.key_id == (key.key_id if key else "")]
    return Forecast(
        storage=storage.description,
        device=device,
        images=[manifest.image for manifest in images],
        deleted=rollover.deleted,
        spared=rollover.spared,
        newest=newest,
        was_interrupted=newest is None and bool(directory.image_names()),
        space=storage.space(),
        warnings=told_errors("The image %s is unreadable: %s", unreadable) + rollover.named,
        missing=rollover.missing,
        held_bytes=max((manifest.in_use_bytes for manifest in of_this_key), default=0),
        is_known=all(holds(of_this_key, disk) for disk in coming.disks),
    )


def _like_the_newest(device: str, images: List[Manifest]) -> Manifest:
    coming = coming_image(device, job_name.DEFAULT, [])
    before = [manifest for manifest in images if manifest.job == job_name.DEFAULT]
    return coming._replace(disks=before[-1].disks) if before else coming
