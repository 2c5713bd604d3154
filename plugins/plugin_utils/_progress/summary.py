# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a play in lines that a person reads in ten seconds: a row for each device, then who was done and who was not.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import datetime
import re
import time
from collections import Counter
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.plantops.imaging.plugins.module_utils.engine.tame import one_line

from .._units import duration, size
from .endings import listed
from .last_image import LastImages
from .moments import FORM

MOST_ROWS = 40  # more devices are counted; those that failed are still named, as many as this
MOST_NAMES = 12
MOST_DISKS = 4
MOST_WARNINGS = 20  # lines of warnings; devices with the same text share a line
_MAX_REASON_CHARACTERS = 300
_DIGEST = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{56}\b")  # the name of a pack; the failed task has it as a whole


class Row(NamedTuple):
    """How a run on one device ended. ``state`` is that of its document, or ``unreachable``."""

    device: str
    verb: str
    state: str
    words: str
    to_do: str = ""
    disks: str = ""  # the changes of its disks
    made_image: bool = False
    job: str = ""
    warnings: Sequence[str] = ()

    @property
    def is_planned(self) -> bool:
        """Whether it is of check mode: a run that succeeds without it has an image."""
        return self.verb == "image" and self.state == "ok" and not self.made_image


class Summary:
    """Collects the documents of a play's runs."""

    def __init__(self) -> None:
        self._rows: Dict[Any, Row] = {}
        self._changes: Dict[str, int] = {}
        self._last_images = LastImages()

    def add_changes(self, device: str, count: int) -> None:
        """Take in how many changes an image found, for a document without a comparison by sections."""
        self._changes[device] = count

    def add(self, device: str, document: Mapping[str, Any], path: Optional[str] = None) -> None:
        """Take in the document of a run.

        :param path: where the document is, if this play wrote it.
        """
        self._last_images.learn(device, str(document.get("device") or ""), path)
        verb, state = str(document.get("verb")), str(document.get("state"))
        changes = self._changes.pop(device, None) if verb == "image" else None
        words = _success(document, changes) if state == "ok" else _failure(document)
        to_do = "" if state == "ok" else str(document.get("hint") or "")
        made_image = verb == "image" and bool(document.get("image"))
        job = str(document.get("job") or "")
        warnings = [str(one)[:_MAX_REASON_CHARACTERS] for one in document.get("warnings") or []]
        row = Row(device, verb, state, words, to_do, _changed_disks(document), made_image, job, warnings)
        self._rows[(device, verb, job)] = row

    def add_unreachable(self, device: str, reason: str = "") -> None:
        """Take in that a device could not be reached; what it did before stays."""
        words = "not reached: %s" % reason if reason else "not reached"
        self._rows.setdefault((device, "", ""), Row(device, "", "unreachable", words, hint_of_unreachable(reason)))

    def failed(self) -> List[str]:
        """Return the devices whose run failed or that were not reached, sorted."""
        return sorted({row.device for row in self._rows.values() if row.state != "ok"})

    def lines(self, now_seconds: Optional[float] = None, again: str = "") -> List[str]:
        """Return the lines, none where no run ended.

        :param again: the command that repeats the play for the devices that failed.
        """
        rows = sorted(self._rows.values(), key=lambda row: row.device)
        if not rows:
            return []
        width = min(30, max(len(one_line(row.device)) for row in rows))
        shown = rows if len(rows) <= MOST_ROWS else [row for row in rows if row.state != "ok"][:MOST_ROWS]
        lines = ["IMAGING SUMMARY"]
        runs = Counter((row.device, row.verb) for row in rows)
        for row in shown:
            job = "job %s: " % row.job if row.job and runs[row.device, row.verb] > 1 else ""
            lines.append("%-*s  %s" % (width, one_line(row.device), one_line(job + row.words)))
            if row.to_do:
                lines.append("%-*s  to do: %s" % (width, "", one_line(row.to_do)))
            if row.disks:
                lines.append("%-*s  disks: %s" % (width, "", one_line(row.disks)))
            last = self._last_image(row, time.time() if now_seconds is None else now_seconds)
            if last:
                lines.append("%-*s  last image: %s" % (width, "", one_line(last)))
        # Not as the last line, to which the guide's crontab adds the exit status.
        return lines + _warnings(rows) + (["repeat: %s" % again] if again else []) + _lists(rows)

    def _last_image(self, row: Row, now_seconds: float) -> str:
        """Of a device that has no image of this play."""
        is_of_image = row.verb == "image" or (row.state == "unreachable" and self._has_verb("image"))
        if row.state == "ok" or row.made_image or not is_of_image:
            return ""
        return self._last_images.words(row.device, now_seconds)

    def _has_verb(self, verb: str) -> bool:
        return any(row.verb == verb for row in self._rows.values())


def hint_of_unreachable(reason: str) -> str:
    """Return what to do about a device that Ansible could not reach, from the words of its connection."""
    words = reason.lower()
    if "host key" in words or "identification has changed" in words:
        return (
            "Compare the host key with the one that the device shows. If the device was reinstalled, remove the old key "
            "with ssh-keygen -R."
        )
    if "permission denied" in words or "authentication fail" in words or "password" in words:
        return "Correct the user name, the password or the key of the device in the inventory, and log in once by hand."
    if "could not resolve" in words or "name or service" in words:
        return "Correct ansible_host of the device in the inventory."
    return "Switch the device on, and check its address and the firewall; then run the play again with --limit."


