# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a device can have the agent, as far as its share tells: asked before anything is copied.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.windows.preflight import (
    facts_from_files,
    refusals,
)

from .share import DeviceShare

_LIBRARY, _RUNTIME = "System32\\kernel32.dll", "System32\\ucrtbase.dll"
_MOST_LIBRARY_BYTES = 8 << 20


def check_device(share: DeviceShare, platform: str, needed_bytes: int) -> None:
    """Refuse a device without an update, a runtime or space that the agent needs. A write filter can't be seen from here.

    Where the device does not show the folder of Windows, the agent's own trial decides.

    :raises InstallationError: A360 to A367. :raises DeviceSmbError:
    """
    kernel32 = share.system_file(_LIBRARY, _MOST_LIBRARY_BYTES)
    if kernel32 is None:
        return
    facts = facts_from_files(
        kernel32,
        has_runtime=share.system_file(_RUNTIME, 2) is not None,
        volume=share.place.folder[:2].upper(),
        free_bytes=share.free_bytes(),
    )
    # The functions of a library tell less exactly.
    facts = facts._replace(version=(share.windows.major, share.windows.minor, 0))
    for wrong in refusals(facts, platform, share.place.base, needed_bytes):
        raise wrong
