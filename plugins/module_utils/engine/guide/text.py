# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``RECOVERY.txt``: the pages as plain text, for a terminal and for any program that opens text."""

from __future__ import annotations

import textwrap
from typing import List

from . import content
from .facts import Facts
from .language import ENGLISH, GERMAN

_COLUMNS = 78


def text_page(facts: Facts) -> bytes:
    """English, then German."""
    lines: List[str] = []
    for language in (ENGLISH, GERMAN):
        heading = content.title(facts, language)
        lines += ["=" * _COLUMNS, *_wrapped(heading, ""), "=" * _COLUMNS]
        for section in content.sections(facts, language):
            lines.append("")
            if section.heading:
                lines += [section.heading.upper(), "-" * len(section.heading)]
            for block in section.blocks:
                lines += _block(block)
        lines += ["", ""]
    return ("\n".join(lines).rstrip("\n") + "\n").encode("utf-8", "replace")


def _block(block: content.Block) -> List[str]:
    if isinstance(block, content.Paragraph):
        return _wrapped(block.text, "")
    if isinstance(block, content.Items):
        return [line for text in block.texts for line in _wrapped(text, "- ")]
    if isinstance(block, content.Command):
        return ["", *("      %s" % line for line in block.lines), ""]
    if isinstance(block, content.Step):
        commands = ["", *("      %s" % line for line in block.commands)] if block.commands else []
        return [*_wrapped(block.text, "%d. " % block.number), *commands, ""]
    if isinstance(block, content.Pairs):
        width = max(len(name) for name, dummy in block.pairs)
        return ["%s  %s" % (name.ljust(width), value) for name, value in block.pairs]
    lines = _wrapped(block.caption, "")
    return lines + ["    %3d  %s" % (one.number, words) for one, words in block.partitions]


def _wrapped(text: str, first: str) -> List[str]:
    """Words in lines; a device's name or a command is never cut."""
    return textwrap.wrap(
        text,
        _COLUMNS,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
