# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that are unencrypted in the inventory: themselves, or where the template that is their value ends."""

from __future__ import annotations

from typing import Iterator, Tuple

from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    SecretInClear,
)
from ansible_collections.plantops.imaging.plugins.module_utils.settings.setting import Setting
from ansible_collections.plantops.imaging.plugins.module_utils.settings.table import SETTINGS

from .expressions import Ends, end_of
from .finding import Issue, issue
from .nodes import Node, Variables
from .references import targets
from .yaml_file import VAULT

_BY_NAME = {setting.variable: setting for setting in SETTINGS}
# Passwords of Ansible's own connections.
_LOGINS = ("password", "pass", "become_password", "become_pass", "ssh_password", "ssh_pass", "ssh_passphrase")
OF_ANSIBLE = frozenset("ansible_" + name for name in (*_LOGINS, "winrm_password", "psrp_password", "sudo_pass"))


def issues(variables: Variables, name: str, node: Node) -> Iterator[Issue]:
    """Yield each secret in the variable ``name`` that ends in clear text."""
    for key, secret, own in _secrets(name, node, variables):
        end, place = end_of(secret, own)
        if end is Ends.CLEAR:
            found = next((one for one in (place, secret, node) if one is not None and one.file), node)
            way = "" if found is secret or found is node else ", in the variable that it refers to"
            if str(found.value).startswith(VAULT):
                way = ": before the sealed text, !vault is missing"
            yield issue(SecretInClear(key=key, way=way), key, found)


Secret = Tuple[str, Node, Variables]


def _secrets(name: str, node: Node, variables: Variables) -> Iterator[Secret]:
    if name in OF_ANSIBLE:
        yield name, node, variables
    elif name in _BY_NAME:
        yield from _inside(_BY_NAME[name], name, node, variables)


def _inside(setting: Setting, key: str, node: Node, variables: Variables) -> Iterator[Secret]:
    if setting.secret:
        yield key, node, variables
    elif setting.options:
        # A dictionary may be a template as a whole.
        for found in targets(node, variables):
            for place, one in enumerate(found.node.items):
                for entry in targets(one, found.variables):
                    yield from _of_keys(setting, "%s[%d]" % (key, place), entry.node, entry.variables)
            yield from _of_keys(setting, key, found.node, found.variables)


def _of_keys(setting: Setting, key: str, node: Node, variables: Variables) -> Iterator[Secret]:
    for option in setting.options:
        if option.name in node.keys:
            yield from _inside(option, "%s.%s" % (key, option.name), node.keys[option.name], variables)
