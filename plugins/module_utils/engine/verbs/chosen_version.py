# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``v3`` in place of an image's name, for every verb that takes one."""

from __future__ import annotations

from typing import TypeVar

from ..image.archive.find import find_version, number_of
from ..image.device_directory import DeviceDirectory
from ..storage.contract import Storage

Chosen = TypeVar("Chosen")


def with_chosen_image(storage: Storage, request: Chosen) -> Chosen:
    """Return the request with the name of the image that its version is; a request without a version as it is.

    :raises ArchiveError: when there is no such version, or it is not what was checked in.
    """
    number = number_of(str(getattr(request, "image", "")))
    if number is None:
        return request
    directory = DeviceDirectory(storage, getattr(request, "device"))  # noqa: B009
    password = getattr(request, "passwords").password  # noqa: B009
    image = find_version(directory, number, password).version.image
    replaced: Chosen = getattr(request, "_replace")(image=image)  # noqa: B009
    return replaced
