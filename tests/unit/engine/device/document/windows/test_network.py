# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces of Windows: static addresses, leases without their values, the file of hosts."""

from __future__ import annotations

from pathlib import Path

from engine.device.document.windows.network import read_network
from support.windows.registries import Keys, reader

ADAPTERS = "{4D36E972-E325-11CE-BFC1-08002BE10318}"
PARAMETERS = r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters"
CONTROL = r"SYSTEM\CurrentControlSet\Control"


def interface(number: int, name: str) -> Keys:
    guid = "{00000000-0000-0000-0000-%012d}" % number
    adapter = {"NetCfgInstanceId": guid, "DriverDesc": "Adapter %d" % number, "DriverVersion": "1.0"}
    return {
        r"%s\Network\%s\%s\Connection" % (CONTROL, ADAPTERS, guid): {"Name": name},
        r"%s\Class\%s\%04d" % (CONTROL, ADAPTERS, number): dict(adapter),
        r"%s\Interfaces\%s" % (PARAMETERS, guid.lower()): {},
    }


def test_static_addresses_and_a_lease() -> None:
    keys = dict(interface(1, "Plant"), **interface(2, "Office"))
    keys[PARAMETERS + r"\Interfaces\{00000000-0000-0000-0000-000000000001}"] = {
        "EnableDHCP": 0,
        "IPAddress": ["10.0.0.5", "10.0.1.5"],
        "SubnetMask": ["255.255.255.0", "255.255.0.0"],
        "DefaultGateway": ["10.0.0.1"],
        "NameServer": "10.0.0.2,10.0.0.3",
    }
    keys[PARAMETERS + r"\Interfaces\{00000000-0000-0000-0000-000000000002}"] = {
        "EnableDHCP": 1,
        "DhcpIPAddress": "192.168.7.7",
        "DhcpNameServer": "192.168.7.1",
    }
    keys[PARAMETERS + r"\Interfaces\{99999999-0000-0000-0000-000000000002}"] = {"EnableDHCP": 1}
    keys[PARAMETERS + r"\PersistentRoutes"] = {"10.9.0.0,255.255.0.0,10.0.0.9,1": ""}
    found = read_network(reader(keys))
    assert found["Plant"]["addresses"] == ["10.0.0.5/255.255.255.0", "10.0.1.5/255.255.0.0"]
    assert (found["Plant"]["gateways"], found["Plant"]["name_servers"]) == (["10.0.0.1"], ["10.0.0.2", "10.0.0.3"])
    assert found["Plant"]["adapter"] == "Adapter 1"
    assert found["Office"]["addresses"] == ["dynamic IPv4"]
    assert found["static routes"]["routes"] == ["10.9.0.0,255.255.0.0,10.0.0.9,1"]
    assert set(found) == {"Plant", "Office", "name servers", "static routes"}
    assert "192.168.7" not in str(found), "a renewal is not a change"


def test_the_file_of_hosts(tmp_path: Path) -> None:
    (tmp_path / "drivers" / "etc").mkdir(parents=True)
    (tmp_path / "drivers" / "etc" / "hosts").write_text("# x\r\n10.0.0.9 plc7 plc7.plant # old\r\n", newline="")
    assert read_network(reader({}, folder=str(tmp_path)))["host 10.0.0.9"] == {"names": ["plc7", "plc7.plant"]}
