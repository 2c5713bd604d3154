# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``\\\\server\\share\\path``: what it names."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple, Tuple

from ..names import why_invalid
from .errors import Failure, SmbError

_MAX_SHARE_LENGTH = 80  # [MS-SRVS 2.2.4.23]: what Windows lets a share be called
_LITERAL = ".ipv6-literal.net"


class UncPath(NamedTuple):
    """``\\\\server\\share\\path``; ``names`` is the path's."""

    server: str
    share: str
    names: Tuple[str, ...]

    def __str__(self) -> str:
        return "\\\\" + "\\".join((self.server, self.share, *self.names))

    @property
    def host(self) -> str:
        """The host to connect to: an IPv6 address without its brackets, or out of ``fe80--1s4.ipv6-literal.net``."""
        return _address(self.server) or self.server


def parse_unc(url: str) -> UncPath:
    """Split ``\\\\server\\share\\path``. An IPv6 address stands in brackets, or is written as Windows does where ``:``
    is not permitted (``2001-db8--1.ipv6-literal.net``, a zone after ``s``).

    :raises SmbError: when it is not of that form, or a name in it is one that a share can't hold.
    """
    parts = url[2:].rstrip("\\").split("\\")
    reason = ""
    if not url.startswith("\\\\") or len(parts) < 2 or not all(parts):
        reason = "it is not of the form \\\\server\\share\\path"
    elif _holds_port(parts[0]):
        raise SmbError(Failure.PORT_IN_ADDRESS, about=url)
    else:
        reason = _why_no_server(parts[0]) or _why_no_share(parts[1])
    if reason:
        raise SmbError(Failure.ADDRESS_INVALID, reason, about=url)
    for name in parts[1:]:
        if why_invalid(name):
            raise SmbError(Failure.ADDRESS_INVALID, "%s in it: %s" % (name[:80], why_invalid(name)), about=url)
    return UncPath(parts[0], parts[1], tuple(parts[2:]))


def _why_no_server(server: str) -> str:
    if _address(server):
        return ""
    if _is_ipv6(server):
        return "write an IPv6 address in brackets: [%s]" % server
    if server in ("?", ".") or any(character in '/@:*?"<>| []' or ord(character) < 32 for character in server):
        return "%s is not a server name" % "".join(one for one in server if one.isprintable())[:80]
    return ""


def _holds_port(server: str) -> bool:
    return ":" in server and not server.startswith("[") and not _is_ipv6(server)


def _why_no_share(share: str) -> str:
    if len(share) > _MAX_SHARE_LENGTH or share.lower() in ("ipc$", "pipe"):
        return "%s is not a share for files" % share[:80]
    return ""


def _address(server: str) -> str:
    """Return the IPv6 address that a server's name stands for, "" for any other name."""
    name = server
    if server.startswith("[") and server.endswith("]"):
        name = server[1:-1].replace("%25", "%", 1)
    elif server.lower().endswith(_LITERAL):
        name = server[: -len(_LITERAL)].replace("-", ":").replace("s", "%", 1).replace("S", "%", 1)
    else:
        return ""
    return name if _is_ipv6(name) else ""


def _is_ipv6(name: str) -> bool:
    address, separator, zone = name.partition("%")  # Python 3.8 knows no zones
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return not separator or (zone.replace("_", "").replace("-", "").replace(".", "").isalnum() and zone.isascii())
