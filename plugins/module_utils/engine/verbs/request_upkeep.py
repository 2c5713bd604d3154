# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests of the verbs that change the whole directory of a device: retire, rename."""

from __future__ import annotations

import unicodedata
from typing import Any, Dict, NamedTuple, Tuple

from ..device.identity import device_directory
from ..image.access import Passwords
from .fields import Fields, shown
from .request_listing import ALL
from .request_parts import StorageSettings, is_image_name

RETIRE_KEYS = ("retire", "image", "purge_trash")
RENAME_KEYS = ("to",)


class RetireRequest(NamedTuple):
    """Delete all images of a device, or one."""

    device: str
    storage: StorageSettings
    check: bool
    passwords: Passwords
    named: str  # the yes: it has to be the name of the directory
    image: str  # "" for all
    purge_trash: bool
    unused: Tuple[str, ...] = ()


class RenameRequest(NamedTuple):
    """Rename the directory of a device."""

    device: str
    storage: StorageSettings
    check: bool
    passwords: Passwords
    to: str  # the directory's new name
    unused: Tuple[str, ...] = ()


def rename_request(fields: Fields, head: Dict[str, Any]) -> RenameRequest:
    """:raises RequestInvalid: when there is no new name. :raises DeviceNameInvalid: when it can't be one."""
    to = fields.text("to")
    if not to:
        raise fields.refuse("rename_to", "is not set")
    return RenameRequest(**head, to=device_directory(fields.text("alias"), to))


def retire_request(fields: Fields, head: Dict[str, Any]) -> RetireRequest:
    """:raises RequestInvalid: for ``latest``, or what is not the name of an image."""
    image = fields.text("image", ALL)
    if image != ALL and not is_image_name(image):
        raise fields.refuse("retire_image", "is %s, which is neither %s nor the name of an image" % (shown(image), ALL))
    return RetireRequest(
        **head,
        named=unicodedata.normalize("NFC", fields.text("retire")),
        image="" if image == ALL else image,
        purge_trash=fields.yes("purge_trash"),
    )
