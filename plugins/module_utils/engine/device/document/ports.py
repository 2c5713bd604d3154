# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``listening_ports``: which programs wait for connections, from /proc. Sources: proc(5), Documentation/networking/proc_net_tcp.rst.

A port that the kernel chose for a program differs after each start; the document names its program alone, and skips it
for UDP and for loopback addresses. A lent address differs after each lease, and clients of DHCP
wait for answers on it: the document names it as dynamic.
"""

from __future__ import annotations

import ipaddress
import os
import re
import struct
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from .items import Items
from .network import lent_addresses
from .tree import SystemTree, Unreadable

_LISTENING, _UNCONNECTED = "0A", "07"
_TABLES = (
    ("tcp", "tcp", _LISTENING),
    ("tcp", "tcp6", _LISTENING),
    ("udp", "udp", _UNCONNECTED),
    ("udp", "udp6", _UNCONNECTED),
)
_TABLE_BYTES = 32 << 20
_CHOSEN_BY_THE_KERNEL = (32768, 60999)
_MOST_SOCKETS = 10_000
_OF_A_SESSION = frozenset(["sshd", "sshd-session", "ssh"])
_SERVICE = re.compile(r"([^/]+\.service)(?:/|$)")
_PROC_BYTES = 64 << 10


class _Socket(NamedTuple):
    protocol: str
    address: str
    port: int
    inode: str


class _Program(NamedTuple):
    started: int
    pid: int
    name: str
    service: str


def read_ports(tree: SystemTree) -> Items:
    sockets = list(_sockets(tree))
    first, last = _chosen_by_the_kernel(tree)
    programs = _programs(tree, {one.inode for one in sockets})
    lent = lent_addresses(tree)
    items: Items = {}
    for one in sorted(sockets):
        program = programs.get(one.inode)
        name, service = (program.name, program.service) if program else (None, None)
        is_local = ipaddress.ip_address(one.address).is_loopback
        is_passing = first <= one.port <= last
        if (is_passing and (is_local or one.protocol == "udp" or not name)) or (is_local and name in _OF_A_SESSION):
            continue
        address = lent.get(one.address, one.address)
        place = "%s port of %s" % (address, name) if is_passing else _place(one._replace(address=address))
        key = "%s %s" % (one.protocol, place)
        items[key] = {"program": name, "service": service}
    return items


def _place(socket: _Socket) -> str:
    return ("[%s]:%d" if ":" in socket.address else "%s:%d") % (socket.address, socket.port)


def _chosen_by_the_kernel(tree: SystemTree) -> Tuple[int, int]:
    fields = tree.line("/proc/sys/net/ipv4/ip_local_port_range").split()
    if len(fields) == 2 and all(field.isdigit() and len(field) < 6 for field in fields):
        return int(fields[0]), int(fields[1])
    return _CHOSEN_BY_THE_KERNEL


def _sockets(tree: SystemTree) -> Iterator[_Socket]:
    count = 0
    for protocol, table, state in _TABLES:
        for line in tree.text("/proc/net/" + table, _TABLE_BYTES).split("\n")[1:]:
            fields = line.split()
            if len(fields) < 10 or fields[3] != state or not fields[9].isdigit():
                continue
            address, dummy, port = fields[1].partition(":")
            shown = _address(address)
            if shown and re.fullmatch(r"[0-9A-F]{4}", port):
                count += 1
                if count > _MOST_SOCKETS:
                    raise Unreadable("there are more than %d listening sockets" % _MOST_SOCKETS)
                yield _Socket(protocol, shown, int(port, 16), fields[9])


def _address(text: str) -> str:
    """An address as the kernel prints it: words of 32 bits in the machine's order."""
    if not re.fullmatch(r"[0-9A-F]{8}(?:[0-9A-F]{24})?", text):
        return ""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    return str(ipaddress.ip_address(struct.pack("=%dI" % len(words), *words)))


def _programs(tree: SystemTree, wanted: Set[str]) -> Dict[str, _Program]:
    """The program of each socket, by its inode: where several processes have it, the one that started first."""
    found: Dict[str, _Program] = {}
    targets = {"socket:[%s]" % inode: inode for inode in wanted}
    own = str(os.getpid()) if tree.is_running else ""
    for pid in [name for name in tree.names("/proc") if name.isdigit() and name != own] if wanted else []:
        tree.check_time()
        held = [targets[link] for link in _descriptors(tree, pid) if link in targets]
        program = _program(tree, pid) if held else None
        if program is not None:
            found.update({inode: min(program, found.get(inode, program)) for inode in held})
    return found


def _descriptors(tree: SystemTree, pid: str) -> List[str]:
    try:
        names = tree.names("/proc/%s/fd" % pid)
    except Unreadable:
        tree.check_time()
        return []  # a process of another user, or one that ended
    base = tree.path("/proc/%s/fd" % pid)
    found = []
    for name in names:
        try:
            found.append(os.readlink(os.path.join(base, name)))
        except OSError:
            continue
    return found


def _program(tree: SystemTree, pid: str) -> Optional[_Program]:
    base = "/proc/" + pid
    name = os.path.basename(tree.link(base + "/exe").replace(" (deleted)", "")) or tree.line(base + "/comm")
    try:
        fields = tree.text(base + "/stat", _PROC_BYTES).rpartition(")")[2].split()
        services = _SERVICE.findall(tree.text(base + "/cgroup", _PROC_BYTES))
    except Unreadable:
        tree.check_time()
        return None
    started = int(fields[19]) if len(fields) > 19 and fields[19].isdigit() else 0
    return _Program(started, int(pid), name, services[-1] if services else "") if name else None
