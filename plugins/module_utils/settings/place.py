# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of where the images of a device are: the storage, and the name and key of the device there."""

from __future__ import annotations

from typing import Tuple

from .setting import NO_DEFAULT, Setting
from .storage import OPERATOR_KEYS, STORAGE_KEYS
from .verbs import ON_A_STORAGE, ON_THE_OPERATOR

STORAGE: Tuple[Setting, ...] = (
    Setting(
        "storage", "dict", ("Where the images live.",), ON_A_STORAGE, required=True, options=STORAGE_KEYS, in_jobs=True
    ),
    Setting(
        "storage_operator",
        "dict",
        (
            "Other credentials for V(verify), V(copy), V(rollover) and V(storage_check); empty to use those of O(storage). They take the"
            " place of all credentials there, and what else is not given is as in O(storage). A job with a storage of its own is"
            " worked on as the job says.",
        ),
        ON_THE_OPERATOR,
        default={},
        default_words="as `imaging_storage`",
        options=OPERATOR_KEYS,
        role_only=True,
    ),
    Setting(
        "operator",
        "str",
        ("The host that does storage-only work.",),
        ON_THE_OPERATOR,
        default="localhost",
        role_only=True,
    ),
    Setting(
        "device_name",
        "str",
        ("Name of the device's directory on the storage.",),
        ON_A_STORAGE,
        default="{{ inventory_hostname }}",
        default_words="`inventory_hostname`",
        module={"required": True, "default": None},
    ),
    Setting(
        "device_alias",
        "str",
        (
            "Written in front of O(device_name), as C(<alias>_<device>); needed when that is C(localhost).",
            "Every device is C(localhost) to itself.",
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
            "Password of the device's images; without one they are in clear.",
            "It reaches the engine in memory; no command line, environment or log holds it.",
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
            "The password before, needed once to change it.",
            "The new one becomes another slot of the same key, so older images open with both and nothing is sent again.",
        ),
        ("image",),
        default="",
        default_words="none",
        secret=True,
        module=NO_DEFAULT,
    ),
    Setting(
        "new_key",
        "bool",
        ("The explicit yes to start over with a new key when the present password opens none.",),
        ("image",),
        default=False,
    ),
    Setting(
        "allow_clear",
        "bool",
        ("The explicit yes to store an image in clear where encrypted ones are.",),
        ("image",),
        default=False,
    ),
    Setting(
        "adopt",
        "bool",
        ("The explicit yes to go on with a directory that belongs to another machine, such as a replaced PC.",),
        ("image",),
        default=False,
    ),
)
