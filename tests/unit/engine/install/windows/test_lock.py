# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of the bundles for Windows covers what is promised, and names no package that Windows 7 can't load."""

from __future__ import annotations

import re

from engine.install.windows.lock import LOCK, windows_platform, windows_platforms
from engine.install.windows.pe import AMD64, ARM64, X86


def test_the_lock_covers_what_is_promised() -> None:
    machines = {name: windows_platform(name).machine for name in windows_platforms()}
    assert machines == {
        "windows-7-amd64": AMD64,
        "windows-7-x86": X86,
        "windows-amd64": AMD64,
        "windows-x86": X86,
        "windows-arm64": ARM64,
    }
    embedded = {name for name in windows_platforms() if windows_platform(name).embedded}
    assert embedded == {"windows-7-amd64", "windows-amd64"}


def test_every_platform_has_the_packages_of_the_engine_for_its_python() -> None:
    for name in windows_platforms():
        platform = windows_platform(name)
        names = [wheel.name for wheel in platform.packages.wheels]
        assert {"cryptography", "blake3", "zstandard", "paramiko", "smbprotocol", "sspilib"} <= set(names)
        assert len(names) == len(set(names))
        for wheel in platform.packages.wheels:
            assert re.fullmatch(r"[0-9a-f]{64}", wheel.sha256)
            abi, tags = wheel.file_name[:-4].rsplit("-", 2)[1:]
            assert abi in ("none", "abi3", platform.packages.abi), wheel.file_name
            assert tags in ("any", platform.packages.tags[0]), wheel.file_name
        assert platform.stem == ("python38" if platform.for_windows_7 else "python313")


def test_the_last_packages_for_windows_7() -> None:
    for name in ("windows-7-amd64", "windows-7-x86"):
        versions = {wheel.name: wheel.version for wheel in windows_platform(name).packages.wheels}
        assert (versions["cryptography"], versions["blake3"], versions["bcrypt"]) == ("42.0.8", "0.4.1", "4.1.2")


def test_the_lock_names_no_server() -> None:
    assert "://" not in LOCK.read_text(encoding="utf-8")
