# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device information that images hold: that of the previous image of a job, of its newest pinned one, or of a named one."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

from ..device.identity import stored_identity
from ..errors import DeviceDocumentUnread, EngineError, ImageNotFound
from ..image import records
from ..image.access import Passwords
from ..image.device_directory import DeviceDirectory
from ..image.format import constants as fmt
from ..image.format import documents
from ..image.newest import few
from ..image.reader import ImageReader
from ..storage.contract import Storage

_MOST_PINNED = 100
_MOST_TRIED = 20
_MOST_MANIFESTS = 1000  # that are read for the image before another one
Say = Callable[[str], None]


def silent(dummy_sentence: str) -> None:
    """Take no notice: of a caller that shows no comparison."""


class HeldInformation(NamedTuple):
    """The device information of an image."""

    image: str
    job: str
    information: Dict[str, Any]


def previous_of(
    storage: Storage, device: str, passwords: Passwords, job: str, say: Say = silent
) -> Optional[HeldInformation]:
    """Return the device information of the newest image of a job that has a readable one, None where there is not one.

    ``say`` gets a sentence for images whose document can't be read, so that a comparison with an older one, or none,
    is not taken for a device without changes.
    """
    if stored_identity(storage, device) is None:
        return None
    with _few_said(say) as skip:
        return _previous_of(storage, device, passwords, job, say, skip)


def _previous_of(
    storage: Storage, device: str, passwords: Passwords, job: str, say: Say, skip: Say
) -> Optional[HeldInformation]:
    name: Optional[str] = "latest"
    older: Optional[Iterator[str]] = None
    for dummy_number in range(_MOST_TRIED):
        try:
            reader = ImageReader(storage, device, str(name), passwords.password, job)
        except ImageNotFound:
            return None
        except EngineError as error:
            # Rule 6 and damage are reported by the run itself; a comparison is not worth failing for.
            say("The device was not compared with %s: %s" % (_called(name), error))
            return None
        try:
            return _held(reader)
        except EngineError as error:
            skip("The comparison skips the image %s: %s" % (reader.image, error))
        if older is None:
            older = _images_before(storage, device, reader.image, job, skip)
        name = next(older, None)
        if name is None:
            break
    say("The device was not compared: no image of this job has a readable device document.")
    return None


def baseline_of(
    storage: Storage, device: str, passwords: Passwords, job: Optional[str], say: Say = silent
) -> Optional[HeldInformation]:
    """Return the device information of the newest pinned image of a job, None where no image of it is pinned."""
    if stored_identity(storage, device) is None:
        return None
    directory = DeviceDirectory(storage, device)
    try:
        names = directory.image_names()
        pinned = [name for name, kept in zip(names, records.kept_of(directory, names)) if kept.is_pinned]
    except EngineError as error:
        say("The pinned images can't be listed: %s" % error)
        return None
    with _few_said(say) as skip:
        for name in pinned[: -_MOST_PINNED - 1 : -1]:
            try:
                reader = ImageReader(storage, device, name, passwords.password)
                if job is None or reader.manifest.job == job:
                    return _held(reader)
            except EngineError as error:  # an older one may be readable
                skip("The comparison skips the pinned image %s: %s" % (name, error))
        return None


def read_information(
    storage: Storage, device: str, passwords: Passwords, image: str, job: Optional[str] = None
) -> HeldInformation:
    """Return the device information of an image; ``latest`` is the newest one of the job.

    :raises EngineError: ``ImageNotFound``, ``Password*``, ``DeviceDocumentUnread``.
    """
    return _held(ImageReader(storage, device, image, passwords.password, job))


def image_before(storage: Storage, device: str, image: str, job: str, say: Say = silent) -> Optional[str]:
    """Return the name of the image of the same job that was made before ``image``, None for the first one.

    An account that may create files can make thousands of directories between the two: a bounded number is read.
    """
    with _few_said(say) as skip:
        return next(_images_before(storage, device, image, job, skip), None)


def _images_before(storage: Storage, device: str, image: str, job: str, skip: Say) -> Iterator[str]:
    """Yield the names of the images of a job before ``image``, the newest first."""
    directory = DeviceDirectory(storage, device)
    names: List[str] = [name for name in directory.image_names() if name < image]
    for name in names[: -_MOST_MANIFESTS - 1 : -1]:
        try:
            if directory.manifest(name).job == job:
                yield name
        except EngineError as error:
            skip("The comparison skips the image %s: %s" % (name, error))
    if len(names) > _MOST_MANIFESTS:
        skip("The comparison looked at %d images before %s, and at no older ones." % (_MOST_MANIFESTS, image))


@contextlib.contextmanager
def _few_said(say: Say) -> Iterator[Say]:
    """Collect sentences of one kind, and say a few of them at the end."""
    said: List[str] = []
    try:
        yield said.append
    finally:
        for sentence in few(said):
            say(sentence)


def _called(name: Optional[str]) -> str:
    return "the previous image" if name == "latest" else "the image %s" % name


def _held(reader: ImageReader) -> HeldInformation:
    try:
        information = documents.parse(reader.document(fmt.DEVICE_INFORMATION_NAME))
    except ValueError as error:
        raise DeviceDocumentUnread(image=reader.image, reason=str(error)) from None
    return HeldInformation(reader.image, reader.manifest.job, information)
