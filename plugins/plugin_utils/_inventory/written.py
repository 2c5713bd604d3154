# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a value as it is written: repeated keys, damaged seals, templates that do not parse."""

from __future__ import annotations

from typing import Iterator

from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    SealedTextDamaged,
    SettingTwice,
    TemplateInvalid,
)
from jinja2 import TemplateSyntaxError

from .finding import Issue, issue
from .nodes import Node
from .references import ENVIRONMENT

_OF_EXTENSIONS = "unknown tag"  # a site may give Ansible extensions of Jinja, which bring further tags


def issues(name: str, node: Node, is_ours: bool) -> Iterator[Issue]:
    """Yield the faults of a variable and all parts of it; ``is_ours`` tells that this collection or Ansible uses it."""
    if node.earlier_line:
        yield issue(SettingTwice(key=name, line=node.earlier_line), name, node)
    if node.is_damaged:
        yield issue(SealedTextDamaged(key=name), name, node)
    if is_ours and node.is_template and not _parses(node.value):
        yield issue(TemplateInvalid(key=name), name, node)
    for key, one in node.keys.items():
        yield from issues("%s.%s" % (name, key), one, is_ours)
    for place, one in enumerate(node.items):
        yield from issues("%s[%d]" % (name, place), one, is_ours)


def _parses(text: str) -> bool:
    try:
        ENVIRONMENT.parse(text)
    except TemplateSyntaxError as error:
        return _OF_EXTENSIONS in str(error)
    except RecursionError:
        return False
    return True
