# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device information of images that release 0.1.0 made, as far as it says what the sections of today say."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from ..document.disks import described_disks
from ..document.items import Items, tidy
from ..document.tree import Unreadable

_PARTIAL = ("hardware", "firmware", "operating_system", "network", "disks", "partitions", "volumes")


def document_of(information: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the document in the device information of an image, whichever release made it."""
    if isinstance(information.get("sections"), dict):
        return {name: information.get(name) for name in ("schema_version", "sections", "unreadable")}
    return _of_version_one(information)


def _of_version_one(information: Mapping[str, Any]) -> Dict[str, Any]:
    """Sections with a part of today's content are named in ``partial``: what is new in them is not a change."""
    interfaces = information.get("interfaces")
    disks = information.get("disks")
    described = described_disks(
        [one for one in disks.values() if isinstance(one, dict)] if isinstance(disks, dict) else []
    )
    sections: Dict[str, Items] = {
        "hardware": {
            "machine": {name: information.get(name) for name in ("vendor", "product", "serial")},
            "processor": {"logical": information.get("processors")},
        },
        "firmware": {"firmware": {"kind": information.get("firmware")}},
        "operating_system": {
            "system": {"name": information.get("operating_system")},
            "kernel": {"version": information.get("kernel"), "architecture": information.get("architecture")},
        },
        "network": {str(name): {"mac_address": mac} for name, mac in interfaces.items()}
        if isinstance(interfaces, dict)
        else {},
        **described._asdict(),
    }
    found: Dict[str, Any] = {"schema_version": 0, "sections": {}, "unreadable": {}, "partial": list(_PARTIAL)}
    for name, items in sections.items():
        try:
            found["sections"][name] = tidy(items)
        except Unreadable as error:
            found["unreadable"][name] = str(error)
    return found
