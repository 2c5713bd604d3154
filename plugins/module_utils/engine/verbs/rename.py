# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``rename``: the operator's."""

from __future__ import annotations

from typing import Any, Dict

from ..device.renaming import rename_directory
from ..image.newest import told_errors
from ..storage.contract import Storage
from .request_upkeep import RenameRequest
from .run_status import RunStatus

_UNREADABLE = (
    "The image %s is unreadable, so its former name may be missing under the new one: %s When the image is repaired, "
    "repeat the renaming."
)


def rename_device(storage: Storage, request: RenameRequest, dummy_status: RunStatus) -> Dict[str, Any]:
    """Rename the directory of a device, or repair one that was moved by hand; in check mode only say so.

    :raises RenameRefused: when the new name is in use, or the key of an image is not opened.
    :raises ImageNotFound: when there is no such directory. :raises LeaseHeld: when a run lives.
    """
    passwords = [one for one in (request.passwords.password, request.passwords.previous) if one]
    found = rename_directory(storage, request.device, request.to, passwords, dry_run=request.check)
    is_renamed = not found.is_done
    before = request.device if is_renamed else request.to
    return {
        "changed": is_renamed,
        "device": request.to,
        "former": request.device,
        "moved": found.moves,
        "images": found.images,
        "warnings": told_errors(_UNREADABLE, found.unreadable),
        "diff": {"before": before + "\n", "after": request.to + "\n"},
    }
