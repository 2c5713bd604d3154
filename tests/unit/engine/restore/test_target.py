# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target is written to by one restore at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.errors import RestoreTargetBusy
from engine.restore.target import Target


def test_two_restores_into_one_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    first, second = Target(str(path)), Target(str(path))
    first.open_for_writing(1 << 20)
    with pytest.raises(RestoreTargetBusy, match="another restore writes to it"):
        second.open_for_writing(1 << 20)
    first.close()
    second.open_for_writing(1 << 20)
    second.close()
    assert path.stat().st_size == 1 << 20
