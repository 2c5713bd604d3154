# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a target may lie. A mistyped ``/dev/sdx`` must not become a file in memory that is called a restored disk."""

from __future__ import annotations

import errno
import os
import stat
import sys
from typing import List, NoReturn

from ..amounts import size
from ..device.disks import find_disks
from ..errors import (
    DiskAccessDenied,
    RestoreOnWindows,
    RestoreTargetInStorage,
    RestoreTargetNotAbsolute,
    RestoreTargetNotFound,
    RestoreTargetNotOnDisk,
)
from ..host.mountinfo import Mount, read_mounts
from ..host.stack import BlockTree
from ..host.windows_devices import disk_names
from ..host.windows_disk_uses import uses_of_disk
from ..host.windows_names import NameKind, kind_of_name

_DEVICES = "/dev"
# File systems of the kernel, or in memory: files there are lost at the next start, or are not stored at all.
_NOT_ON_A_DISK = frozenset(
    ["autofs", "bdev", "binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "cpuset", "debugfs", "devpts"]
    + ["devtmpfs", "efivarfs", "functionfs", "fusectl", "hugetlbfs", "mqueue", "nfsd", "nsfs", "pipefs", "proc"]
    + ["pstore", "ramfs", "resctrl", "rootfs", "rpc_pipefs", "securityfs", "selinuxfs", "smackfs", "sockfs", "sysfs"]
    + ["tmpfs", "tracefs"]
)
_MOST_LISTED = 16
_DENIED = frozenset([errno.EACCES, errno.EPERM])


def refuse_mistyped_name(path: str) -> None:
    """Refuse what can't name a target, wherever this process runs: ``sdb`` would become a file in its working directory.

    :raises RestoreTargetNotAbsolute: for a name that is empty, relative, or not a name to the system.
    """
    reason = ""
    if sys.platform == "win32":
        refuse_disks_of_windows(path)
    if not path.strip():
        reason = "it is empty"
    elif not os.path.isabs(path):
        reason = "it is a relative path"
    elif "\0" in path or any("\ud800" <= character <= "\udfff" for character in path):
        reason = "it contains a character that is not valid in a path"
    if reason:
        raise RestoreTargetNotAbsolute(target=path, reason=reason, disks=_listed())


def refuse_disks_of_windows(path: str) -> None:
    """On Windows a plain file can be a target, by its full name, and a whole disk that nothing uses: which one, its look decides.

    :raises RestoreOnWindows: for a volume or a drive letter. :raises RestoreTargetNotAbsolute:
    """
    kind = kind_of_name(path)
    if kind in (NameKind.VOLUME, NameKind.LETTER):
        raise RestoreOnWindows(target=path, reason="it is a volume, and only whole disks can be targets there")
    if kind not in (NameKind.FILE, NameKind.DISK):
        reason = "it is not the full name of a file on a drive of this device, nor of a disk"
        raise RestoreTargetNotAbsolute(target=path, reason=reason, disks=", ".join(disk_names()) or "none found")


def refuse_missing(path: str, reason: str) -> NoReturn:
    """:raises RestoreTargetNotFound: always, with what the map could name instead."""
    raise RestoreTargetNotFound(path=path, reason=reason, disks=_listed())


def refuse_unreachable(path: str, error: OSError) -> NoReturn:
    """Say why the system does not even tell what ``path`` is.

    :raises DiskAccessDenied: where this user may not look. :raises RestoreTargetNotFound: where it leads nowhere.
    """
    if error.errno in _DENIED:
        raise DiskAccessDenied(path=path, reason=error.strerror) from error
    raise RestoreTargetNotFound(path=path, reason=error.strerror, disks=_listed()) from error


def refuse_file_off_disk(path: str) -> None:
    """Refuse a target that is a plain file, or is to become one, where only block devices can be meant.

    :raises RestoreTargetNotOnDisk: below /dev, and on file systems that are not on a disk.
    """
    reason = why_not_on_disk(path)
    if reason:
        raise RestoreTargetNotOnDisk(target=path, reason=reason, disks=_listed())


def why_not_on_disk(path: str) -> str:
    """Why a plain file at ``path`` would not be on a disk, "" when it would be."""
    if sys.platform == "win32":
        return ""
    real = os.path.realpath(path)
    if (real + "/").startswith(_DEVICES + "/") or os.path.abspath(path).startswith(_DEVICES + "/"):
        return "below %s only a block device can be a restore target" % _DEVICES
    folder = os.path.dirname(real)
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    kind = _kind_of_file_system(folder)
    if kind in _NOT_ON_A_DISK:
        return "%s is on a file system of the type %s, which is not on a disk" % (folder, kind)
    return ""


def disks_here() -> List[str]:
    """The disks of this machine in words, those that may be meant first."""
    disks = sorted(find_disks(BlockTree()), key=lambda disk: (not disk.size_bytes, disk.path))
    words = ["%s (%s%s)" % (one.path, size(one.size_bytes), ", " + one.model if one.model else "") for one in disks]
    return words[:_MOST_LISTED]


def _listed() -> str:
    return ", ".join(disks_here()) or "none found"


def refuse_inside_storage(path: str, storage_folder: str) -> None:
    """Refuse a file target that would replace or join what is stored, whichever of its names it has been given.

    :raises RestoreTargetInStorage: below the storage, also by a mount of a part of it elsewhere or a hard link to its file.
    """
    if sys.platform == "win32":
        refuse_disks_of_windows(path)  # the system fails to resolve their names
        if kind_of_name(path) is NameKind.DISK:
            _refuse_disk_in_use(path, storage_folder)
            return
    real, folder = _comparable(os.path.realpath(path)), _comparable(os.path.realpath(storage_folder))
    mounts = read_mounts()
    is_inside = _is_below(real, folder) or _is_below(_whole_place(real, mounts), _whole_place(folder, mounts))
    if is_inside or _is_linked_below(real, folder):
        raise RestoreTargetInStorage(target=path, storage=storage_folder)


def _refuse_disk_in_use(path: str, storage_folder: str) -> None:
    """:raises RestoreOnWindows: for a disk that is used, also by the storage or this program."""
    folders = [(storage_folder, "the storage"), (os.path.dirname(sys.executable), "the agent")]
    reasons = uses_of_disk(path, folders)
    if reasons:
        raise RestoreOnWindows(target=path, reason="; ".join(reasons))


def _comparable(real: str) -> str:
    """The path with one kind of separator, in lower case where the system ignores the case."""
    return os.path.normcase(real).replace("\\", "/") if sys.platform == "win32" else real


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _whole_place(real: str, mounts: List[Mount]) -> str:
    """Where ``real`` is on its file system, behind the file system's number: the same by whichever mount it is reached."""
    above = [mount for mount in mounts if _is_below(real, mount.point)]
    if not above:
        return real
    # The later of two mounts at one point covers the earlier.
    mount = max(enumerate(above), key=lambda pair: (len(pair[1].point), pair[0]))[1]
    inside = real[len(mount.point.rstrip("/")) :]
    return "%s:%s" % (mount.number, mount.folder.rstrip("/") + inside)


def _is_linked_below(real: str, folder: str) -> bool:
    """Whether a file has another name in ``folder``. Only a file with several names costs the walk."""
    try:
        status = os.stat(real)
    except OSError:
        return False
    if not stat.S_ISREG(status.st_mode) or status.st_nlink < 2:
        return False
    return any(_holds(above, status) for above, dummy_folders, dummy_names in os.walk(folder))


def _holds(folder: str, status: os.stat_result) -> bool:
    try:
        with os.scandir(folder) as found:
            return any(
                one.inode() == status.st_ino and os.path.samestat(one.stat(follow_symlinks=False), status)
                for one in found
            )
    except OSError:
        return False  # what can't be looked into was not listed by the walk either


def _kind_of_file_system(folder: str) -> str:
    """The type of the file system that holds ``folder``, "" where the system does not tell."""
    try:
        number = os.stat(folder).st_dev
    except OSError:
        return ""
    wanted = "%d:%d" % (os.major(number), os.minor(number))
    mounts = read_mounts()
    for mount in mounts:
        if mount.number == wanted:
            return mount.kind
    above = [mount for mount in mounts if (folder + "/").startswith(mount.point.rstrip("/") + "/")]
    return max(above, key=lambda mount: len(mount.point)).kind if above else ""
