# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device that can't have the agent is refused before anything is copied there."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    InstallationError,
    WindowsFileUnfit,
    WindowsRuntimeMissing,
    WindowsSpaceShort,
    WindowsUpdateMissing,
    WindowsVersionUnfit,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.server_service import ServerVersion
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.installing import ShareInstaller
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.preflight import check_device
from support.windows.folder_share import FolderShare, SmallBundle
from support.windows.forwarder import forwarding_library

NEEDED_BYTES = 40 << 20


def share_of(folder: Path, exports: List[str]) -> FolderShare:
    folder.mkdir(exist_ok=True)
    made = FolderShare(folder)
    library = forwarding_library("kernel32.dll", dict.fromkeys(["CloseHandle", *exports], "ntdll.x"))
    made.system_files = {"System32\\kernel32.dll": library, "System32\\ucrtbase.dll": b"MZ"}
    return made


def ask(share: FolderShare, platform: str = "windows-7-amd64") -> None:
    check_device(share, platform, NEEDED_BYTES)  # type: ignore[arg-type]


def test_a_device_in_order_and_one_that_shows_nothing(tmp_path: Path) -> None:
    share = share_of(tmp_path, ["AddDllDirectory"])
    ask(share)
    share.windows = ServerVersion(10, 0)
    ask(share, "windows-amd64")
    share.system_files = {}
    share.unused_bytes = 0
    ask(share)


def test_each_refusal(tmp_path: Path) -> None:
    share = share_of(tmp_path, [])
    with pytest.raises(WindowsUpdateMissing):
        ask(share)
    share = share_of(tmp_path / "2", ["AddDllDirectory"])
    with pytest.raises(WindowsVersionUnfit):
        ask(share, "windows-amd64")
    share.unused_bytes = NEEDED_BYTES
    with pytest.raises(WindowsSpaceShort):
        ask(share)
    del share.system_files["System32\\ucrtbase.dll"]
    with pytest.raises(WindowsRuntimeMissing):
        ask(share)
    share.system_files["System32\\kernel32.dll"] = b"MZ"
    with pytest.raises(WindowsFileUnfit):
        ask(share)


def test_nothing_is_copied_to_a_device_that_is_refused(tmp_path: Path) -> None:
    share = share_of(tmp_path, [])
    share.make_base()
    with pytest.raises(InstallationError):
        ShareInstaller(share).copy(SmallBundle())  # type: ignore[arg-type]
    assert share.written == []
