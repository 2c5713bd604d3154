# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of this machine's interfaces, and which of them are lent, from the kernel. Sources: netlink(7), rtnetlink(7)."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from typing import Dict, Iterator, List, NamedTuple

from .tree import Unreadable

_HEADER = struct.Struct("=IHHII")
_ADDRESS = struct.Struct("=BBBBI")
_GET_ADDRESSES, _DUMP, _REQUEST = 22, 0x300, 1
_DONE, _ERROR, _NEW_ADDRESS = 3, 2, 20
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO, _IFA_FLAGS = 1, 2, 6, 8
_PERMANENT, _TEMPORARY = 0x80, 0x01
_FOR_EVER = 0xFFFFFFFF
_OF_THE_LINK = 253
_MOST_ANSWERS = 1000
_SECONDS = 2.0


class Address(NamedTuple):
    interface: str
    text: str  # with the length of the prefix
    version: int
    is_dynamic: bool


def read_addresses() -> List[Address]:
    """Return the addresses that reach further than a link.

    :raises Unreadable: when the kernel does not tell.
    """
    try:
        return list(_answers())
    except (OSError, struct.error, ValueError) as error:
        raise Unreadable("the kernel does not show the addresses: %s" % error) from None


def _answers() -> Iterator[Address]:
    with contextlib.closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)) as channel:  # NETLINK_ROUTE
        channel.settimeout(_SECONDS)
        body = _ADDRESS.pack(0, 0, 0, 0, 0)
        channel.send(_HEADER.pack(_HEADER.size + len(body), _GET_ADDRESSES, _REQUEST | _DUMP, 1, 0) + body)
        for dummy in range(_MOST_ANSWERS):
            data = channel.recv(1 << 18)
            at = 0
            while at + _HEADER.size <= len(data):
                length, kind, dummy_flags, dummy_number, dummy_port = _HEADER.unpack_from(data, at)
                if kind in (_DONE, _ERROR) or length < _HEADER.size:
                    return
                if kind == _NEW_ADDRESS:
                    yield from _parse(data[at + _HEADER.size : at + length])
                at += (length + 3) & ~3


def _parse(message: bytes) -> Iterator[Address]:
    family, prefix, flags, scope, index = _ADDRESS.unpack_from(message)
    attributes = _attributes(message[_ADDRESS.size :])
    packed = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS) or b""
    if scope >= _OF_THE_LINK or len(packed) not in (4, 16) or family not in (socket.AF_INET, socket.AF_INET6):
        return
    flags = struct.unpack("=I", attributes[_IFA_FLAGS][:4])[0] if _IFA_FLAGS in attributes else flags
    valid = struct.unpack_from("=II", attributes.get(_IFA_CACHEINFO, b"\xff" * 8))[1]
    address = ipaddress.ip_address(packed)
    is_dynamic = valid != _FOR_EVER or not flags & _PERMANENT or (address.version == 6 and bool(flags & _TEMPORARY))
    yield Address(socket.if_indextoname(index), "%s/%d" % (address, prefix), address.version, is_dynamic)


def _attributes(data: bytes) -> Dict[int, bytes]:
    found: Dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found[kind] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def by_interface(addresses: List[Address]) -> Dict[str, List[str]]:
    """Return for each interface its static addresses, and "dynamic IPv4" or "dynamic IPv6" for lent ones."""
    found: Dict[str, List[str]] = {}
    for one in sorted(addresses):
        text = "dynamic IPv%d" % one.version if one.is_dynamic else one.text
        if text not in found.setdefault(one.interface, []):
            found[one.interface].append(text)
    return found
