# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes text from a disk, a storage or a device harmless before a terminal, a log or a task's result gets it.

Control characters, line ends, marks that turn the direction of writing, what has no shape and halves of characters are
shown as Python would escape them: ``\\x1b``, ``\\n``, ``\\u202e``. A backslash stays as it is, because paths have some.
Tamed text is for people: text that a program reads back must not be tamed. This file also runs on Python 3.6, with the
installer.
"""

from typing import Any, Dict

MAX_DEPTH = 40
# Spaces of other scripts, which ``str.isprintable`` does not let pass.
_SPACES = frozenset("\xa0\u1680\u202f\u205f\u3000" + "".join(chr(code) for code in range(0x2000, 0x200B)))
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# The two sides of a diff are the only texts of several lines; their lines must be tamed before they are joined.
_SEVERAL_LINES = ("diff",)


def one_line(text: str) -> str:
    """Return ``text`` as a single line that steers nothing."""
    return text if text.isprintable() else "".join(_shown(one) for one in text)


def several_lines(text: str) -> str:
    """Return ``text`` with its line ends and tabs, and nothing else that steers."""
    return "".join(one if one in "\n\t" else _shown(one) for one in text)


def tame(value: Any, keeps_lines: bool = False, depth: int = 0) -> Any:
    """Return a JSON document with every text in it tamed, keys included.

    :raises ValueError: when it is nested too deep.
    """
    if isinstance(value, str):
        return several_lines(value) if keeps_lines else one_line(value)
    if not isinstance(value, (dict, list, tuple)):
        return value
    if depth > MAX_DEPTH:
        raise ValueError("it is nested too deep")
    if isinstance(value, dict):
        tamed: Dict[Any, Any] = {}
        for name, child in value.items():
            key = one_line(name) if isinstance(name, str) else name
            tamed[key] = tame(child, keeps_lines or name in _SEVERAL_LINES, depth + 1)
        return tamed
    return [tame(child, keeps_lines, depth + 1) for child in value]


def _shown(one: str) -> str:
    if one.isprintable() or one in _SPACES:
        return one
    code = ord(one)
    if code > 0xFFFF:
        return "\\U%08x" % code
    return _SHORT.get(one) or ("\\x%02x" % code if code < 0x100 else "\\u%04x" % code)
