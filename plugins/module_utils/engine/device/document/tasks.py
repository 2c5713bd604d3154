# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``scheduled_tasks``: tables and folders of cron, timers of systemd. Sources: crontab(5), systemd.timer(5)."""

from __future__ import annotations

import hashlib
import re
from typing import Iterator, NamedTuple, Tuple

from .items import Item, Items
from .masking import masked
from .tree import SystemTree
from .units import read_units

_SPOOLS = ("/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron", "/etc/crontabs")
_SYSTEM_TABLES = ("/etc/crontab", "/etc/anacrontab")
_PERIODS = ("hourly", "daily", "weekly", "monthly", "yearly")
_IGNORED = re.compile(r"\..*|.*~|.*\.(dpkg-[a-z]+|rpm(save|new|orig)|apk-new|bak|orig|swp)|cron\.update|README")
_ASSIGNMENT = re.compile(r"\s*[A-Za-z_]\w*\s*=")
_TIMES = re.compile(r"OnCalendar|On(?:Boot|Startup|Active|UnitActive|UnitInactive)Sec")
_TABLE_BYTES = 1 << 20


class _Entry(NamedTuple):
    schedule: str
    user: str
    command: str


def read_tasks(tree: SystemTree) -> Items:
    items: Items = {}
    for place in _SYSTEM_TABLES:
        _add_table(items, place, _lines(tree, place, has_user=place != "/etc/anacrontab"))
    for name in tree.names("/etc/cron.d"):
        if not _IGNORED.fullmatch(name):
            _add_table(items, "/etc/cron.d/" + name, _lines(tree, "/etc/cron.d/" + name, has_user=True))
    for place, user in _tables_of_users(tree):
        entries = (one._replace(user=user) for one in _lines(tree, place, has_user=False))
        _add_table(items, place, entries)
    _add_folders(tree, items)
    for unit in read_units(tree, {"timer"}):
        times = sorted(
            "%s=%s" % (name.partition(".")[2], value)
            for name, values in unit.settings.items()
            if _TIMES.fullmatch(name.partition(".")[2])
            for value in values
        )
        starts = " ".join(unit.values("Timer.Unit")[-1:]) or unit.name[: -len("timer")] + "service"
        items[unit.name] = {"kind": "timer", "schedule": times, "start": unit.start, "command": starts, "user": ""}
    return items


def _tables_of_users(tree: SystemTree) -> Iterator[Tuple[str, str]]:
    seen = set()
    for folder in _SPOOLS:
        for name in tree.names(folder):
            place = "%s/%s" % (folder, name)
            path = tree.path(place)
            if path not in seen and not tree.is_folder(place) and not _IGNORED.fullmatch(name):
                seen.add(path)
                yield place, name


def _lines(tree: SystemTree, place: str, has_user: bool) -> Iterator[_Entry]:
    for line in tree.text(place, _TABLE_BYTES).split("\n"):
        line = line.strip()
        if not line or line[0] == "#" or _ASSIGNMENT.match(line):
            continue
        times = 1 if line[0] == "@" else 3 if place == "/etc/anacrontab" else 5
        fields = line.split(None, times + has_user)
        if len(fields) == times + has_user + 1:
            yield _Entry(" ".join(fields[:times]), fields[times] if has_user else "", fields[-1])


def _add_table(items: Items, place: str, entries: Iterator[_Entry]) -> None:
    """One item for each command of a table; where it is there several times, with each of its schedules."""
    for entry in entries:
        command = masked(entry.command)
        start: Item = {"kind": "cron", "schedule": [], "start": "enabled", "command": command, "user": entry.user}
        item = items.setdefault("%s: %s" % (place, command), start)
        item["schedule"] = sorted([*item["schedule"], entry.schedule])


def _add_folders(tree: SystemTree, items: Items) -> None:
    folders = [("/etc/cron." + period, period) for period in _PERIODS]
    folders += [("/etc/periodic/" + period, period) for period in ("15min", *_PERIODS)]
    for folder, period in folders:
        for name in tree.names(folder):
            if _IGNORED.fullmatch(name):
                continue
            place = "%s/%s" % (folder, name)
            content = hashlib.sha256(tree.data(place) or b"").hexdigest()[:16]
            items[place] = {
                "kind": "script",
                "schedule": [period],
                "start": "enabled",
                "command": place,
                "user": "root",
                "content": content,
            }
