# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for ``lvm``: answers in the words recorded from LVM 2.03.16 in a guest, keeps what is made in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

EXTENT = 4 << 20
GROUP = "plant"


def uuid_of(name: str) -> str:
    return "-".join([name.ljust(6, "0"), *["0000"] * 5, "000000"])


class FakeLvm:
    """One group on ``/dev/vda3`` (64 extents) with the linear volume ``root`` and the striped ``data`` across ``/dev/vda4``.

    ``folder`` holds the mapped devices as files; a snapshot's is a copy of its origin's at that moment.
    """

    def __init__(self, folder: Path, free_extents: int = 30) -> None:
        self.folder = folder
        self.commands: List[List[str]] = []
        self.fail_at = ""  # a word of a command that then fails
        self.removals_refused = 0
        self.free = free_extents
        self.group_attributes = "wz--n-"
        self.kind = {"root": "linear", "data": "striped"}
        self.ranges = {"root": ["/dev/vda3:0-9", "/dev/vda3:12-13"], "data": ["/dev/vda3:10-11 /dev/vda4:0-1"]}
        self.lengths = {"root": [10, 2], "data": [4]}
        self.open = {"root", "data"}
        self.snapshots: Dict[str, Tuple[str, str, bool]] = {}  # name -> origin, tag, whether it ran full
        for name in self.lengths:
            self.write(name, name[:1].encode() * sum(self.lengths[name]) * EXTENT)

    def write(self, name: str, data: bytes) -> None:
        self.device(name).write_bytes(data)

    def device(self, name: str) -> Path:
        return self.folder / ("mapped-" + name)

    def run(self, arguments: Sequence[str], dummy_timeout_seconds: Optional[float] = None) -> Tuple[int, str, str]:
        verb = arguments[0]
        self.commands.append(list(arguments))
        if self.fail_at and any(self.fail_at in word for word in arguments):
            return 5, "", '  Volume group "plant" has insufficient free space.\n'
        if verb == "lvcreate":
            return self._create(arguments)
        if verb == "lvremove":
            return self._remove(arguments[-1].split("/")[1])
        wanted = arguments[list(arguments).index("-o") + 1].split(",")
        key, rows = {"pvs": ("pvseg", self._pvs), "vgs": ("vg", self._vgs), "lvs": ("seg", self._lvs)}[verb]
        answer = {"report": [{key: [{name: row[name] for name in wanted} for row in rows()]}]}
        return 0, json.dumps(answer), "  WARNING: as real ones have them\n"

    def made(self) -> List[str]:
        """The names of the snapshots that were asked for, in order."""
        return [words[words.index("--name") + 1] for words in self.commands if words[0] == "lvcreate"]

    def _create(self, arguments: Sequence[str]) -> Tuple[int, str, str]:
        name = arguments[list(arguments).index("--name") + 1]
        tag = arguments[list(arguments).index("--addtag") + 1]
        origin = arguments[-1].split("/")[1]
        self.snapshots[name] = (origin, tag, False)
        self.write(name, self.device(origin).read_bytes())
        return 0, "", ""

    def _remove(self, name: str) -> Tuple[int, str, str]:
        if name not in self.snapshots:
            return 5, "", '  Failed to find logical volume "plant/%s"\n' % name
        if self.removals_refused:
            self.removals_refused -= 1
            return 5, "", "  Logical volume plant/%s contains a filesystem in use.\n" % name
        del self.snapshots[name]
        return 0, "", ""

    def _pvs(self) -> List[Dict[str, str]]:
        return [
            self._pv("/dev/vda3", 40, 0, 14, "root"),
            self._pv("/dev/vda3", 40, 14, 26, ""),
            self._pv("/dev/vda4", 8, 0, 2, "data"),
            self._pv("/dev/vda4", 8, 2, 6, ""),
        ]

    def _pv(self, path: str, extents: int, first: int, count: int, volume: str) -> Dict[str, str]:
        return {
            "pv_name": path,
            "vg_name": GROUP,
            "pe_start": "1048576",
            "pv_pe_count": str(extents),
            "pvseg_start": str(first),
            "pvseg_size": str(count),
            "lv_name": volume,
        }

    def _vgs(self) -> List[Dict[str, str]]:
        return [
            {
                "vg_name": GROUP,
                "vg_attr": self.group_attributes,
                "vg_extent_size": str(EXTENT),
                "vg_free_count": str(self.free),
            }
        ]

    def _lvs(self) -> List[Dict[str, str]]:
        rows = []
        for name, lengths in self.lengths.items():
            start = 0
            for length, ranges in zip(lengths, self.ranges[name]):
                row = self._lv(name, sum(lengths), start, length, ranges)
                rows.append(
                    dict(row, segtype=self.kind[name], stripe_size="65536" if self.kind[name] == "striped" else "0")
                )
                start += length
        for name, (origin, tag, is_full) in self.snapshots.items():
            row = self._lv(name, 3, 0, 3, "/dev/vda3:14-16")
            state = {"origin": origin, "lv_tags": tag, "lv_attr": "sri-a-s---", "segtype": "linear"}
            rows.append(dict(row, **state, lv_snapshot_invalid="snapshot invalid" if is_full else ""))
        return rows

    def _lv(self, name: str, extents: int, start: int, length: int, ranges: str) -> Dict[str, str]:
        return {
            "vg_name": GROUP,
            "lv_name": name,
            "lv_uuid": uuid_of(name),
            "lv_dm_path": str(self.device(name)),
            "lv_size": str(extents * EXTENT),
            "lv_device_open": "open" if name in self.open else "",
            "lv_snapshot_invalid": "unknown",
            "origin": "",
            "lv_tags": "",
            "lv_attr": "-wi-ao----",
            "segtype": "linear",
            "seg_start": str(start * EXTENT),
            "seg_size": str(length * EXTENT),
            "stripe_size": "0",
            "seg_pe_ranges": ranges,
        }
