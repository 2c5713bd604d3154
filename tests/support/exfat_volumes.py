# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exFAT volumes, mounted through exfat-fuse."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterator

from support.filled import detach, run, sync


@contextlib.contextmanager
def mounted(volume: Path, folder: Path, *, read_only: bool = False, sector_bytes: int = 512) -> Iterator[Path]:
    """Mount an exFAT volume through exfat-fuse."""
    folder.mkdir(parents=True, exist_ok=True)
    loop = run("losetup", "-f", "--show", "-b", str(sector_bytes), volume).strip()
    try:
        run("mount.exfat-fuse", "-o", "ro" if read_only else "rw", loop, folder)
        try:
            yield folder
        finally:
            sync(folder)
            run("umount", folder)
    finally:
        detach(loop)
