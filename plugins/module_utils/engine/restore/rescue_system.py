# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this machine runs a rescue system, which leaves no trace in the firmware's choice of what starts next.

A root in memory or a union file system is not enough: containers have such roots, and so have machines that work from a live
system every day. The system must not be a container, and it must run from memory alone, or be a live system that was
started from a removable medium. Everything else is not known to be a rescue system. Sources: systemd's container interface;
live-boot(7), dracut.cmdline(7), casper(7), mkinitcpio-archiso; the kernel's ``block/<disk>/removable``.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from ..host.mountinfo import Mount, read_mounts
from ..host.stack import file_text, first_line

_CONTAINER_FILES = ("run/systemd/container", "run/.containerenv", ".dockerenv", "run/host/container-manager")
_MEMORY = frozenset(["rootfs", "tmpfs", "ramfs"])
_UNION = frozenset(["overlay", "aufs"])
_READ_ONLY = frozenset(["squashfs", "iso9660", "erofs"])
_LIVE_POINTS = (
    "/run/live/medium",
    "/lib/live/mount/medium",
    "/run/initramfs/live",
    "/run/archiso/bootmnt",
    "/cdrom",
    "/run/media/cdrom",
)
_LIVE_WORDS = ("boot=live", "boot=casper", "rd.live.image", "root=live:", "archisobasedir=", "misobasedir=")
_MOST_BYTES = 64 << 10


class System(NamedTuple):
    """``reason`` says what the decision rests on, as part of a sentence."""

    is_rescue: bool
    reason: str
    is_doubtful: bool = False  # it may be one, but nothing proves it


def running_system(root: str = "/") -> System:
    """Look at the mounts of process 1, the kernel's command line and the medium of a live system."""
    if _is_container(root):
        return System(False, "this program runs in a container", True)
    mounts = read_mounts(root, "1")
    base = next((one for one in reversed(mounts) if one.point == "/"), None)
    if base is None or not base.kind:
        return System(False, "the root file system of this machine is unknown", True)
    kind = base.kind
    if kind in _READ_ONLY:
        return _by_medium(root, base)
    command_line = file_text(os.path.join(root, "proc/cmdline"), _MOST_BYTES)
    if any(word in command_line for word in _LIVE_WORDS) and kind in _UNION | _MEMORY:
        media = [one for one in mounts if one.point in _LIVE_POINTS]
        if media:
            return _by_medium(root, media[-1])
        return System(False, "this machine runs a live system whose medium is unknown", True)
    if kind in _MEMORY:
        return System(True, "this machine runs a system from memory")
    if kind in _UNION:
        return System(False, "this machine runs a system on an overlay, which may be an installed one", True)
    return System(False, "this machine runs an installed system")


def _is_container(root: str) -> bool:
    if any(os.path.exists(os.path.join(root, name)) for name in _CONTAINER_FILES):
        return True
    environment = file_text(os.path.join(root, "proc/1/environ"), _MOST_BYTES)
    return any(one.startswith("container=") for one in environment.split("\0"))


def _by_medium(root: str, medium: Mount) -> System:
    """A live system that was started from a stick or a disc is a rescue system; from a fixed disk it may be the machine's own."""
    name = os.path.basename(os.path.realpath(medium.source)) if medium.source.startswith("/dev/") else ""
    if name.startswith("sr") or (name and _is_removable(root, name)):
        return System(True, "this machine runs a live system from the removable medium %s" % medium.source)
    where = medium.source if name else "a medium that is not a disk"
    return System(False, "this machine runs a live system from %s, which is not a removable medium" % where, True)


def _is_removable(root: str, name: str) -> bool:
    """Whether the disk says that its medium can be removed, or is connected by USB."""
    place = os.path.realpath(os.path.join(root, "sys/class/block", name))
    folders = [place, os.path.dirname(place)] if os.path.exists(os.path.join(place, "partition")) else [place]
    if any(first_line(os.path.join(one, "removable")) == "1" for one in folders):
        return True
    return any(part.startswith("usb") for part in place.split(os.sep))
