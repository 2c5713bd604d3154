# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The findings in an inventory, and their reports: lines, JSON and JUnit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Dict, Iterable, Iterator, List, Sequence, Tuple
from xml.etree import ElementTree

from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    EngineError,
    FileUnchecked,
    InventorySourceUnread,
    JobUnscheduled,
    OperatorUnknown,
    RestoreTargetsUnchecked,
    VariableUnknown,
)

from .nodes import Node

ERROR, WARNING = "error", "warning"
_WARNINGS = (JobUnscheduled, FileUnchecked, OperatorUnknown, RestoreTargetsUnchecked, VariableUnknown)
_MOST_HOSTS = 3


@dataclass(frozen=True)
class Finding:
    """One entry of the report."""

    level: str
    code: str
    host: str
    job: str
    key: str
    file: str
    line: int
    message: str


@dataclass(frozen=True)
class Issue:
    """A fault of a value, for all hosts that it holds for."""

    error: EngineError
    key: str
    file: str
    line: int
    job: str = ""

    def finding(self, host: str) -> Finding:
        level = WARNING if isinstance(self.error, _WARNINGS) else ERROR
        if isinstance(self.error, InventorySourceUnread):
            level = WARNING
        described = self.error.as_dict()
        message = "%s %s" % (described["message"], described["hint"])
        return Finding(level, described["code"], host, self.job, self.key, self.file, self.line, message)


def issue(error: EngineError, key: str, node: Node, job: str = "") -> Issue:
    """Return the issue at the place of ``node``."""
    return Issue(error, key, node.file, node.line, job)


def lines(findings: Iterable[Finding]) -> Iterator[Tuple[str, str]]:
    """Yield level and sentence of each finding; hosts that share one are named together."""
    hosts: Dict[Tuple[str, str, int, str], List[str]] = {}
    levels: Dict[Tuple[str, str, int, str], str] = {}
    for one in findings:
        key = (one.code, one.file, one.line, one.message)
        hosts.setdefault(key, []).append(one.host)
        levels[key] = one.level
    for key, names in hosts.items():
        code, file, line, message = key
        named = sorted({name for name in names if name})
        shown = ", ".join(named[:_MOST_HOSTS])
        if len(named) > _MOST_HOSTS:
            shown += " and %d more hosts" % (len(named) - _MOST_HOSTS)
        where = "%s:%d" % (file, line) if file else "inventory"
        yield levels[key], "%s: %s %s%s" % (where, code, message, " (%s)" % shown if shown else "")


def as_json(findings: Sequence[Finding]) -> List[Dict[str, object]]:
    return [asdict(one) for one in findings]


def as_junit(findings: Sequence[Finding], hosts: Iterable[str]) -> str:
    """Return a test case for every host, and one for what concerns none; warnings are its output."""
    of_host: Dict[str, List[Finding]] = {name: [] for name in ("", *hosts)}
    for one in findings:
        of_host.setdefault(one.host, []).append(one)
    failed = sum(any(one.level == ERROR for one in found) for found in of_host.values())
    suite = ElementTree.Element(
        "testsuite", name="plantops.imaging.validate", tests=str(len(of_host)), failures=str(failed), errors="0"
    )
    for host, found in of_host.items():
        case = ElementTree.SubElement(suite, "testcase", classname="inventory", name=host or "inventory")
        for one in (one for one in found if one.level == ERROR):
            failure = ElementTree.SubElement(case, "failure", type=one.code, message=_clean(one.message))
            failure.text = _clean("%s:%d %s" % (one.file, one.line, one.key))
        words = ["%s:%d %s %s" % (one.file, one.line, one.code, one.message) for one in found if one.level == WARNING]
        if words:
            ElementTree.SubElement(case, "system-out").text = _clean("\n".join(words))
    root = ElementTree.Element("testsuites", tests=str(len(of_host)), failures=str(failed))
    root.append(suite)
    return "<?xml version='1.0' encoding='utf-8'?>\n" + ElementTree.tostring(root, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    """XML can't hold control characters."""
    return "".join(
        one if one in "\t\n" or " " <= one < "\ud800" or "\ue000" <= one <= "\ufffd" else "?" for one in text
    )
