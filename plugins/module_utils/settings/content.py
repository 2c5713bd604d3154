# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of what an image holds, how it is made, and how many images remain."""

from __future__ import annotations

from typing import Tuple

from .setting import Setting

CONTENT: Tuple[Setting, ...] = (
    Setting(
        "drives",
        "raw",
        (
            "What to image. V(all) is every internal fixed disk, V(system) the disks that hold the system; else a list of mount"
            " points, absolute paths of disks, volumes or image files, and stable ids of disks (C(serial:...), C(wwn:...),"
            " C(gpt:...), C(mbr:...)).",
            "V(all) leaves out removable and network disks, and the disk that a directory storage of this machine lies on.",
            "When a volume is named, its disk's structures and small boot partitions come along.",
            "A disk is imaged with its partition tables and boot areas, so that a restored disk boots.",
        ),
        ("image",),
        default="all",
        in_jobs=True,
        module={"type": "list", "elements": "str", "required": True, "default": None},
    ),
    Setting(
        "exclude",
        "list",
        (
            "Files whose content is left out, as paths or globs from the volume's root. C(*) stays inside a folder, C(**) crosses.",
            "Only content is left out, only of volumes that are frozen or not mounted. The file itself is there after a restore"
            " but its bytes are undefined.",
            "C(pagefile.sys), C(hiberfil.sys) and C(swapfile.sys) are always left out, and so is, but for its first page, a file"
            " that a running Linux swaps to.",
        ),
        ("image",),
        elements="str",
        default=[],
        in_jobs=True,
    ),
    Setting(
        "trust",
        "dict",
        (
            "Which system is believed where more than one claims a volume, disk or logical volume, by the names that the run's"
            " warning gives, such as C({disk0p1: ntfs, disk1: table, vg0/data: xfs}).",
            "Without it such a volume is imaged whole at each run, with a warning that names both, where their marks lie, and what"
            " to write here.",
            "The keys are a disk (V(disk0)), a partition (V(disk0p1)) or a logical volume (V(group/volume)); the values what it is,"
            " such as V(ntfs), V(ext4) or V(zfs), and V(table) for a disk whose partitions count.",
        ),
        ("image",),
        default={},
        in_jobs=True,
    ),
    Setting(
        "snapshot",
        "str",
        (
            "What to do about volumes in use. V(required) refuses a mounted volume that can't be frozen; V(preferred) and V(none)"
            " read it while it changes, with a warning.",
            "V(required) fails before anything is written. An image of a volume that was read while it changed says so.",
        ),
        ("image",),
        choices=("required", "preferred", "none"),
        default="required",
        in_jobs=True,
    ),
    Setting(
        "limit_io_rate",
        "float",
        (
            "MB/s (10^6 bytes) sent to the storage at most; V(0) is no limit.",
            "Fractions are allowed, such as V(2.5).",
        ),
        ("image", "copy"),
        default=0,
        in_jobs=True,
        unit="MB/s",
        minimum=0,
    ),
    Setting(
        "limit_read_rate",
        "str",
        (
            "MB/s (10^6 bytes) read from the device's disks at most, V(0) for no limit; V(auto) slows down when the disk answers"
            " more slowly than it did.",
        ),
        ("image",),
        default="auto",
        in_jobs=True,
        unit="MB/s",
        minimum=0,
    ),
    Setting(
        "compare",
        "str",
        ("Whether the device's information is compared with that of the previous image.",),
        ("image",),
        choices=("previous", "none"),
        default="previous",
        in_jobs=True,
    ),
    Setting(
        "compression_level",
        "int",
        (
            "Level of Zstandard compression, from 1 (fast) to 19; 3 stores about 3 % less for a fifth more processor time.",
        ),
        ("image",),
        default=1,
        in_jobs=True,
        minimum=1,
        maximum=19,
    ),
)

ROLLOVER: Tuple[Setting, ...] = (
    Setting(
        "keep",
        "int",
        (
            "How many images of each job remain, at least 1.",
            "Pinned and archived ones do not count and stay.",
            "The last image of a disk or volume that the newest image does not hold stays as well, until O(forget_disks) lists it.",
        ),
        ("image", "rollover"),
        default=7,
        in_jobs=True,
        minimum=1,
    ),
    Setting(
        "forget_jobs",
        "list",
        (
            "Jobs that are not defined any more and whose images are deleted, whatever O(keep) says; an empty name is the default"
            " job.",
            "Pinned images stay, and so does the only image that is left.",
        ),
        ("image", "rollover"),
        elements="str",
        default=[],
    ),
    Setting(
        "forget_disks",
        "list",
        (
            "Ids of disks or volumes, as warnings name them, that are gone for good; their last image is not kept any longer.",
            "It counts like any other then.",
        ),
        ("image", "rollover"),
        elements="str",
        default=[],
    ),
    Setting(
        "remove_damaged",
        "list",
        (
            "Names of images that can't be read any more and are deleted; an image that can be read is refused.",
            "What such an image needs stays till then, so the storage grows.",
        ),
        ("rollover",),
        elements="str",
        default=[],
    ),
)
