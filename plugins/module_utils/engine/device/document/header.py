# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields that release 0.1.0 reads of device information: what the printed pages of a copy say of the machine."""

from __future__ import annotations

from typing import Any, Dict, Mapping


def header_of(document: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the version of that form, and its fields about the machine and its system."""
    sections = document["sections"]
    machine = sections.get("hardware", {}).get("machine", {})
    system = sections.get("operating_system", {})
    return {
        "version": 1,
        "vendor": machine.get("vendor") or "",
        "product": machine.get("product") or "",
        "serial": machine.get("serial") or "",
        "firmware": sections.get("firmware", {}).get("firmware", {}).get("kind") or "",
        "operating_system": system.get("system", {}).get("name") or "",
        "kernel": system.get("kernel", {}).get("version") or "",
        "architecture": system.get("kernel", {}).get("architecture") or "",
    }
