# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``verify``."""

from __future__ import annotations

from typing import Any, Dict

from ..image.upkeep.verify import verify_image
from ..storage.contract import Storage
from .request import VerifyRequest
from .run_status import RunStatus


def verify(storage: Storage, request: VerifyRequest, status: RunStatus) -> Dict[str, Any]:
    """Verify an image; in check mode no record of it is kept."""
    found = verify_image(
        storage,
        request.device,
        request.image,
        request.level,
        password=request.passwords.password,
        progress=status.progress,
        record=not request.check,
        job=request.job,
    )
    for text in found.warnings:
        status.warn(text)
    return dict(found.as_dict(), changed=False)
