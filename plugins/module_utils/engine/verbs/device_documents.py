# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device information that images hold: that of the previous image of a job, of its newest pinned one, or of a named one."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from ..device.identity import stored_identity
from ..errors import DeviceDocumentUnread, EngineError, ImageNotFound
from ..image import records
from ..image.access import Passwords
from ..image.device_directory import DeviceDirectory
from ..image.format import constants as fmt
from ..image.format import documents
from ..image.reader import ImageReader
from ..storage.contract import Storage

_MOST_PINNED = 100


class HeldInformation(NamedTuple):
    """The device information of an image."""

    image: str
    job: str
    information: Dict[str, Any]


def previous_of(storage: Storage, device: str, passwords: Passwords, job: str) -> Optional[HeldInformation]:
    """Return the device information of the newest image of a job, None where there is not one that can be read."""
    if stored_identity(storage, device) is None:
        return None
    try:
        return read_information(storage, device, passwords, "latest", job)
    except ImageNotFound:
        return None
    except EngineError:
        return None  # rule 6 and damage are reported by the run itself; a comparison is not worth failing for


def baseline_of(storage: Storage, device: str, passwords: Passwords, job: Optional[str]) -> Optional[HeldInformation]:
    """Return the device information of the newest pinned image of a job, None where no image of it is pinned."""
    if stored_identity(storage, device) is None:
        return None
    directory = DeviceDirectory(storage, device)
    try:
        names = directory.image_names()
        pinned = [name for name, kept in zip(names, records.kept_of(directory, names)) if kept.is_pinned]
    except EngineError:
        return None
    for name in pinned[: -_MOST_PINNED - 1 : -1]:
        try:
            reader = ImageReader(storage, device, name, passwords.password)
            if job is None or reader.manifest.job == job:
                return _held(reader)
        except EngineError:
            continue  # an older one may be readable; verify names the damage
    return None


def read_information(
    storage: Storage, device: str, passwords: Passwords, image: str, job: Optional[str] = None
) -> HeldInformation:
    """Return the device information of an image; ``latest`` is the newest one of the job.

    :raises EngineError: ``ImageNotFound``, ``Password*``, ``DeviceDocumentUnread``.
    """
    return _held(ImageReader(storage, device, image, passwords.password, job))


def image_before(storage: Storage, device: str, image: str, job: str) -> Optional[str]:
    """Return the name of the image of the same job that was made before ``image``, None for the first one."""
    directory = DeviceDirectory(storage, device)
    names: List[str] = [name for name in directory.image_names() if name < image]
    for name in reversed(names):
        try:
            if directory.manifest(name).job == job:
                return name
        except EngineError:
            continue
    return None


def _held(reader: ImageReader) -> HeldInformation:
    try:
        information = documents.parse(reader.document(fmt.DEVICE_INFORMATION_NAME))
    except ValueError as error:
        raise DeviceDocumentUnread(image=reader.image, reason=str(error)) from None
    return HeldInformation(reader.image, reader.manifest.job, information)
