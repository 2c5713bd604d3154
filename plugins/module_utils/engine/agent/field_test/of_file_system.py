# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question to the engine's own parser: a volume as this Windows wrote it, against what Windows says of the same volume."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import Optional, Tuple

from ...disk.claims import judge
from ...disk.filesystems.contract import FileTree, VolumeState
from ...disk.hibernation import always_left_out
from ...disk.raw_source import RawSource
from ...disk.source import BlockSource
from ...host import windows_volumes as volumes
from ...snapshot.vss.shadow_set import ShadowSet
from .check import Answer, Check, at_least, at_most, equals

# Files of every Windows that no program writes to, below the root of its volume.
FILES = (
    r"Windows\System32\kernel32.dll",
    r"Windows\System32\ntdll.dll",
    r"Windows\System32\drivers\ntfs.sys",
    r"Windows\explorer.exe",
    r"Windows\Fonts\arial.ttf",
)
_MOST_BYTES = 64 << 20  # of a file


def used_by_windows(point: str) -> int:
    """The bytes in use on a volume, as Windows counts them."""
    return shutil.disk_usage(point).used


def _file_system() -> Answer:
    volume = volumes.volume_of(volumes.windows_folder()) + "\\"
    point = volumes.mount_points(volume.rstrip("\\"))[0]
    made = ShadowSet([volume])
    try:
        told = used_by_windows(point)
        with contextlib.closing(RawSource(made.shadows[volume].device)) as source:
            return _compared(source, point, told)
    finally:
        made.close()


def _compared(source: BlockSource, point: str, told: int) -> Answer:
    verdict = judge(source)
    if verdict.file_system is None:
        return {"kind": verdict.kind, "reason": verdict.reason}
    used = verdict.file_system.used(VolumeState.FROZEN)
    answer: Answer = {
        "kind": verdict.kind,
        "is_trusted": used.trusted,
        "reason": used.reason,
        "used_mib": used.extents.total_bytes >> 20,
        "percent_apart": abs(used.extents.total_bytes - told) * 100 // source.size_bytes,
    }
    tree = verdict.file_system.tree()
    if tree is None:
        return dict(answer, names_in_the_root=0)
    equal = [_is_equal(source, tree, name, point) for name in FILES]
    return dict(
        answer,
        names_in_the_root=sum(1 for dummy in tree.names(tree.root())),
        kinds_of_files_left_out=len(always_left_out(verdict.file_system, tree)),
        files_equal=sum(one is True for one in equal),
        files_different=sum(one is False for one in equal),
    )


def _is_equal(source: BlockSource, tree: FileTree, name: str, point: str) -> Optional[bool]:
    """Whether a file has the same bytes by our parser and by Windows. It is not known of a missing file, nor of one without plain ranges."""
    node: Optional[int] = tree.root()
    for part in name.split("\\"):
        if node is None:
            return None
        folded = tree.fold(part)
        node = next((one.node for one in tree.children(node) if tree.fold(one.name) == folded), None)
    ranges = tree.ranges(node) if node is not None else None
    try:
        with open(os.path.join(point, *name.split("\\")), "rb") as file:
            wanted = file.read(_MOST_BYTES)
    except OSError:
        return None
    if ranges is None:
        return None
    found = b"".join(source.read(start, length) for start, length in ranges)
    return found[: len(wanted)] == wanted


CHECKS: Tuple[Check, ...] = (
    Check(
        "shadow_file_system",
        _file_system,
        ("an NTFS volume as this Windows writes it, read from HarddiskVolumeShadowCopyN",),
        (
            equals("kind", "ntfs"),
            equals("is_trusted", True),
            at_most("percent_apart", 2),
            at_least("names_in_the_root", 5),
            at_least("kinds_of_files_left_out", 1),
            at_least("files_equal", 1),
            equals("files_different", 0),
        ),
        'in no page: the structures are those of "libfsntfs" and of the NTFS drivers of Linux',
        ("disk/filesystems/ntfs.py", "disk/filesystems/ntfs_tree.py", "disk/exclusions.py"),
        "Images of this Windows are larger than they need to be, or exclude the wrong bytes.",
        needs_administrator=True,
        makes_shadow_copy=True,
        seconds=1800.0,
        wine=("",),
    ),
)
