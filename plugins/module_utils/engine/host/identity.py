# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that firmware and system give this machine, on this system."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows_identity import machine_id, smbios_uuid
else:
    from .linux_identity import machine_id, smbios_uuid

__all__ = ["machine_id", "smbios_uuid"]
