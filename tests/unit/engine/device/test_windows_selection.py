# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in imaging_drives on Windows. What needs Windows itself is tested under Windows Python."""

from __future__ import annotations

import pytest
from engine.device import windows_selection
from engine.device.windows_selection import choose
from engine.errors import DiskNotFound, DriveUnknown, NoDriveChosen


@pytest.fixture(autouse=True)
def disks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_selection, "disk_names", lambda: [r"\\.\PhysicalDrive0"])


@pytest.mark.parametrize("name", ["C:", "C:\\", r"\\server\share\x.raw", "disk.raw", "/", "serial:1", ""])
def test_names_of_nothing_here(name: str) -> None:
    with pytest.raises(DriveUnknown) as caught:
        choose([name])
    assert caught.value.fields["disks"] == r"\\.\PhysicalDrive0"


@pytest.mark.parametrize("name", ["all", "system"])
def test_words(name: str) -> None:
    with pytest.raises(NoDriveChosen):
        choose([name])


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(DiskNotFound):
        choose([r"C:\none.raw"])


def test_one_disk_by_two_names_is_opened_once() -> None:
    chosen = choose([r"\\.\PhysicalDrive0", "//./physicaldrive0", "\\\\.\\C:\\"])
    assert [one.path for one in chosen] == [r"\\.\PhysicalDrive0", r"\\.\C:"]
    assert chosen[0].entries == (r"\\.\PhysicalDrive0", "//./physicaldrive0")
