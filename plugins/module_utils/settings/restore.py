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
        (
            "The image: V(latest), the name of an image, or a version of the archive such as V(v3).",
            "The versions are listed by M(plantops.imaging.image_info) and by the archive's own verification.",
        ),
        ("verify", "copy", "archive", "restore"),
        default="latest",
    ),
    Setting(
        "verify_level",
        "str",
        (
            "The level of verification: V(quick), V(storage) or V(full).",
            "V(quick) compares names and sizes.",
            "V(storage) hashes all stored data and needs no password.",
            "V(full) also runs the restore without writing.",
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
            "The target of each imaged disk, such as C({disk0: /dev/sdb}).",
            (
                "The keys are V(disk0), V(disk1) and so on, as listed by M(plantops.imaging.image_info). The values "
                "are paths of disks, or of files that are created or extended."
            ),
            (
                "On a running Windows a disk (V(\\\\\\\\.\\\\PhysicalDrive1)) can be a target if it holds no system and no volume that "
                "is in use; restore its other disks with a rescue medium."
            ),
            (
                "V(auto) as a value stands for the disk of the device that certainly is the imaged one: by its serial "
                "number, else by its partition table, else by size and model. C({all: auto}) does so for each disk of the "
                "image. Where two disks may be meant, the restore is refused. A disk that the device had and that the image does not "
                "hold is not taken for one of the same model."
            ),
        ),
        ("restore",),
        required=True,
        option="map",
    ),
    Setting(
        "restore_partitions",
        "list",
        (
            (
                "The partitions that are restored, such as V(disk0p2), or V(2) if one disk is restored. The others stay as "
                "they are on the target."
            ),
            (
                "If the partition table of the target has the same partitions as the image, it stays unchanged. Otherwise "
                "it is replaced, and O(replace_table) has to name the partitions that this deletes."
            ),
            "By default all partitions that the image holds.",
        ),
        ("restore",),
        elements="str",
        default=[],
        option="partitions",
        default_words="all",
    ),
    Setting(
        "restore_overwrite",
        "bool",
        ("Confirms that a target that contains data is overwritten.",),
        ("restore",),
        default=False,
        option="overwrite",
    ),
    Setting(
        "restore_replace_table",
        "list",
        (
            (
                "Confirms that these partitions of the target are deleted, because only some volumes are restored "
                "and the partition table of the image differs from that of the target. List each by its number, as the "
                "error message shows it, or by a name that no other partition has."
            ),
            "Use the form V(disk0p3) when several disks are restored.",
            "V(disk1) confirms that a target that is disk1 of the image is overwritten with another disk.",
            (
                "An id such as V(serial:S3Z1NB0K) confirms it for a disk with data that the device had when the image was made, and "
                "that the image does not hold; the error message shows the id."
            ),
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
            (
                "Confirms that the intact data of a damaged image is restored. Lost data becomes zeros, and C(damaged) "
                "in the result lists the files."
            ),
            "RV(damaged) lists the lost ranges and the damaged files. Such a restored target is incomplete.",
            (
                "An image that lost its manifest or the root of its index can't be restored. A lost segment of the "
                "index costs 268 MB."
            ),
        ),
        ("restore",),
        default=False,
        option="damaged",
    ),
    Setting(
        "restore_proof",
        "str",
        (
            "When the image is verified: V(first) before the first byte is written, V(while_writing) each byte before "
            "it is written.",
            (
                "V(while_writing) fetches an image from a server once instead of twice. It verifies the manifest, the "
                "whole index, all sizes and a sample of the data first. The target stays not bootable until the last "
                "byte is verified, but damage that is found late costs the data that the target had."
            ),
            (
                "V(auto) chooses V(while_writing) for an SFTP or UNC storage and targets without data, else V(first). "
                "A directory and a damaged image are always verified first."
            ),
        ),
        ("restore",),
        choices=("auto", "first", "while_writing"),
        default="auto",
        option="proof",
    ),
    Setting(
        "restore_grow",
        "str",
        (
            (
                "The partition that grows on a larger disk, with its file system: V(last), V(system) or the number of a "
                "partition. Partitions behind it move to the end of the disk."
            ),
            (
                "The device needs the tools of the file system: C(resize2fs), C(ntfsresize) or C(xfs_growfs). The plan "
                "names those that are missing before anything is written."
            ),
        ),
        ("restore",),
        default="",
        default_words="none",
        option="grow",
    ),
    Setting(
        "restore_shrink",
        "bool",
        (
            (
                "Confirms that the image is fitted onto a smaller disk: partitions move, and ext4 and NTFS volumes are "
                "shrunk where they have room."
            ),
            "A disk that can't be shrunk far enough is refused with the numbers, before anything is written.",
        ),
        ("restore",),
        default=False,
        option="shrink",
    ),
    Setting(
        "restore_scratch",
        "path",
        (
            (
                "The directory on the device where volumes are shrunk before the target is written. The plan names the "
                "space that it needs."
            ),
            "By default the directory of a target that is a file, or C(/var/tmp), if it is on a disk with enough room.",
        ),
        ("restore",),
        option="scratch",
        default_words="none",
    ),
    Setting(
        "restore_identity",
        "str",
        (
            (
                "V(new) gives the restored disk its own disk GUID or signature and partition GUIDs, for a clone that runs "
                "beside the original. The boot configuration of Windows is changed with them."
            ),
            (
                "The plan names every file and file system that is changed, and what keeps its ids. A disk on which something "
                "names the old ids that can't be changed is refused before anything is written."
            ),
        ),
        ("restore",),
        choices=("keep", "new"),
        default="keep",
        option="identity",
    ),
    Setting(
        "restore_read_back",
        "bool",
        (
            (
                "Reads each target back after it was written, and compares it with the image, before it becomes "
                "bootable. A disk, cable or controller that loses data is an error then, and not a restored disk."
            ),
            "This takes the time of reading the data once; nothing is fetched from the storage again.",
        ),
        ("restore",),
        default=True,
        option="read_back",
    ),
    Setting(
        "restore_boot_fallback",
        "str",
        (
            (
                "Adds V(EFI/BOOT/BOOTX64.EFI) to the EFI partition, by which a machine without a boot entry starts the disk: "
                "V(no), V(yes) or the path of a boot loader, such as V(EFI/debian/shimx64.efi)."
            ),
            (
                "V(yes) copies the boot loader that is on the partition, with the files that it needs beside it. If there are "
                "several, name one. An existing file is not overwritten."
            ),
            "The plan names the files. A partition that is damaged or too full is refused before anything is written.",
        ),
        ("restore",),
        default="no",
        option="boot_fallback",
    ),
    Setting(
        "restore_free_space",
        "str",
        (
            "The free space of a target, which is everything that the image does not hold of the disk.",
            "V(keep) leaves it as it is. V(discard) gives it back to an SSD, a thin volume or a sparse file.",
            "V(zero) overwrites it with zeros, so that nothing of the former content of the target stays.",
            (
                "Only when a whole disk is restored. Gaps between partitions in which the image holds bytes stay as they are, "
                "and the plan says how much."
            ),
        ),
        ("restore",),
        choices=("keep", "discard", "zero"),
        default="keep",
        option="free_space",
    ),
    Setting(
        "restore_many",
        "bool",
        (
            "Confirms that a play restores on more than one host.",
            (
                "Without it a play with several hosts is refused, also in batches or with C(run_once), because a "
                "forgotten C(--limit) would overwrite the disks of a whole plant."
            ),
            "Not needed with O(run), which does not start a restore.",
        ),
        ("restore",),
        default=False,
        option="many",
    ),
)
