# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``sftp://server:port/path``: what it names."""

from __future__ import annotations

import re
from typing import NamedTuple, Tuple
from urllib.parse import unquote, urlsplit

from ...errors import StorageUrlInvalid

PORT = 22
_NOT_OF_A_SERVER = re.compile(r"[\s\\<>\"{}|^`]")


class SftpAddress(NamedTuple):
    host: str
    port: int
    path: str

    @property
    def server(self) -> str:
        name = "[%s]" % self.host if ":" in self.host else self.host
        return name if self.port == PORT else "%s:%d" % (name, self.port)


def parse_url(url: str) -> SftpAddress:
    """Split ``sftp://server:port/path``; ``%20`` and the like are decoded; ``/~/path`` is relative to the home directory.

    An IPv6 address stands in brackets, its zone after ``%`` or ``%25`` [RFC 6874].

    :raises StorageUrlInvalid: when it is not of that form.
    """
    if any(ord(character) < 32 or ord(character) == 127 for character in url):
        raise StorageUrlInvalid(url=repr(url)[:200], reason="it contains a control character")
    try:
        parts = urlsplit(url)
        host, given = parts.hostname or "", parts.port
    except ValueError as error:
        raise StorageUrlInvalid(url=url, reason=str(error)) from None
    if "%25" in host and ":" in host:
        host = host.replace("%25", "%", 1)
    path, reason = _path(parts.path)
    if not host:
        reason = "it contains no server name"
    elif _NOT_OF_A_SERVER.search(host):
        reason = "its server name contains a character that no name of a server has"
    elif parts.username is not None:
        reason = "it contains more than a server, a port and a path"
    elif "?" in url or "#" in url:  # an empty query, too: it would be dropped without a word
        reason = "it contains more than a server, a port and a path; in a path write %3F for ? and %23 for #"
    elif given == 0:
        reason = "port 0 is not valid"
    if reason:
        shown = "sftp://..." if parts.username is not None else url.split("?")[0].split("#")[0]
        raise StorageUrlInvalid(url=shown, reason=reason)
    return SftpAddress(host, given or PORT, path)


def _path(encoded: str) -> Tuple[str, str]:
    """Return the path on the server and what is wrong with it."""
    try:
        path = unquote(encoded, errors="strict").rstrip("/") or "/"
    except UnicodeDecodeError:
        return "/", "its path is not UTF-8 when %XX is decoded"
    if "\0" in path:
        return "/", "its path contains a zero byte"
    if ".." in path.split("/"):
        return "/", "its path leads outside itself (..)"
    if path == "/~":
        return ".", ""
    return (path[3:].lstrip("/") or "." if path.startswith("/~/") else path), ""


def describe(address: SftpAddress) -> Tuple[str, str]:
    """Return the name of the storage in messages, and its root on the server."""
    root = address.path
    inside = root if root.startswith("/") else "/~/" if root == "." else "/~/" + root
    return "sftp://%s%s" % (address.server, inside), root
