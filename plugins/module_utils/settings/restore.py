# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of which image is verified, copied or restored, and onto what."""

from __future__ import annotations

from typing import Tuple

from .setting import Setting

RESTORE: Tuple[Setting, ...] = (
    Setting(
        "image",
        "str",
        ("Which image, V(latest) or its name.",),
        ("verify", "copy", "restore"),
        default="latest",
    ),
    Setting(
        "verify_level",
        "str",
        (
            "How deep to verify, V(quick), V(storage) or V(full).",
            "V(quick) compares names and sizes.",
            "V(storage) hashes everything that is stored; it needs no password.",
            "V(full) does that and runs the restore without writing.",
        ),
        ("verify",),
        choices=("quick", "storage", "full"),
        default="full",
        option="level",
    ),
    Setting(
        "restore_map",
        "dict",
        (
            "Which imaged disk goes where, such as C({disk0: /dev/sdb}).",
            "The keys are V(disk0), V(disk1) and so on, as M(plantops.imaging.image_info) lists them; the values are paths of disks,"
            " or of files that are created or grown.",
        ),
        ("restore",),
        required=True,
        option="map",
    ),
    Setting(
        "restore_overwrite",
        "bool",
        ("The explicit yes for a target that holds data.",),
        ("restore",),
        default=False,
        option="overwrite",
    ),
    Setting(
        "restore_replace_table",
        "list",
        (
            "The explicit yes for partitions of the target that go, because the image holds only some volumes and its partition"
            " table is another one than the target's. Each by its number or name, as the refusal prints them.",
            "V(disk0p3) names one where several disks are restored.",
        ),
        ("restore",),
        elements="str",
        default=[],
        option="replace_table",
    ),
    Setting(
        "restore_damaged",
        "bool",
        (
            "The explicit yes to restore what is whole of a damaged image; what is lost becomes zeros, and the result's C(damaged)"
            " names the files.",
            "RV(damaged) tells where that is and which files are hit. A target that was restored so is not whole.",
            "An image whose manifest or root of the index is lost can't be restored even so. A lost segment of the index costs"
            " 256 MiB.",
        ),
        ("restore",),
        default=False,
        option="damaged",
    ),
    Setting(
        "restore_many",
        "bool",
        (
            "The explicit yes to restore on more than one host of a play.",
            "Without it a play with several hosts is refused, whether they come at once, in batches or with C(run_once), since a"
            " forgotten C(--limit) would cost a plant its data.",
            "Not needed with O(run), which starts nothing.",
        ),
        ("restore",),
        default=False,
        option="many",
    ),
)
