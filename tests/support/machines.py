# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other machines for tests: their /sys, /proc, /etc as folders made from compact JSON.

A document has ``files`` ({path: text}; a text that begins with "hex:" is bytes), ``links`` ({path: target}) and ``devices``: for
each place below /sys/devices the block device there, with its files, its partitions and what it lies on. The links
that a kernel makes (/sys/class/block, slaves, holders) are made here.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict

FOLDER = Path(__file__).parents[1] / "unit" / "engine" / "device" / "machines"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str) -> Dict[str, Any]:
    document: Dict[str, Any] = json.loads((FOLDER / (name + ".json")).read_text(encoding="utf-8"))
    return document


def build(root: Path, name: str) -> str:
    """Make the folders of the machine ``name`` below ``root``; return the root as ``discover`` takes it."""
    return build_from(root, load(name))


def build_from(root: Path, document: Dict[str, Any]) -> str:
    (root / "sys/class/block").mkdir(parents=True)
    for path, text in document.get("files", {}).items():
        _write(root / path, text)
    for path, target in document.get("links", {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(target)
    for place, device in document.get("devices", {}).items():
        _device(root, root / "sys/devices" / place, device)
    for place, device in document.get("devices", {}).items():
        for other in device.get("on", []):
            _link(root / "sys/class/block" / Path(place).name / "slaves" / other, root / "sys/class/block" / other)
            _link(root / "sys/class/block" / other / "holders" / Path(place).name, root / "sys/devices" / place)
    return str(root) + "/"


def _device(root: Path, folder: Path, device: Dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    (folder / "slaves").mkdir()
    (folder / "holders").mkdir()
    parent = folder.parent.parent if folder.parent.name in ("block", "nvme") else folder.parent
    if "virtual/block" not in str(folder):
        _link(folder / "device", parent)
    _link(root / "sys/class/block" / folder.name, folder)
    for name, text in {"ro": "0", "removable": "0", **device.get("files", {})}.items():
        _write(folder / name, text)
    for number, (size, start) in device.get("partitions", {}).items():
        separator = "p" if folder.name[-1].isdigit() else ""
        part = folder / ("%s%s%s" % (folder.name, separator, number))
        major, minor = (folder / "dev").read_text().strip().split(":")
        values = {"partition": number, "size": size, "start": start, "dev": "%s:%d" % (major, int(minor) + int(number))}
        for name, value in values.items():
            _write(part / name, str(value))
        (part / "holders").mkdir()
        (part / "slaves").mkdir()
        _link(root / "sys/class/block" / part.name, part)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes.fromhex(text[4:]) if text.startswith("hex:") else (text + "\n").encode())


def _link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(str(target.resolve()), str(path.parent.resolve())))
