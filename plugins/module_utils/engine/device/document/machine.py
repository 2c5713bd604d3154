# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections ``hardware``, ``firmware`` and ``operating_system``."""

from __future__ import annotations

import os
import re
from typing import Dict

from .. import machine
from .items import Item, Items, add
from .tree import SystemTree

_MIB = 1 << 20
_MEMORY_STEP_MIB = 64  # the kernel keeps another part of the memory for itself with each version
_HUB = "09"


def read_hardware(tree: SystemTree) -> Items:
    """Return the machine, its processors and memory, and the devices of the PCI and USB buses."""
    hidden: Dict[str, str] = {}
    known = machine.hardware(tree.root, lambda what, reason: hidden.update({what: reason}))
    for name in ("serial", "uuid"):
        if "hardware." + name in hidden:
            known[name] = None
    items: Items = {"machine": known, "processor": machine.processors(tree.root)}
    items["memory"] = {"size_mib": _memory_mib(tree)}
    for name in tree.names("/sys/bus/pci/devices"):
        items["pci " + name] = _pci(tree, "/sys/bus/pci/devices/" + name)
    for name in tree.names("/sys/bus/usb/devices"):
        base = "/sys/bus/usb/devices/" + name
        vendor, product = tree.line(base + "/idVendor"), tree.line(base + "/idProduct")
        if vendor and tree.line(base + "/bDeviceClass") != _HUB:
            serial = tree.line(base + "/serial")
            key = " ".join(filter(None, ("usb %s:%s" % (vendor, product), serial)))
            add(items, key, {"name": tree.line(base + "/product"), "manufacturer": tree.line(base + "/manufacturer")})
    return items


def read_firmware(tree: SystemTree) -> Items:
    return {"firmware": machine.firmware(tree.root)}


def read_system(tree: SystemTree) -> Items:
    """Return the operating system, its kernel, and what the system calls itself."""
    known = machine.operating_system(tree.root, lambda dummy_what, dummy_reason: None)
    if not tree.is_running:
        known["architecture"] = known["architecture"] if tree.exists("/proc/sys/kernel/arch") else None
    name = tree.line("/etc/hostname").split("#")[0].strip()
    known["host_name"] = name or known["host_name"]  # a name that DHCP gave changes with the network
    kernel: Item = {"version": known.pop("kernel"), "architecture": known.pop("architecture")}
    target = tree.link("/etc/systemd/system/default.target") or tree.link("/lib/systemd/system/default.target")
    known.update(time_zone=_time_zone(tree), default_target=target.rpartition("/")[2], locale=_locale(tree))
    return {"system": known, "kernel": kernel}


def _pci(tree: SystemTree, base: str) -> Item:
    names = {"vendor": "vendor", "device": "device", "class": "class", "revision": "revision"}
    item: Item = {field: tree.line("%s/%s" % (base, place)).replace("0x", "") for field, place in names.items()}
    parts = (tree.line(base + "/subsystem_vendor"), tree.line(base + "/subsystem_device"))
    item["subsystem"] = ":".join(part.replace("0x", "") for part in parts if part)
    return item


def _memory_mib(tree: SystemTree) -> int:
    """The installed memory, where the kernel counts it in blocks, else the memory of the kernel, rounded."""
    base = "/sys/devices/system/memory"
    block = tree.line(base + "/block_size_bytes")
    blocks = [name for name in tree.names(base) if re.fullmatch(r"memory\d+", name)]
    if blocks and re.fullmatch(r"[0-9a-f]{1,12}", block):
        return len(blocks) * int(block, 16) // _MIB
    step = _MEMORY_STEP_MIB * _MIB
    return (machine.memory_bytes(tree.root) + step // 2) // step * _MEMORY_STEP_MIB


def _time_zone(tree: SystemTree) -> str:
    link = tree.link("/etc/localtime")
    return link.partition("zoneinfo/")[2] if "zoneinfo/" in link else tree.line("/etc/timezone")


def _locale(tree: SystemTree) -> str:
    for place in ("/etc/locale.conf", "/etc/default/locale"):
        found = re.search(r"^LANG=[\"']?([\w.@-]+)", tree.text(place), re.MULTILINE)
        if found:
            return found.group(1)
    return os.path.basename(tree.link("/etc/locale"))
