# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a device that is retired or renamed."""

from __future__ import annotations

from typing import Tuple

from .setting import Setting

RETIRE: Tuple[Setting, ...] = (
    Setting(
        "retire",
        "str",
        (
            "Confirms that images of the device are deleted, the newest ones included: repeats the name of its directory.",
            (
                "The name is O(device_name), or C(<alias>_<device>) with O(device_alias). Any other text is refused, and "
                "nothing is deleted."
            ),
        ),
        ("retire",),
        default="",
        default_words="required by `retire`",
        module={"required": True, "default": None},
    ),
    Setting(
        "retire_image",
        "str",
        (
            "The image to delete: the name of an image, or V(all).",
            ("An image whose key O(password) does not open is deleted only if its name is given here."),
        ),
        ("retire",),
        default="all",
        option="image",
    ),
)
RENAME: Tuple[Setting, ...] = (
    Setting(
        "rename_to",
        "str",
        (
            "The new name of the device's directory, in place of O(device_name). O(device_alias) stays in front of it.",
            "After the renaming, change the name in the inventory, or set O(device_name) to it.",
        ),
        ("rename",),
        default="",
        default_words="required by `rename`",
        option="to",
        module={"required": True, "default": None},
    ),
)
