# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows devices, each for one file of tests: a start costs seconds."""

from __future__ import annotations

from typing import Iterator

import pytest
from support.whole_disks import Part, WholeDisk, build_disk
from support.windows.device import WindowsDevice
from support.windows.kinds import WINDOWS_7, WINDOWS_10


@pytest.fixture(scope="package")
def disk(tmp_path_factory: pytest.TempPathFactory) -> WholeDisk:
    """A disk with an EFI partition and a partition of Windows."""
    parts = [Part("esp", "fat", 40), Part("windows", "ntfs", 48)]
    return build_disk(tmp_path_factory.mktemp("disk"), "gpt", parts, files=120)


@pytest.fixture(scope="module", params=[WINDOWS_7, WINDOWS_10], ids=lambda kind: str(kind.name))
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WindowsDevice]:
    """A device of each age."""
    with WindowsDevice(tmp_path_factory.mktemp("device") / "prefix", request.param) as made:
        yield made


@pytest.fixture(scope="module")
def old_device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WindowsDevice]:
    """The device with the oldest Python."""
    with WindowsDevice(tmp_path_factory.mktemp("device") / "prefix", WINDOWS_7) as made:
        yield made


@pytest.fixture(
    scope="module",
    params=[WINDOWS_7, pytest.param(WINDOWS_10, marks=pytest.mark.long)],
    ids=lambda kind: str(kind.name),
)
def one_device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WindowsDevice]:
    """A device of each age, for slow tests: make test has time for one."""
    with WindowsDevice(tmp_path_factory.mktemp("device") / "prefix", request.param) as made:
        yield made
