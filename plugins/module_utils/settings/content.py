# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of what an image holds, how it is made, and how many images remain."""

from __future__ import annotations

from typing import Tuple

from .schedule import TIME
from .setting import Setting

CONTENT: Tuple[Setting, ...] = (
    Setting(
        "operating_system",
        "str",
        (
            (
                "The kind of operating system that the device must have. A run on a Windows of another kind ends before "
                "anything is read or frozen; on Linux it is as declared."
            ),
            "Without it a device of either kind is imaged.",
        ),
        ("image",),
        choices=("workstation", "server"),
    ),
    Setting(
        "drives",
        "raw",
        (
            (
                "The disks to image. V(all) selects every internal fixed disk, V(system) the disks with the operating "
                "system. A list selects mount points, absolute paths of disks, volumes or image files, and stable disk "
                "ids (C(serial:...), C(wwn:...), C(gpt:...), C(mbr:...))."
            ),
            (
                "On Windows a list also selects letters (C(C:)) and disks by their number (C(disk0)), and V(system) includes "
                "the disk that Windows starts from. Numbers are those of Windows; an image numbers its own disks in their order."
            ),
            (
                "V(all) skips removable disks, network disks, and the disk that contains a directory storage of this "
                "machine."
            ),
            (
                "When the list selects a volume, the image also includes the structures of its disk and the small boot "
                "partitions."
            ),
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
            (
                "Files whose content is excluded, as paths or globs from the root of the volume. C(*) matches within a "
                "folder, C(**) across folders."
            ),
            (
                "Only the content is excluded, and only on volumes that are frozen or not mounted. After a restore the "
                "file exists, but its content is undefined."
            ),
            (
                "C(pagefile.sys), C(hiberfil.sys) and C(swapfile.sys) are always excluded. An active Linux swap file "
                "is excluded except for its first page."
            ),
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
            (
                "The structure to trust on a volume, disk or logical volume that contains marks of more than one, such "
                "as C({disk0p1: ntfs, disk1: table, vg0/data: xfs}). The warning of the run lists the names."
            ),
            (
                "Without this setting each run images all of such a volume, with a warning that lists the structures, "
                "the positions of their marks, and the entry to set."
            ),
            (
                "A key is a disk (V(disk0)), a partition (V(disk0p1)) or a logical volume (V(group/volume)). A value "
                "is the structure to trust, such as V(ntfs), V(ext4) or V(zfs), or V(table) for the partition table of "
                "a disk."
            ),
        ),
        ("image",),
        default={},
        in_jobs=True,
    ),
    Setting(
        "snapshot",
        "str",
        (
            (
                "How to image volumes in use. V(required) refuses a mounted volume that can't be frozen; V(preferred) "
                "and V(none) read it while it changes, with a warning."
            ),
            (
                "V(required) fails before the run writes any data. The image records whether a volume was read while "
                "it changed."
            ),
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
            "Maximum rate of uploads to the storage in MB/s (10^6 bytes); V(0) means unlimited.",
            "Fractions are allowed, such as V(2.5).",
        ),
        ("image", "copy", "archive"),
        default=0,
        in_jobs=True,
        unit="MB/s",
        minimum=0,
        maximum=100_000,
    ),
    Setting(
        "limit_read_rate",
        "str",
        (
            (
                "Maximum rate of reads from the device's disks in MB/s (10^6 bytes); V(0) means unlimited. V(auto) "
                "slows down when the latency of the disk rises."
            ),
        ),
        ("image",),
        default="auto",
        in_jobs=True,
        unit="MB/s",
        minimum=0,
        maximum=100_000,
    ),
    Setting(
        "limit_read_rate_floor",
        "float",
        (
            (
                "If O(limit_read_rate) is V(auto): the rate in MB/s (10^6 bytes) that a run does not go below while "
                "other programs use the disk or the processors. A run that is given less processor time stays below it."
            ),
            (
                "Raise it if a run on a busy device takes longer than it may. Values above 8 also raise the rate on a "
                "busy disk."
            ),
        ),
        ("image",),
        default=2,
        in_jobs=True,
        unit="MB/s",
        minimum=0,
        maximum=1000,
    ),
    Setting(
        "window",
        "str",
        (
            (
                "The hours in which images are to be made, on the clock of the controller, such as C(22:00-05:00). A run "
                "that will take longer warns, with the reason and the setting that changes it."
            ),
            "The run continues after the end. A run that starts outside of these hours warns if it takes longer than a day.",
        ),
        ("image",),
        default="",
        default_words="none",
        in_jobs=True,
        pattern="(%s-%s)?" % (TIME, TIME),
    ),
    Setting(
        "compare",
        "str",
        (
            "The image whose device document the run compares with the device.",
            (
                "V(previous) is the previous image of the same job, V(baseline) its newest pinned image. V(none) does not "
                "compare."
            ),
        ),
        ("image",),
        choices=("previous", "baseline", "none"),
        default="previous",
        in_jobs=True,
    ),
    Setting(
        "compare_ignore",
        "list",
        (
            (
                "Differences that a comparison of device documents does not report, as globs of C(section/key), such as "
                "C(software/linux-image-*). C(*) matches any text."
            ),
        ),
        ("image",),
        elements="str",
        default=[],
        in_jobs=True,
    ),
    Setting(
        "history_repository",
        "str",
        (
            (
                "Absolute path of a Git repository on the operator host that gets the device document of each new image "
                "as a commit. Documents in it are not encrypted."
            ),
        ),
        ("image",),
        default="",
        default_words="none",
        role_only=True,
    ),
    Setting(
        "compression_level",
        "int",
        (
            (
                "Level of Zstandard compression, from 1 (fast) to 19. Level 3 stores about 3 % less and takes a fifth "
                "more processor time."
            ),
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
            "How many images of each job to keep, at least 1.",
            "Pinned and archived images are kept in addition.",
            (
                "The last image of a disk or volume that is missing from the newest image is also kept, until "
                "O(forget_disks) lists it."
            ),
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
            (
                "Jobs that are no longer defined and whose images are deleted regardless of O(keep). An empty name is "
                "the default job."
            ),
            "Pinned images are kept, and so is the only remaining image.",
        ),
        ("image", "rollover"),
        elements="str",
        default=[],
    ),
    Setting(
        "forget_disks",
        "list",
        (
            (
                "Ids of disks or volumes that were removed for good, as the warnings show them. Their last image is no "
                "longer protected."
            ),
            "The rollover then treats it like any other image.",
        ),
        ("image", "rollover"),
        elements="str",
        default=[],
    ),
    Setting(
        "remove_damaged",
        "list",
        (
            "Names of unreadable images to delete. A readable image is refused.",
            "The packs of an unreadable image are kept until then, so the storage grows.",
        ),
        ("rollover",),
        elements="str",
        default=[],
    ),
    Setting(
        "purge_trash",
        "bool",
        (
            "Delete at once what deleted images leave in the trash, which otherwise stays for a day and a successful run.",
            (
                "The risk: a restore, copy or verification in progress of an image that was deleted within the last day "
                "loses its data. Images that exist keep theirs. Refused while a run writes to the device's directory."
            ),
        ),
        ("rollover", "retire"),
        default=False,
    ),
)
