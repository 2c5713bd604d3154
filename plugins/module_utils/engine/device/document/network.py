# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``network``: interfaces with their addresses, the default route, name servers, names of other hosts.

The document has "dynamic" in place of an address that is lent: a renewal is not a change. So are the route and the name
servers that come with it.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import Dict, List, Set

from .addresses import by_interface, read_addresses
from .items import Item, Items
from .network_files import configured, is_dynamic
from .tree import SystemTree

_NET = "/sys/class/net"
# Interfaces that containers, virtual machines, tunnels and kernel modules make when they start.
_PASSING = re.compile(
    r"lo|veth.*|vnet\d+|tap.*|tun.*|cali.*|cni.*|flannel.*|br-[0-9a-f]{12}|ppp\d+|sit0|tunl0|ip6tnl0|ip6_vti0|ip_vti0|gre0|gretap0"
    r"|erspan0|ip6gre0|ifb\d+|teql0|bonding_masters|lxc.*|vmnet.*|vxlan.*"
)
_RANDOM = "1"


def read_network(tree: SystemTree) -> Items:
    lines = configured(tree)
    addresses = by_interface(read_addresses()) if tree.is_running else {}
    shown = {name for name in tree.names(_NET) if not _PASSING.fullmatch(name)}
    items: Items = {}
    lent: Set[str] = set()
    for name in sorted(shown | set(lines)):
        found = addresses.get(name, [])
        if is_dynamic(lines.get(name, [])):  # some clients of DHCP tell the kernel nothing of the lease
            found = sorted({one if ":" in one or "IPv" in one else "dynamic IPv4" for one in found})
        if any(one.startswith("dynamic IPv4") for one in found) or is_dynamic(lines.get(name, [])):
            lent.add(name)
        items[name] = _interface(tree, name, name in shown, found, lines.get(name, []))
    own = [one for one in addresses.get("lo", []) if not ipaddress.ip_interface(one).is_loopback]
    if own:
        items["lo"] = {"mac_address": "", "addresses": own, "configured": []}
    items["default route"] = {"gateways": _gateways(tree, lent)}
    items["name servers"] = _name_servers(tree, bool(lent))
    for address, names in _hosts(tree).items():
        items["host %s" % address] = {"names": names}
    return items


def lent_addresses(tree: SystemTree) -> Dict[str, str]:
    """Return the addresses of this system that are lent, each with the words that stand for it."""
    lines = configured(tree) if tree.is_running else {}
    return {
        str(ipaddress.ip_interface(one.text).ip): "dynamic IPv%d" % one.version
        for one in (read_addresses() if tree.is_running else [])
        if one.is_dynamic or (one.version == 4 and is_dynamic(lines.get(one.interface, [])))
    }


def _interface(tree: SystemTree, name: str, is_shown: bool, addresses: List[str], lines: List[str]) -> Item:
    base = "%s/%s" % (_NET, name)
    mac = tree.line(base + "/address") if is_shown else None
    if tree.line(base + "/addr_assign_type") == _RANDOM:
        mac = "random"
    return {"mac_address": mac, "addresses": addresses if tree.is_running else None, "configured": lines}


def _gateways(tree: SystemTree, lent: Set[str]) -> List[str]:
    found = set()
    for line in tree.text("/proc/net/route").split("\n")[1:]:
        fields = line.split()
        if len(fields) >= 8 and fields[1] == "00000000" and re.fullmatch(r"[0-9A-F]{8}", fields[2]):
            gateway = str(ipaddress.ip_address(struct.pack("=I", int(fields[2], 16))))
            if not _PASSING.fullmatch(fields[0]):
                found.add("%s by %s" % ("dynamic" if fields[0] in lent else gateway, fields[0]))
    return sorted(found)


def _name_servers(tree: SystemTree, is_lent: bool) -> Item:
    if is_lent:
        return {"servers": ["dynamic"], "search": []}
    rows = [line.split() for line in tree.text("/etc/resolv.conf").split("\n")]
    servers = [row[1] for row in rows if len(row) > 1 and row[0] == "nameserver"]
    search = [word for row in rows if row and row[0] in ("search", "domain") for word in row[1:]]
    return {"servers": servers, "search": search}


def _hosts(tree: SystemTree) -> Dict[str, List[str]]:
    found: Dict[str, List[str]] = {}
    for line in tree.text("/etc/hosts").split("\n"):
        words = line.split("#")[0].split()
        if len(words) > 1:
            found.setdefault(words[0], []).extend(words[1:])
    return {address: sorted(set(names)) for address, names in found.items()}
