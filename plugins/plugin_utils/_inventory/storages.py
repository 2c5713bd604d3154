# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storages of a host as its variables define them: which keys hold, and which of them can't stand together."""

from __future__ import annotations

import re
from typing import Iterator, Tuple
from urllib.parse import unquote, urlsplit

from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    FileUnchecked,
    SettingRefused,
    SettingsConflict,
    SettingUrlRefused,
    StorageCredentialInvalid,
    StorageUrlInvalid,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.errors import SmbError
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.unc import parse_unc
from ansible_collections.plantops.imaging.plugins.module_utils.engine.storage.sftp.address import PORT, parse_url
from ansible_collections.plantops.imaging.plugins.module_utils.engine.storage.sftp.hostkey import HostKeys
from ansible_collections.plantops.imaging.plugins.module_utils.engine.storage.url import check_url
from ansible_collections.plantops.imaging.plugins.module_utils.settings.precedence import flat_of
from ansible_collections.plantops.imaging.plugins.module_utils.settings.setting import PREFIX

from .expressions import text_of
from .finding import Issue, issue
from .nodes import Node, Variables

WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]")  # how an absolute one begins
_KEYS = ("private_key", "private_key_file")
_OF_SFTP = (*_KEYS, "private_key_passphrase", "host_key", "known_hosts_file")
_OF_SHARES = ("port", "require_encryption", "own_ntlm")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_PLAIN = re.compile(r"%(?:2[dDeE]|3[0-9]|4[1-9A-Fa-f]|5[0-9AafF]|6[1-9A-Fa-f]|7[0-9AaeE])")  # letters, digits, - . _ ~
_SEPARATOR = re.compile(r"%(?:2[fF]|5[cC])")


_NO_ADDRESS = "it is neither an address of SFTP, a UNC path nor an absolute path"
# How people write the address of a storage elsewhere, and how it is written here.
_SPELLINGS = tuple(
    (re.compile(begin, re.IGNORECASE), words)
    for begin, words in (
        (r"(?:smb|cifs|afp)://|//", r"write the share as \\server\share\path"),
        (r"\\[^\\]", r"it begins with one backslash; write \\server\share\path in single quotes"),
        (r"sftp:", "write it as sftp://server/path, in lower case"),
        (
            r"(?:ssh|scp|ftps?|rsync)://|[\w.-]+@[\w.-]+:|[\w.-]{2,}:/(?!/)",
            "write the address of an SFTP server as sftp://server/path",
        ),
        (r"[a-z][a-z0-9+.-]+://", "this kind of storage is unknown; known are SFTP servers, shares and directories"),
        (r"[~.$]", "a directory needs its absolute path"),
    )
)


def storage_of(variables: Variables, name: str) -> Variables:
    """Return the keys of a storage, the flat spellings included."""
    node = variables.get(PREFIX + name)
    said = {key: one for key, one in (node.keys if node else {}).items() if one.value is not None}
    flat = flat_of(PREFIX + name, variables)
    return {**{key: one for key, one in flat.items() if one.value not in ("", None)}, **said}


def kind_of(url: str) -> str:
    """Return C(sftp), C(share), C(directory), or "" for anything else."""
    if url.startswith("sftp://"):
        return "sftp"
    if url.startswith("\\\\"):
        return "share"
    if WINDOWS_PATH.match(url):
        return "directory"
    return "directory" if url.startswith(("/", "file:///")) and not url.startswith("//") else ""


def issues(storage: Variables, variables: Variables, name: str, job: str = "") -> Iterator[Issue]:
    """Yield what is impossible in a storage, called ``name``."""
    url = text_of(storage.get("url"), variables)
    if url is None or not url:
        return
    if storage["url"].value is True or storage["url"].value is False:
        return  # its type is reported
    node = storage["url"]
    key = name + ".url"
    try:
        check_url(url)
    except StorageUrlInvalid as error:
        yield issue(SettingUrlRefused(key=key, reason=error.fields["reason"]), key, node, job)
        return
    kind = kind_of(url)
    reason = _why_refused(kind, url)
    if reason:
        yield issue(SettingUrlRefused(key=key, reason=reason), key, node, job)
        return
    yield from _host_key(kind, storage, name, job)
    for wrong, other, reason in _conflicts(kind, storage):
        conflict = SettingsConflict(key="%s.%s" % (name, wrong), other="%s.%s" % (name, other), reason=reason)
        yield issue(conflict, "%s.%s" % (name, wrong), storage[wrong], job)


def _host_key(kind: str, storage: Variables, name: str, job: str) -> Iterator[Issue]:
    """Yield why the engine does not understand the host key. A file with one is on the machine that does the work."""
    node = storage.get("host_key")
    if kind != "sftp" or node is None or node.is_open or not isinstance(node.value, str) or not node.value:
        return
    key = "%s.host_key" % name
    if node.value.startswith(("/", "~")) and "\n" not in node.value:
        yield issue(FileUnchecked(key=key), key, node, job)
        return
    try:
        HostKeys("server", PORT, "server", {"host_key": node.value}, lambda dummy_warning: None)
    except StorageCredentialInvalid as error:
        if node.value.strip() and "none of its lines" not in str(error.fields["reason"]):
            yield issue(SettingRefused(key=key, reason=error.fields["reason"]), key, node, job)


def _why_refused(kind: str, url: str) -> str:
    """Return why the engine refuses an address, "" if it does not; the storage is not asked."""
    try:
        if kind == "sftp":
            parse_url(url)
        elif kind == "share":
            parse_unc(url)
        elif not kind:
            return next((words for begin, words in _SPELLINGS if begin.match(url)), _NO_ADDRESS)
    except StorageUrlInvalid as error:
        return str(error.fields["reason"])
    except SmbError as error:
        return error.reason
    return _why_path(kind, url)


def _why_path(kind: str, url: str) -> str:
    """Return why a path is refused that has another spelling, or that a server would change: two devices could share a
    directory without their names telling it."""
    path = url[len("file://") :] if url.startswith("file://") else url
    if kind == "sftp":
        path = urlsplit(url).path
        plain = _PLAIN.search(path)
        if plain:
            return "write %s instead of %s" % (unquote(plain.group()), plain.group())
        if _SEPARATOR.search(path):
            return "it contains an encoded separator"
        path = unquote(path)
    elif _ENCODED.search(path):
        return "%s is not decoded in it; write the character itself" % _ENCODED.findall(path)[0]
    if any(ord(character) < 32 or ord(character) == 127 for character in path):
        return "it contains a control character"
    names = re.split(r"[\\/]" if kind == "share" or WINDOWS_PATH.match(path) else "/", path)
    for name in names:
        if name in (".", ".."):
            return "it contains the part %s" % name
        if name and name[-1] in ". ":
            return "its part %s ends in a dot or a space" % name[:80]
    return ""


def _conflicts(kind: str, storage: Variables) -> Iterator[Tuple[str, str, str]]:
    if all(key in storage for key in _KEYS):
        yield "private_key_file", "private_key", "a login has one key"
    if "private_key_passphrase" in storage and not any(key in storage for key in _KEYS):
        yield "private_key_passphrase", "private_key", "there is no key that it opens"
    for key in _OF_SFTP:
        if kind != "sftp" and key in storage and _says(storage[key]):
            yield key, "url", "only an SFTP server uses it"
    for key in _OF_SHARES:
        if kind != "share" and key in storage and _says(storage[key]):
            yield key, "url", "only a share uses it"


def _says(node: Node) -> bool:
    return node.value not in (None, "", False)
