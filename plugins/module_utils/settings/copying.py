# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of where an image is copied to, with all that a recovery needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

from .setting import Setting
from .storage import STORAGE_KEYS

# An empty dictionary says that there is none, so that no key of it can be required.
_KEYS = tuple(replace(key, required=False) for key in STORAGE_KEYS)

COPY: Tuple[Setting, ...] = (
    Setting(
        "copy_directory",
        "str",
        (
            "Absolute path of the target directory on the operator host, such as a USB disk or stick.",
            "The directory is created if its parent directory exists. Several devices and images may share it.",
            "Either this or O(copy_storage) is required.",
        ),
        ("copy",),
        default="",
        default_words="required by `copy`, or `imaging_copy_storage`",
        option="directory",
        module={"default": None},
    ),
    Setting(
        "copy_storage",
        "dict",
        (
            "The target storage, as an alternative to a directory.",
            "It has the same keys as O(storage), with separate credentials.",
        ),
        ("copy",),
        default={},
        default_words="none",
        options=_KEYS,
        module={"default": None},
    ),
    Setting(
        "copy_program",
        "str",
        (
            (
                "The recovery program on the controller to include in the copy, as built by "
                "M(plantops.imaging.recovery_program)."
            ),
            (
                "Without this setting the program for Linux on x86-64 with glibc is built once and stored in the cache "
                "of the user, which requires a package index."
            ),
        ),
        ("copy",),
        default="",
        default_words="built once and kept",
        option="program",
        module={"type": "path", "default": None},
    ),
)
