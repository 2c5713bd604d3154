# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``pin``."""

from __future__ import annotations

from typing import Any, Dict

from ..image import records
from ..image.access import newest_image, openable_key
from ..image.device_directory import DeviceDirectory
from ..image.upkeep.rollover import pin
from ..storage.contract import Storage
from .request import PinRequest
from .run_status import RunStatus


def pin_image(storage: Storage, request: PinRequest, status: RunStatus) -> Dict[str, Any]:
    """Keep an image from being rolled over, or no longer. With a password the pin is authenticated.

    :raises ImageNotFound: when there is none of that name, also when a rollover deletes it in this moment.
    :raises RecordRefused: when this account can't make or delete the pin.
    """
    directory = DeviceDirectory(storage, request.device)
    password = request.passwords.password
    key = openable_key(directory, password)
    if password and key is None:
        text = "The password opens no key slot of %s; the pin is not authenticated." % request.device
        status.warn(text)
    wanted = request.image
    is_latest = wanted == "latest"
    newest = newest_image(directory, password, request.job).manifest if is_latest else directory.find_image(wanted)
    image, after = newest.image, request.pinned
    kept = records.kept(directory, image)
    before = kept.is_pinned
    is_right = kept.is_readable and before == after
    if is_right and after and key is not None:
        is_right = records.has_authentic_pin(directory, image, key)
    if not is_right and not request.check:
        pin(storage, request.device, image, after, key)
    said = {True: "%s is pinned\n" % image, False: "%s is not pinned\n" % image}
    diff = {"before": said[before], "after": said[after]}
    return {"changed": not is_right, "image": image, "pinned": after, "diff": diff}
