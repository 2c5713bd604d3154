# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that firmware and system give this machine (Linux)."""

from __future__ import annotations


def smbios_uuid(root: str = "/") -> str:
    """The UUID of SMBIOS as the firmware says it; "" where it is not readable, as for everybody but root."""
    return _first_line(root + "sys/class/dmi/id/product_uuid").lower()


def machine_id(root: str = "/") -> str:
    """The id of the installed system [machine-id(5)]; "" where there is none."""
    return _first_line(root + "etc/machine-id").lower()


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.readline(128).strip()
    except OSError:
        return ""
