# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of the pages, once for each language: sections of paragraphs, lists, facts and commands, for text and HTML alike."""

from __future__ import annotations

import shlex
from typing import List, NamedTuple, Tuple, Union

from ..amounts import size
from .facts import DiskFact, Facts, PartitionFact
from .language import say


class Paragraph(NamedTuple):
    text: str


class Command(NamedTuple):
    """Something to type, line by line."""

    lines: List[str]


class Items(NamedTuple):
    texts: List[str]


class Step(NamedTuple):
    """A numbered step with its commands."""

    number: int
    text: str
    commands: List[str]


class Pairs(NamedTuple):
    pairs: List[Tuple[str, str]]


class Drawing(NamedTuple):
    """A disk with its partitions."""

    disk: DiskFact
    caption: str
    partitions: List[Tuple[PartitionFact, str]]


Block = Union[Paragraph, Command, Items, Step, Pairs, Drawing]


class Section(NamedTuple):
    heading: str
    blocks: List[Block]


def title(facts: Facts, language: int) -> str:
    return say(language, "title", device=facts.device)


def sections(facts: Facts, language: int) -> List[Section]:
    """The whole page."""
    intro: List[Block] = [Paragraph(say(language, "intro", device=facts.device, image=facts.image))]
    return [
        Section("", intro),
        Section(say(language, "need"), [Items(_needs(facts, language))]),
        Section(say(language, "machine"), _machine(facts, language)),
        Section(say(language, "disks"), _disks(facts, language)),
        Section(say(language, "type"), _steps(facts, language)),
        Section(say(language, "trouble"), _trouble(facts, language)),
    ]


def _needs(facts: Facts, language: int) -> List[str]:
    needs = [say(language, "need_medium", device=facts.device), say(language, "need_linux")]
    for disk in facts.disks:
        fields = {"name": disk.name, "size": size(disk.size_bytes), "size_bytes": disk.size_bytes}
        needs.append(say(language, "need_disk", sector_bytes=disk.sector_bytes, **fields))
    return [*needs, say(language, "need_password" if facts.is_encrypted else "need_no_password")]


def _machine(facts: Facts, language: int) -> List[Block]:
    pairs = [
        ("device", facts.device),
        ("hardware", facts.machine),
        ("serial", facts.serial),
        ("system", facts.operating_system),
        ("firmware", say(language, "firmware_" + facts.firmware)),
        ("image", "%s, %s" % (facts.image, size(facts.stored_bytes))),
        ("job", facts.job),
        ("other_images", ", ".join(facts.others[-6:])),
    ]
    blocks: List[Block] = [Pairs([(say(language, name), value) for name, value in pairs if value])]
    if not facts.is_whole_story:
        blocks.append(Paragraph(say(language, "not_opened")))
    return blocks


def _disks(facts: Facts, language: int) -> List[Block]:
    blocks: List[Block] = []
    for disk in facts.disks:
        scheme = {"gpt": "GPT", "mbr": "MBR"}.get(disk.scheme) or say(
            language, "no_table" if disk.scheme == "none" else "unknown_table"
        )
        caption = say(
            language,
            "disk_line",
            name=disk.name,
            size=size(disk.size_bytes),
            size_bytes=disk.size_bytes,
            in_use=size(disk.in_use_bytes),
            scheme=scheme,
            sector_bytes=disk.sector_bytes,
            id=", ".join(filter(None, (disk.model, disk.stable_id))),
        )
        blocks.append(Drawing(disk, caption, [(one, _part(one, language)) for one in disk.partitions]))
    if facts.more_disks:
        blocks.append(Paragraph(say(language, "more_disks", count=facts.more_disks, command=_program(facts, "show"))))
    return blocks


def _part(one: PartitionFact, language: int) -> str:
    role = say(language, "role_" + one.role) if one.role in _ROLES else ""
    words = [one.label, one.kind, role, size(one.length_bytes), "" if one.is_held else say(language, "not_held")]
    return ", ".join(filter(None, words))


_ROLES = ("efi", "microsoft-reserved", "recovery", "bios-boot", "active")


def _program(facts: Facts, command: str, *rest: str) -> str:
    return " ".join(
        ["python3 plantops-recovery.pyz", command, ".", shlex.quote(facts.device), "--image", facts.image, *rest]
    )


def _targets(facts: Facts) -> List[str]:
    return ["/dev/sd%s" % "XYZUVWQR"[number] for number in range(len(facts.disks))]


def _steps(facts: Facts, language: int) -> List[Block]:
    names = _targets(facts)
    to = " ".join("--to %s=%s" % (disk.name, name) for disk, name in zip(facts.disks, names))
    firmware = say(language, "firmware_" + facts.firmware)
    steps = [
        ("step_start", ["sudo -i", "lsblk -o NAME,SIZE,LABEL,MOUNTPOINT", "cd %s" % say(language, "path")]),
        ("step_verify", [_program(facts, "verify")]),
        ("step_find", ["lsblk -d -o NAME,SIZE,MODEL,SERIAL"]),
        ("step_plan", [_program(facts, "plan", to)]),
        ("step_restore", [_program(facts, "restore", to)]),
        ("step_boot", []),
    ]
    return [
        Step(number, say(language, name, targets=", ".join(names), firmware=firmware), commands)
        for number, (name, commands) in enumerate(steps, 1)
    ]


def _trouble(facts: Facts, language: int) -> List[Block]:
    listing = "python3 plantops-recovery.pyz images . %s" % shlex.quote(facts.device)
    folder = shlex.quote("%s/%s" % (facts.device, facts.image))
    items = [say(language, "trouble_again"), say(language, "trouble_damaged", command=listing)]
    items.append(say(language, "trouble_size"))
    if facts.is_encrypted:
        items.append(say(language, "trouble_keyboard"))
    return [
        Items([*items, say(language, "trouble_sums")]),
        Command(["sha256sum -c SHA256SUMS; cd %s && sha256sum -c SHA256SUMS" % folder]),
        Items([say(language, "trouble_help")]),
        Command(["python3 plantops-recovery.pyz --help"]),
    ]
