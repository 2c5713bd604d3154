# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A login that was refused is remembered for the play, without its password."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.refused_logins import RefusedLogins


def test_one_account_of_one_device_is_remembered(tmp_path: Path) -> None:
    RefusedLogins(str(tmp_path)).add("pc-1", 445, "PC-1\\Service")
    other = RefusedLogins(str(tmp_path))  # of another worker
    assert other.has("PC-1", 445, "pc-1\\service")
    assert not other.has("pc-2", 445, "PC-1\\Service")
    assert not other.has("pc-1", 446, "PC-1\\Service")
    assert not other.has("pc-1", 445, "PC-1\\Other")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b""]
