# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools of this machine that resize file systems: which are needed, which are missing, and running one."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import List, NamedTuple, Sequence

from ...errors import RestoreToolMissing
from ...host.linux_loop import can_attach
from ...tame import one_line
from .volume import Volume

_FOLDERS = ("/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin")
PACKAGES = {
    "e2fsck": "e2fsprogs",
    "resize2fs": "e2fsprogs",
    "ntfsresize": "ntfs-3g",
    "xfs_growfs": "xfsprogs",
    "mount": "mount",
    "umount": "mount",
}
LOOP = "loop devices"
_MOST_SAID = 300


class Ran(NamedTuple):
    """How a tool ended."""

    status: int
    output: str

    @property
    def last_words(self) -> str:
        """The last lines of what it said, in one."""
        lines = [line.strip() for line in self.output.replace("\r", "\n").splitlines() if line.strip()]
        return one_line("; ".join(lines[-3:]))[-_MOST_SAID:].rstrip(".") or "it said nothing"


def path_of(tool: str) -> str:
    """The path of a tool, "" where there is none."""
    return shutil.which(tool, path=os.pathsep.join(_FOLDERS)) or ""


def tools_for(one: Volume, has_own_file: bool) -> List[str]:
    """The tools that resize a volume.

    Part of a disk or file they get as a loop device. resize2fs takes an offset in a file as well, but cuts the file off at the
    size of the volume.
    """
    if one.is_ext:
        return ["e2fsck", "resize2fs"] + ([] if has_own_file else [LOOP])
    if one.is_ntfs:
        return ["ntfsresize", LOOP]
    return ["xfs_growfs", "mount", "umount", LOOP]


def check_tools(disk: str, tools: Sequence[str]) -> None:
    """Before the first byte: is everything there?

    :raises RestoreToolMissing: naming what is missing.
    """
    missing = [tool for tool in dict.fromkeys(tools) if not (can_attach() if tool == LOOP else path_of(tool))]
    if not missing:
        return
    packages = sorted({PACKAGES[tool] for tool in missing if tool in PACKAGES})
    reason = "they are part of the packages %s" % ", ".join(packages) if packages else ""
    if LOOP in missing:
        words = "loop devices need the user root and /dev/loop-control"
        reason = "%s; %s" % (reason, words) if reason else words
    raise RestoreToolMissing(disk=disk, tools=", ".join(missing), reason=reason)


def run_tool(tool: str, *arguments: str, keep_open: Sequence[int] = ()) -> Ran:
    """Run a tool to its end, however long it takes; ``keep_open`` are descriptors it holds (with our lock) if we are killed."""
    done = subprocess.run(  # pylint: disable=ansible-bad-function
        [path_of(tool) or tool, *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PATH": os.pathsep.join(_FOLDERS), "LC_ALL": "C"},
        start_new_session=True,
        pass_fds=tuple(keep_open),
    )
    return Ran(done.returncode, done.stdout.decode("utf-8", "replace"))
