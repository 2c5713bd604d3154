# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``network`` of Windows: what is configured for each interface; a lease of DHCP is "dynamic".

Source: "TCP/IP and NBT configuration parameters" (KB314053) of Microsoft for the values below Tcpip\\Parameters.
"""

from __future__ import annotations

from typing import Dict, List

from ..items import Item, Items
from .reading import Reader, Values
from .system import file_data

_ADAPTERS = "{4D36E972-E325-11CE-BFC1-08002BE10318}"
_NAMES = r"SYSTEM\CurrentControlSet\Control\Network\%s" % _ADAPTERS
_CLASS = r"SYSTEM\CurrentControlSet\Control\Class\%s" % _ADAPTERS
_PARAMETERS = r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters"
_HOSTS_BYTES = 1 << 20


def read_network(reader: Reader) -> Items:
    items: Items = {}
    adapters = _adapters(reader)
    lent = False
    for name in reader.names(_PARAMETERS + r"\Interfaces"):
        connection = reader.values(r"%s\%s\Connection" % (_NAMES, name)).text("Name")
        if not connection:
            continue  # of tunnels and of the system itself, which no person sees
        values = reader.values(r"%s\Interfaces\%s" % (_PARAMETERS, name))
        lent = lent or values.number("EnableDHCP") == 1
        items[connection] = _interface(values, adapters.get(name.upper()))
    own = reader.values(_PARAMETERS)
    items["name servers"] = {"servers": own.texts("NameServer"), "search": own.texts("SearchList")}
    items["static routes"] = {"routes": reader.values(_PARAMETERS + r"\PersistentRoutes").names}
    for address, names in _hosts(reader).items():
        items["host %s" % address] = {"names": names}
    return items


def _interface(values: Values, adapter: object) -> Item:
    is_lent = values.number("EnableDHCP") == 1
    pairs = zip(values.texts("IPAddress"), values.texts("SubnetMask"))
    item: Item = {
        "addresses": ["dynamic IPv4"] if is_lent else ["%s/%s" % pair for pair in pairs if pair[0] != "0.0.0.0"],
        "gateways": ["dynamic"] if is_lent else values.texts("DefaultGateway"),
        "name_servers": values.texts("NameServer") or (["dynamic"] if is_lent else []),
        "domain": values.text("Domain"),
        "mac_address": None,
    }
    item.update(adapter if isinstance(adapter, dict) else {"adapter": None, "driver_version": None})
    return item


def _adapters(reader: Reader) -> Dict[str, Item]:
    """Of each interface its adapter, and the MAC address that an administrator set in place of the built-in one."""
    found: Dict[str, Item] = {}
    for name in reader.names(_CLASS):
        if not name.isdigit():
            continue
        values = reader.values(r"%s\%s" % (_CLASS, name))
        item: Item = {"adapter": values.text("DriverDesc"), "driver_version": values.text("DriverVersion")}
        if values.text("NetworkAddress"):
            item["mac_address"] = values.text("NetworkAddress").lower()
        found[values.text("NetCfgInstanceId").upper()] = item
    return found


def _hosts(reader: Reader) -> Dict[str, List[str]]:
    text = file_data(reader.system, r"drivers\etc\hosts", _HOSTS_BYTES).decode("utf-8", "replace")
    found: Dict[str, List[str]] = {}
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if len(words) > 1:
            found.setdefault(words[0], []).extend(words[1:])
    return {address: sorted(set(names)) for address, names in found.items()}
