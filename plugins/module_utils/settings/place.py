# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of where the images of a device are: the storage, and the name and key of the device there."""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

from .setting import NO_DEFAULT, Setting
from .storage import OPERATOR_KEYS, STORAGE_KEYS, flat_keys
from .verbs import ALL, ON_A_STORAGE, ON_THE_OPERATOR

STORAGE: Tuple[Setting, ...] = (
    Setting(
        "storage",
        "dict",
        ("The storage of the images. Its V(url) is required, here or as O(storage_url).",),
        ON_A_STORAGE,
        default={},
        default_words="required, or `imaging_storage_url`",
        options=tuple(replace(key, required=False) for key in STORAGE_KEYS),
        in_jobs=True,
        module={
            "required": True,
            "default": None,
            "description": ("The storage of the images.",),
            "options": STORAGE_KEYS,
        },
    ),
    Setting(
        "storage_operator",
        "dict",
        (
            (
                "Separate credentials for V(verify), V(copy), V(archive), V(show), V(rollover), V(retire), V(rename) and "
                "V(storage_check); empty to use those of O(storage). They replace all credentials of O(storage); other keys that are not set here are taken "
                "from O(storage). A job that defines its own storage uses the credentials of the job."
            ),
        ),
        ON_THE_OPERATOR,
        default={},
        default_words="as `imaging_storage`",
        options=OPERATOR_KEYS,
        role_only=True,
    ),
    *flat_keys("storage", ON_A_STORAGE),
    *flat_keys("storage_operator", ON_THE_OPERATOR),
    Setting(
        "operator",
        "str",
        ("The host that runs the tasks that need only the storage, and keeps the results of runs.",),
        ALL,
        default="localhost",
        role_only=True,
    ),
    Setting(
        "device_name",
        "str",
        ("Name of the device directory in the storage.",),
        ON_A_STORAGE,
        default="{{ inventory_hostname }}",
        default_words="`inventory_hostname`",
        module={"required": True, "default": None},
    ),
    Setting(
        "device_alias",
        "str",
        (
            "Prefix of O(device_name), as C(<alias>_<device>). Required when O(device_name) is C(localhost).",
            "C(localhost) is the same name on every device.",
        ),
        ON_A_STORAGE,
        default="",
    ),
)

KEYS: Tuple[Setting, ...] = (
    Setting(
        "password",
        "str",
        (
            "Password that encrypts the images of the device. Without a password images are unencrypted.",
            (
                "The password is only passed to the engine in memory, never in a command line, an environment variable "
                "or a log."
            ),
        ),
        ON_A_STORAGE,
        default="",
        default_words="none",
        secret=True,
        module=NO_DEFAULT,
    ),
    Setting(
        "password_previous",
        "str",
        (
            "The previous password, needed once to change the password.",
            (
                "The new password becomes another slot of the same key. Both passwords open older images, and no data "
                "is uploaded again."
            ),
        ),
        ("image", "rename"),
        default="",
        default_words="none",
        secret=True,
        module=NO_DEFAULT,
    ),
    Setting(
        "new_key",
        "bool",
        ("Confirms that a new key is started when the password opens no existing key.",),
        ("image",),
        default=False,
    ),
    Setting(
        "allow_clear",
        "bool",
        ("Confirms that an unencrypted image is stored although the device has encrypted images.",),
        ("image",),
        default=False,
    ),
    Setting(
        "adopt",
        "bool",
        (
            (
                "Confirms that this machine takes over a directory that belongs to another machine, such as a "
                "replaced PC."
            ),
        ),
        ("image",),
        default=False,
    ),
)