def _changed_disks(document: Mapping[str, Any]) -> str:
    """The disks that were added, removed or changed since the image before, by their names."""
    sections = (document.get("comparison") or {}).get("sections")
    kinds = sections.get("disks") if isinstance(sections, Mapping) else None
    if not isinstance(kinds, Mapping):
        return ""
    parts = []
    for kind in ("added", "removed", "changed"):
        keys = [str(one.get("key")) for one in kinds.get(kind) or [] if isinstance(one, Mapping)]
        if keys:
            parts.append("%s %s" % (kind, listed(keys, MOST_DISKS)))
    return "; ".join(parts)


def _warnings(rows: Sequence[Row]) -> List[str]:
    """A line for each text, with the devices that it is of."""
    devices: Dict[str, List[str]] = {}
    for row in rows:
        for text in row.warnings:
            devices.setdefault(text, []).append(row.device)
    lines = []
    for text, named in list(devices.items())[:MOST_WARNINGS]:
        names = list(dict.fromkeys(named))
        of = names[0] if len(names) == 1 else "%d devices (%s)" % (len(names), listed(names, MOST_NAMES))
        lines.append("warning of %s: %s" % (one_line(of), one_line(text)))
    more = len(devices) - MOST_WARNINGS
    return lines if more <= 0 else [*lines, "and %d more warnings, in the lines above that begin with [WARNING]" % more]


def _lists(rows: Sequence[Row]) -> List[str]:
    lines = []
    for verb in dict.fromkeys(row.verb for row in rows if row.verb):
        done = [row for row in rows if row.verb == verb and row.state == "ok"]
        if verb == "image":
            planned = [row.device for row in done if row.is_planned]
            made = [row.device for row in done if row.made_image]
            lines += [_list("imaged", made)] if made or not planned else []
            lines += [_list("would be imaged", planned)] if planned else []
        else:
            lines.append(_list("%s ok" % verb, [row.device for row in done]))
    by_reason: Dict[str, List[str]] = {}
    for row in rows:
        if row.state not in ("ok", "unreachable"):
            by_reason.setdefault(row.words.split(":")[0], []).append(row.device)
    lines += [_list(reason, devices) for reason, devices in by_reason.items()] or ["failed: none"]
    lines.append(_list("not reached", [row.device for row in rows if row.state == "unreachable"]))
    if any(row.verb == "image" for row in rows):
        lines.append(_list("changed disks", [row.device for row in rows if row.disks]))
        imaged = {row.device for row in rows if row.made_image}
        if not any(row.is_planned for row in rows):  # in check mode no device can have one
            lines.append(_list("no new image", [row.device for row in rows if row.device not in imaged]))
    return lines


def _list(title: str, named: Sequence[str]) -> str:
    devices = list(dict.fromkeys(named))
    if not devices:
        return "%s: none" % title
    return "%s: %d (%s)" % (title, len(devices), listed([one_line(name) for name in devices], MOST_NAMES))


def _success(document: Mapping[str, Any], changes: Optional[int]) -> str:
    words = [str(document.get("image") or "ok") if document.get("verb") == "image" else _other(document)]
    if document.get("bytes_in_use") is not None:
        words.append("%s in use" % size(document["bytes_in_use"]))
    if document.get("bytes_stored") is not None:
        words.append("%s stored" % size(document["bytes_stored"]))
    seconds = _seconds(document)
    if seconds is not None:
        words.append(duration(seconds))
    comparison = document.get("comparison") or {}
    # Without an earlier image, or with imaging_compare: none, nothing says that the device is unchanged.
    count = comparison.get("count") if comparison.get("against") else changes or None
    if count is not None:
        words.append("1 change" if count == 1 else "%d changes" % count)
    deleted = (document.get("rollover") or {}).get("deleted") or []
    if deleted:
        words.append("1 old image deleted" if len(deleted) == 1 else "%d old images deleted" % len(deleted))
    if document.get("warnings"):
        count = len(document["warnings"])
        words.append("1 warning" if count == 1 else "%d warnings" % count)
    return ", ".join(words)


def _other(document: Mapping[str, Any]) -> str:
    image = document.get("image")
    return "%s ok%s" % (document.get("verb"), " %s" % image if image else "")


def _failure(document: Mapping[str, Any]) -> str:
    state = {"failed": "failed", "cancelled": "cancelled", "window_closed": "window closed"}.get(
        str(document.get("state")), "failed"
    )
    code = document.get("error_code")
    reason = _DIGEST.sub(r"\1...", str(document.get("message")))[:_MAX_REASON_CHARACTERS]
    made = document.get("image") if document.get("verb") == "image" else None
    after = "; the image %s was created" % made if made else ""
    return "%s%s: %s%s" % (state, " " + str(code) if code else "", reason, after)


def _seconds(document: Mapping[str, Any]) -> Optional[int]:
    rates = document.get("rates") or {}
    if rates.get("seconds") is not None:
        return int(rates["seconds"])
    try:
        started, ended = (datetime.datetime.strptime(str(document.get(name)), FORM) for name in ("started", "ended"))
    except ValueError:
        return None
    return max(0, int((ended - started).total_seconds()))
