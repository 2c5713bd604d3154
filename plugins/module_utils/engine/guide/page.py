# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``RECOVERY.html``: the pages to print and hang at the machine, a page for each language, with a drawing of the disks.

One file, no scripts, nothing from elsewhere. Every text is escaped: names and labels are untrusted text.
"""

from __future__ import annotations

from html import escape
from typing import List, Tuple

from ..amounts import size
from . import content
from .facts import Facts, PartitionFact
from .language import ENGLISH, GERMAN, say

_STYLE = """\
@page { size: A4; margin: 10mm 12mm }
* { box-sizing: border-box }
body { font: %spt/1.3 "DejaVu Sans", "Liberation Sans", Arial, sans-serif; color: #000; max-width: 186mm; margin: 0 auto }
article + article { break-before: page }
h1 { font-size: 1.7em; margin: 0 0 1mm; overflow-wrap: anywhere }
h2 { font-size: 1.16em; margin: .8em 0 .25em; border-bottom: .3mm solid #000 }
p, ul, ol, dl { margin: .6mm 0 }
ul { padding-left: 4.5mm }
dl { display: grid; grid-template-columns: max-content auto; gap: 0 4mm }
dt { font-weight: bold } dd { margin: 0; overflow-wrap: anywhere }
pre { font: .94em/1.35 "DejaVu Sans Mono", "Liberation Mono", monospace; background: #eee; border: .2mm solid #999;
  padding: .8mm 1.6mm; margin: .6mm 0; white-space: pre-wrap; overflow-wrap: anywhere }
figure { margin: 1mm 0; break-inside: avoid } figcaption { overflow-wrap: anywhere }
svg { display: block; width: 100%; height: auto; margin: .6mm 0 }
.step { margin: 1mm 0; break-inside: avoid } .parts { columns: 3; font-size: .94em; list-style: none; padding: 0; margin: 0 }
"""
# Points: a page for each language, however many disks there are.
_SIZES = {1: 8.2, 2: 7.6, 3: 7.1, 4: 6.6}
_SMALLEST = 6.0
_MOST_LISTED, _MOST_DRAWN = 2, 4  # disks with a list of their partitions, and with a drawing
_COLOURS = {"efi": "#b7d3f2", "bios-boot": "#b7d3f2", "recovery": "#d9d9d9", "microsoft-reserved": "#d9d9d9"}
_WIDTH, _HEIGHT, _LEAST = 1000.0, 62.0, 26.0
_MOST_CHARACTERS = 40


def html_page(facts: Facts) -> bytes:
    """The whole document."""
    articles = "".join(_article(facts, language, code) for language, code in ((ENGLISH, "en"), (GERMAN, "de")))
    head = '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>%s</title>\n<style>\n%s</style>\n</head>\n'
    style = _STYLE.replace("%s", "%.1f" % _SIZES.get(len(facts.disks) + len(facts.device) // 50, _SMALLEST), 1)
    document = head % (escape(content.title(facts, ENGLISH)), style) + "<body>\n%s</body>\n</html>\n" % articles
    return document.encode("utf-8", "replace")


def _article(facts: Facts, language: int, code: str) -> str:
    parts = ['<article lang="%s">\n<h1>%s</h1>\n' % (code, escape(content.title(facts, language)))]
    for section in content.sections(facts, language):
        if section.heading:
            parts.append("<h2>%s</h2>\n" % escape(section.heading))
        drawn = sum(isinstance(block, content.Drawing) for block in section.blocks)
        parts += [_block(block, language, drawn) for block in section.blocks]
    return "".join(parts) + "</article>\n"


def _block(block: content.Block, language: int, disks: int) -> str:
    """:param disks: how many are shown in the section: of many only the most important is."""
    if isinstance(block, content.Paragraph):
        return "<p>%s</p>\n" % escape(block.text)
    if isinstance(block, content.Items):
        return "<ul>%s</ul>\n" % "".join("<li>%s</li>" % escape(text) for text in block.texts)
    if isinstance(block, content.Command):
        return _commands(block.lines)
    if isinstance(block, content.Step):
        return '<div class="step"><b>%d.</b> %s%s</div>\n' % (
            block.number,
            escape(block.text),
            _commands(block.commands),
        )
    if isinstance(block, content.Pairs):
        rows = "".join("<dt>%s</dt><dd>%s</dd>" % (escape(name), escape(value)) for name, value in block.pairs)
        return "<dl>%s</dl>\n" % rows
    listed = "".join("<li>%d: %s</li>" % (one.number, escape(words)) for one, words in block.partitions)
    return "<figure><figcaption>%s</figcaption>%s%s</figure>\n" % (
        escape(block.caption),
        _drawing(block, language) if disks <= _MOST_DRAWN else "",
        '<ul class="parts">%s</ul>' % listed if disks <= _MOST_LISTED else "",
    )


def _commands(lines: List[str]) -> str:
    return "<pre>%s</pre>" % escape("\n".join(lines)) if lines else ""


def _drawing(block: content.Drawing, language: int) -> str:
    """The disk as a bar: partitions in their order, wide as they are large, but none too narrow to be seen."""
    pieces = _pieces(block)
    parts = [
        '<svg viewBox="0 0 %d %d" role="img" aria-label="%s">' % (_WIDTH, _HEIGHT, escape(block.disk.name, quote=True))
    ]
    position = 0.0
    for one, width in zip(pieces, _widths([length for dummy, length in pieces])):
        parts.append(_box(one[0], position, width, language))
        position += width
    return "".join(parts) + "</svg>"


def _pieces(block: content.Drawing) -> List[Tuple[object, int]]:
    """Partitions and the free space between them, as far as their places are known."""
    found: List[Tuple[object, int]] = []
    position = 0
    for one, dummy_words in block.partitions:
        if one.start_bytes is not None:
            if one.start_bytes - position > block.disk.size_bytes // 50:
                found.append((None, one.start_bytes - position))
            position = max(position, one.start_bytes + one.length_bytes)
        found.append((one, one.length_bytes))
    known = position or sum(length for dummy, length in found)
    if block.disk.size_bytes - known > block.disk.size_bytes // 50:
        found.append((None, block.disk.size_bytes - known))
    return found or [(None, block.disk.size_bytes)]


def _widths(lengths: List[int]) -> List[float]:
    least = min(_LEAST, _WIDTH / len(lengths))
    spare = _WIDTH - least * len(lengths)
    total = float(sum(lengths)) or 1.0
    return [least + spare * length / total for length in lengths]


def _box(one: object, position: float, width: float, language: int) -> str:
    if not isinstance(one, PartitionFact):
        fill, top, bottom = "#fff", say(language, "free"), ""
    else:
        fill = _COLOURS.get(one.role, "#cfe8cf" if one.is_held else "#fff")
        top, bottom = "%d %s" % (one.number, one.label or one.kind), size(one.length_bytes)
    room = int(width / 7.6)
    texts = "".join(
        '<text x="%.1f" y="%d" font-size="13" font-family="sans-serif">%s</text>'
        % (position + 5, y, escape(text[:room]))
        for y, text in ((26, top[:_MOST_CHARACTERS]), (46, bottom))
        if room > 1
    )
    dashes = ' stroke-dasharray="5 4"' if fill == "#fff" else ""
    return '<rect x="%.1f" y="2" width="%.1f" height="%d" fill="%s" stroke="#000"%s/>%s' % (
        position + 1,
        max(1.0, width - 2),
        _HEIGHT - 4,
        fill,
        dashes,
        texts,
    )
