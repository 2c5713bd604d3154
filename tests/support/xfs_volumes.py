# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XFS volumes that mkfs.xfs fills by itself, for kinds that no kernel mounts any more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List

from support.filled import empty, run

# mkfs.xfs makes volumes and logs as small as tests need them only for the file system's own tests, known by these.
SMALL = {**os.environ, "TEST_DIR": "/", "TEST_DEV": "/", "QA_CHECK_FS": "/"}


def make_from_tree(volume: Path, tree: Path, prototype: Path, size_bytes: int, *options: str) -> None:
    """Let mkfs.xfs copy a tree. Its prototype files know no spaces in names."""
    lines: List[str] = []
    _describe(tree, lines)
    prototype.write_text("\n".join(["none", "0 0", "d--755 0 0", *lines, "$", ""]), encoding="utf-8")
    run("mkfs.xfs", "-q", "-f", *options, "-p", prototype, empty(volume, size_bytes), env=SMALL)


def _describe(folder: Path, lines: List[str]) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            lines.append("%s d--755 0 0" % path.name)
            _describe(path, lines)
            lines.append("$")
        else:
            lines.append("%s ---644 0 0 %s" % (path.name, path))
