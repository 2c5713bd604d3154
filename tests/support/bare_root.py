# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recovery program inside of a root of another system: python3 and nothing else, no network, read-only but for the target."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .imaging import PASSWORD
from .recovery import Ran

_SCRIPT = """
set -e
root=$1 stick=$2 target=$3 devices=$4
shift 4
mount --bind "$root" "$root"
mount -t tmpfs none "$root/mnt"
mkdir "$root/mnt/stick" "$root/mnt/target"
mount --bind "$stick" "$root/mnt/stick"
mount -o remount,bind,ro,noexec "$root/mnt/stick"
mount --bind "$target" "$root/mnt/target"
mount -t proc proc "$root/proc"
if [ "$devices" ]; then mount --rbind /dev "$root/dev"; fi
mount -o remount,bind,ro "$root"
exec chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin python3 "$@"
"""


def inside(root: Path, stick: Path, target: Path, *arguments: str, devices: bool = False) -> Ran:
    """Run the program in the root, in name spaces of its own: no network, no mounts that stay.

    :param devices: with this machine's devices, which growing and shrinking need.
    """
    words = ["-I", "-S", "/mnt/stick/plantops-recovery.pyz", *arguments, "--password-fd", "0"]
    command = [
        "unshare",
        "--mount",
        "--net",
        "/bin/sh",
        "-c",
        _SCRIPT,
        "sh",
        str(root),
        str(stick),
        str(target),
        "devices" if devices else "",
        *words,
    ]
    done = subprocess.run(command, input=PASSWORD + "\n", capture_output=True, text=True, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)
