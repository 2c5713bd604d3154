# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network as the system's files configure it: ifupdown, systemd-networkd, NetworkManager, ifcfg, netplan, dhcpcd.

Sources: interfaces(5), systemd.network(5), nm-settings-keyfile(5), netplan(5), dhcpcd.conf(5). Of files that also hold keys of
wireless networks the lines about addresses are taken alone.
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Tuple

from .tree import SystemTree
from .units import parse_unit

DYNAMIC = "dhcp"
_Line = Tuple[str, str]  # interface, what is configured
_IFUPDOWN = ("address", "netmask", "gateway", "dns-nameservers", "mtu", "hwaddress", "vlan-raw-device", "bridge_ports")
_NETWORKD = ("Network.DHCP", "Network.Address", "Network.Gateway", "Network.DNS", "Address.Address", "Route.Gateway")
_KEYFILE = re.compile(r"ipv[46]\.(method|address\d*|addresses\d*|gateway|dns|route\d*)")
_IFCFG = re.compile(r"\s*(BOOTPROTO|IPADDR\d*|PREFIX\d*|NETMASK\d*|GATEWAY\d*|DNS\d*|MTU|ONBOOT)=[\"']?([^\"'\n#]*)")
_DHCPCD = re.compile(r"\s*(static\s+(?:ip_address|routers|domain_name_servers)=.*|inform\b.*)")
_NETPLAN = re.compile(r"\s*(?:-\s+)?[\w.:/\"'\[\], -]+")
_NETPLAN_SECRET = re.compile(r"password|secret|private-key|client-key|psk", re.IGNORECASE)


def configured(tree: SystemTree) -> Dict[str, List[str]]:
    """Return what is configured for each interface, or for each connection that names no interface, sorted."""
    found: Dict[str, List[str]] = {}
    for read in (_ifupdown, _networkd, _network_manager, _ifcfg, _netplan, _dhcpcd):
        for interface, line in read(tree):
            found.setdefault(interface, []).append(" ".join(line.split()))
    return {interface: sorted(set(lines)) for interface, lines in found.items()}


def is_dynamic(lines: List[str]) -> bool:
    """Whether the configuration of an interface asks for a lent address."""
    return any(
        re.search(r"\bdhcp|method auto|DHCP (yes|ipv4|true)|BOOTPROTO dhcp|dhcp4: *(true|yes)", line) for line in lines
    )


def _in_folder(tree: SystemTree, folder: str, suffix: str) -> List[str]:
    return ["%s/%s" % (folder, name) for name in tree.names(folder) if name.endswith(suffix) and name[0] != "."]


def _ifupdown(tree: SystemTree) -> Iterator[_Line]:
    base = "/etc/network/interfaces"
    for place in [base, *(one for one in _in_folder(tree, base + ".d", "") if "~" not in one and ".dpkg-" not in one)]:
        interface = ""
        for line in tree.text(place).split("\n"):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] == "iface" and len(words) >= 4:
                interface = words[1]
                if interface != "lo":
                    yield interface, "%s %s" % (words[2], words[3])
            elif words[0] in ("auto", "mapping", "source", "source-directory") or words[0].startswith("allow-"):
                interface = ""
            elif interface not in ("", "lo") and words[0] in _IFUPDOWN:
                yield interface, line


def _networkd(tree: SystemTree) -> Iterator[_Line]:
    for place in _in_folder(tree, "/etc/systemd/network", ".network"):
        settings = parse_unit(tree.text(place))
        names = settings.get("Match.Name", [])
        for name in " ".join(names).split() or [place]:
            for setting in _NETWORKD:
                for value in settings.get(setting, []):
                    yield name, "%s %s" % (setting.partition(".")[2], value)


def _network_manager(tree: SystemTree) -> Iterator[_Line]:
    for place in _in_folder(tree, "/etc/NetworkManager/system-connections", ""):
        settings = parse_unit(tree.text(place))
        named = settings.get("connection.interface-name") or [
            "connection %s" % "".join(settings.get("connection.id", []))
        ]
        for setting, values in settings.items():
            if _KEYFILE.fullmatch(setting):
                for value in values:
                    yield named[0], setting.replace(".", " ") + " " + value


def _ifcfg(tree: SystemTree) -> Iterator[_Line]:
    for folder in ("/etc/sysconfig/network-scripts", "/etc/sysconfig/network"):
        for place in _in_folder(tree, folder, ""):
            name = place.rpartition("/ifcfg-")[2] if "/ifcfg-" in place else ""
            if not name or name == "lo" or ("." in name and name.endswith((".bak", ".rpmsave", ".orig"))):
                continue
            for line in tree.text(place).split("\n"):
                match = _IFCFG.match(line)
                if match:
                    yield name, "%s %s" % match.groups()


def _netplan(tree: SystemTree) -> Iterator[_Line]:
    """Its lines in order with the line above each that they belong to: no YAML is parsed here."""
    for place in _in_folder(tree, "/etc/netplan", ".yaml"):
        above: List[Tuple[int, str]] = []
        for line in tree.text(place).split("\n"):
            text = line.split(" #")[0].rstrip()
            if (
                not text.strip()
                or text.lstrip()[0] == "#"
                or _NETPLAN_SECRET.search(text)
                or not _NETPLAN.fullmatch(text)
            ):
                continue
            depth = len(text) - len(text.lstrip())
            above = [one for one in above if one[0] < depth]
            words = [one[1].rstrip(":") for one in above]
            if len(words) >= 3 and words[0] == "network":
                yield words[2], " ".join([*words[3:], text.strip()])
            above.append((depth, text.strip()))


def _dhcpcd(tree: SystemTree) -> Iterator[_Line]:
    interface = ""
    for line in tree.text("/etc/dhcpcd.conf").split("\n"):
        words = line.split()
        if len(words) == 2 and words[0] == "interface":
            interface = words[1]
        elif interface and _DHCPCD.match(line):
            yield interface, line
