# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Days pass on a storage: the trash is aged by the storage's clock as well as by that of the host that rolls over."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

DAY = 24 * 3600


def pass_time(folder: Path, seconds: float) -> None:
    """Everything in ``folder`` was written ``seconds`` earlier, which is what it looks like when its server's clock goes on."""
    for path in [folder, *folder.rglob("*")]:
        with contextlib.suppress(FileNotFoundError):
            found = path.stat()
            os.utime(path, (max(0.0, found.st_atime - seconds), max(0.0, found.st_mtime - seconds)))
