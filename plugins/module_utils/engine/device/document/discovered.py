# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document of a device that is asked and not imaged: with the tables of its disks as discovery read them."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from .collect import Document, collect


def document_of_discovery(found: Mapping[str, Any], root: str = "/") -> Document:
    """:param found: the result of ``device.discovery.discover``."""
    return collect(root, [_described(disk, found["volumes"]) for disk in found["disks"] if disk["scheme"]])


def _described(disk: Mapping[str, Any], volumes: List[Dict[str, Any]]) -> Dict[str, Any]:
    """The disk as a run describes one that it images."""
    names = ("size_bytes", "sector_bytes", "scheme", "disk_id", "partitions")
    return {
        "stable_id": disk["stable_id"] or disk["path"],
        "path": disk["path"],
        "layout": {name: disk[name] for name in names},
        "volumes": [
            dict(volume, number=volume["partition"], name="") for volume in volumes if volume["disk"] == disk["name"]
        ],
    }
