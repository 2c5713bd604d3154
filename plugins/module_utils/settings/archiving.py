# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the archive, where images are checked in as numbered versions."""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

from .setting import NO_DEFAULT, Setting
from .storage import STORAGE_KEYS

_CHECKED_IN = ("archive", "image")
# An empty dictionary says that there is none, so that no key of it can be required.
_KEYS = tuple(replace(key, required=False) for key in STORAGE_KEYS)

TRANSFER = Setting(
    "transfer",
    "str",
    (
        "V(storage) stores images in O(storage). V(archive) also checks each image in to O(archive) as a version.",
        "The check-in runs on the operator host after the run, which has to be followed for that (O(wait)).",
    ),
    ("image",),
    choices=("storage", "archive"),
    default="storage",
    in_jobs=True,
    role_only=True,
)

# They are options of one module alone, also where other entry points of the role take them.
ARCHIVE: Tuple[Setting, ...] = (
    Setting(
        "archive",
        "dict",
        (
            "The archive: a separate storage in which each image is a numbered version that no rollover deletes.",
            "It has the same keys as O(storage), with separate credentials, which need not allow deleting.",
            "With O(image) set to a version, such as V(v3), the other entry points of the role use the archive.",
        ),
        ("archive", "image", "verify", "copy", "restore"),
        default={},
        default_words="required by `archive`",
        options=_KEYS,
        in_jobs=True,
        module={"required": True, "default": None, "options": STORAGE_KEYS},
        role_only=True,
    ),
    Setting(
        "archive_comment",
        "str",
        (
            "Comment of a new version, such as the reason for it; at most 1000 characters.",
            "It is stored unencrypted and can't be changed later.",
        ),
        _CHECKED_IN,
        default="",
        default_words="none",
        in_jobs=True,
        option="comment",
        role_only=True,
    ),
    Setting(
        "archive_author",
        "str",
        ("Author of a new version; at most 200 characters. Empty uses the user of AWX or of the controller.",),
        _CHECKED_IN,
        default="",
        default_words="the user of AWX or of the controller",
        option="author",
        role_only=True,
    ),
    Setting(
        "archive_every",
        "str",
        (
            "The least time between two versions of a job, such as V(30d), V(4w) or V(12h); V(0) archives each image.",
            (
                "The time is measured between the names of the images. A run that begins earlier by a tenth of it, at "
                "most six hours, is on time. An image that O(image) names is always checked in."
            ),
        ),
        _CHECKED_IN,
        default="0",
        default_words="each image",
        in_jobs=True,
        pattern="0|[0-9]{1,5}[hdw]",
        option="every",
        role_only=True,
    ),
    Setting(
        "archive_keep_source",
        "bool",
        (
            "Whether the rollover of O(storage) spares the images that are versions of the archive.",
            (
                "V(true) never deletes an archived image, in no storage. With V(false) C(keep) counts these images like any "
                "other, so that the storage does not grow with the archive."
            ),
        ),
        _CHECKED_IN,
        default=True,
        in_jobs=True,
        option="keep_source",
        role_only=True,
    ),
    Setting(
        "archive_state",
        "str",
        (
            (
                "V(present) checks the image in. V(verified) lists the versions and each one that was changed, replaced, "
                "renumbered or removed. V(compared) compares the two versions of C(archive_versions)."
            ),
        ),
        ("archive",),
        choices=("present", "verified", "compared"),
        default="present",
        option="state",
        role_only=True,
    ),
    Setting(
        "archive_versions",
        "list",
        ("The two versions to compare, such as V([v1, v2]).",),
        ("archive",),
        elements="str",
        default=[],
        default_words="none",
        option="versions",
        module=NO_DEFAULT,
        role_only=True,
    ),
)
COMING = Setting(
    "coming",
    "bool",
    ("For check mode only: the image does not exist yet, because the run before this task would make it.",),
    default=False,
)
