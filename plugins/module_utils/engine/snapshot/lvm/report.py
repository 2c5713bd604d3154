# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of the LVM2 tools on this machine: physical volumes, groups, logical volumes and their places.

Source of the format: lvmreport(7), ``--reportformat json``. All fields come as text.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from ...errors import SnapshotFailed

_REPORT_SECONDS = 120
_OPTIONS = ("--reportformat", "json", "--units", "b", "--nosuffix")
_FOLDERS = ("/usr/sbin", "/sbin", "/usr/bin", "/bin")
_RANGE = re.compile(r"(/[^\s:]+):(\d{1,12})-(\d{1,12})")


class PhysicalVolume(NamedTuple):
    """``free`` are runs of extents ``(first, count)`` that belong to no logical volume."""

    path: str
    group: str
    start_bytes: int  # where extent 0 begins
    extents: int
    free: Tuple[Tuple[int, int], ...]


class VolumeGroup(NamedTuple):
    name: str
    attributes: str
    extent_bytes: int
    free_extents: int


class LvmSegment(NamedTuple):
    """A part of a logical volume: a run of extents for each stripe, as ``(physical volume, first, count)``."""

    kind: str
    start_bytes: int
    length_bytes: int
    stripe_bytes: int
    runs: Tuple[Tuple[str, int, int], ...]


class LogicalVolume(NamedTuple):
    uuid: str  # without dashes, as in the names of mapped devices
    group: str
    name: str  # in brackets when it is a hidden part of another
    path: str  # the mapped device, "" when inactive
    size_bytes: int
    is_open: bool
    is_invalid: bool  # a snapshot that ran full
    origin: str
    tags: Tuple[str, ...]
    attributes: str
    segments: Tuple[LvmSegment, ...]

    @property
    def full_name(self) -> str:
        return "%s/%s" % (self.group, self.name)

    @property
    def is_active(self) -> bool:
        return self.attributes[4:5] in ("a", "s") and bool(self.path)


class Report(NamedTuple):
    physical: List[PhysicalVolume]
    groups: Dict[str, VolumeGroup]
    logical: List[LogicalVolume]


def find_tool() -> str:
    """The path of ``lvm``, "" where there is none."""
    return shutil.which("lvm", path=os.pathsep.join(_FOLDERS)) or ""


def run_tool(arguments: Sequence[str], timeout_seconds: Optional[float] = None) -> Tuple[int, str, str]:
    """Run ``lvm`` with ``arguments`` and return its status, output and error output.

    It runs in a separate session: a signal that ends this process must not end it between suspending and resuming a volume.
    """
    environment = {"PATH": os.pathsep.join(_FOLDERS), "LC_ALL": "C", "LVM_SUPPRESS_FD_WARNINGS": "1"}
    done = subprocess.run(  # pylint: disable=ansible-bad-function
        [find_tool() or "lvm", *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment,
        start_new_session=True,
        timeout=timeout_seconds,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def read_report() -> Report:
    """Ask the tools for everything.

    :raises SnapshotFailed: when they fail or answer what can't be understood.
    """
    try:
        physical = _rows("pvs", "pvseg", "pv_name,vg_name,pe_start,pv_pe_count,pvseg_start,pvseg_size,lv_name")
        groups = _rows("vgs", "vg", "vg_name,vg_attr,vg_extent_size,vg_free_count")
        logical = _rows(
            "lvs",
            "seg",
            "vg_name,lv_name,lv_uuid,lv_dm_path,lv_size,lv_device_open,lv_snapshot_invalid,origin,lv_tags,lv_attr,"
            "segtype,seg_start,seg_size,stripe_size,seg_pe_ranges",
            "-a",
        )
        return Report(_physical(physical), _groups(groups), _logical(logical))
    except (
        OSError,
        subprocess.TimeoutExpired,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise SnapshotFailed(volume="LVM", reason="the LVM tools failed: %s" % error) from error


def _rows(verb: str, key: str, fields: str, *more: str) -> List[Dict[str, str]]:
    segments = [] if verb == "vgs" else ["--segments"]
    status, output, error = run_tool([verb, *_OPTIONS, *segments, *more, "-o", fields], _REPORT_SECONDS)
    if status:
        raise ValueError("lvm %s: %s" % (verb, " ".join(error.split())[:300]))
    document: Any = json.loads(output)
    found: List[Dict[str, str]] = []
    for report in document["report"]:
        found += report[key]
    return found


def _physical(rows: Iterable[Dict[str, str]]) -> List[PhysicalVolume]:
    found: Dict[str, PhysicalVolume] = {}
    for row in rows:
        if not row["vg_name"]:
            continue
        path = row["pv_name"]
        before = found.get(path) or PhysicalVolume(
            path, row["vg_name"], int(row["pe_start"]), int(row["pv_pe_count"]), ()
        )
        if not row["lv_name"]:
            before = before._replace(free=(*before.free, (int(row["pvseg_start"]), int(row["pvseg_size"]))))
        found[path] = before
    return list(found.values())


def _groups(rows: Iterable[Dict[str, str]]) -> Dict[str, VolumeGroup]:
    return {
        row["vg_name"]: VolumeGroup(
            row["vg_name"], row["vg_attr"], int(row["vg_extent_size"]), int(row["vg_free_count"])
        )
        for row in rows
    }


def _logical(rows: Iterable[Dict[str, str]]) -> List[LogicalVolume]:
    found: Dict[str, LogicalVolume] = {}
    for row in rows:
        key = row["lv_uuid"]
        before = found.get(key) or LogicalVolume(
            key.replace("-", ""),
            row["vg_name"],
            row["lv_name"],
            row["lv_dm_path"],
            int(row["lv_size"] or 0),
            row["lv_device_open"] == "open",
            row["lv_snapshot_invalid"] == "snapshot invalid",
            row["origin"].strip("[]"),
            tuple(tag for tag in row["lv_tags"].split(",") if tag),
            row["lv_attr"],
            (),
        )
        found[key] = before._replace(segments=(*before.segments, _segment(row)))
    return list(found.values())


def _segment(row: Dict[str, str]) -> LvmSegment:
    runs = tuple(
        (path, int(first), int(last) - int(first) + 1) for path, first, last in _RANGE.findall(row["seg_pe_ranges"])
    )
    return LvmSegment(
        row["segtype"], int(row["seg_start"] or 0), int(row["seg_size"] or 0), int(row["stripe_size"] or 0), runs
    )
