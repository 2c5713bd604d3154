# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of which images are shown, and how."""

from __future__ import annotations

from typing import Tuple

from .setting import Setting

SHOW: Tuple[Setting, ...] = (
    Setting(
        "show_image",
        "str",
        (
            "The images to show: V(all), V(latest), the name of an image or a version such as V(v3).",
            "A single image is returned with the result of its run.",
        ),
        ("show",),
        default="all",
        option="image",
    ),
    Setting(
        "show_documents",
        "list",
        (
            "Documents to read from the image: V(device) is the description of the device, V(log) the log of the run.",
            "They are read from a single image. Those of an encrypted image require O(password).",
        ),
        ("show",),
        elements="str",
        default=[],
        default_words="none",
        option="documents",
        module={"default": None},
    ),
    Setting(
        "show_devices",
        "str",
        (
            (
                "V(one) shows the images of the device itself, V(all) those of every device in the storage, including "
                "devices that are not in the inventory."
            ),
        ),
        ("show",),
        choices=("one", "all"),
        default="one",
        option="devices",
    ),
    Setting(
        "show_format",
        "str",
        ("How the play prints the images: V(table) for a person, V(json) with all their facts.",),
        ("show",),
        choices=("table", "json"),
        default="table",
        role_only=True,
    ),
)
