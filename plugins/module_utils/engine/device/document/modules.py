# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections ``drivers`` and ``kernel_modules``.

The kernel loads and removes modules on demand, also for an image. So a loaded module counts where that is a property of
the device: it drives a piece of hardware, it is not a part of the kernel, or the system's configuration names it.
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, Set, Tuple

from .items import Items
from .tree import SystemTree

_CONFIGURATION = (
    "/etc/modules-load.d",
    "/usr/local/lib/modules-load.d",
    "/usr/lib/modules-load.d",
    "/lib/modules-load.d",
)
_BUSES = ("pci", "usb", "platform", "virtio", "scsi", "acpi", "i2c", "spi", "pnp", "hid", "serio", "vmbus", "xen")
_LOADED = re.compile(r"(\S+) \d+ \d+ \S+ \w+ \S+(?: \((\w+)\))?")
_BY_THE_RUN = frozenset(["dm_snapshot", "dm_bufio", "nbd", "loop"])
_BLACKLIST = re.compile(r"\s*blacklist\s+(\S+)")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read_drivers(tree: SystemTree) -> Items:
    """Return the driver of each device of the PCI bus and the like."""
    items: Items = {}
    for bus, device, driver in _bound(tree, ("pci", "virtio", "vmbus", "xen")):
        module = tree.link("/sys/bus/%s/drivers/%s/module" % (bus, driver)).rpartition("/")[2]
        version = tree.line("/sys/module/%s/version" % module) if module else ""
        items["%s %s" % (bus, device)] = {"driver": driver, "module": module, "version": version}
    return items


def read_modules(tree: SystemTree) -> Items:
    configured = set(_configured(tree))
    driving = _driving(tree)
    items: Items = {}
    for match in filter(None, map(_LOADED.fullmatch, tree.text("/proc/modules").split("\n"))):
        name, taints = match.group(1), match.group(2) or ""
        is_foreign = bool(set(taints) & set("POE"))
        why = "hardware" if name in driving else "not part of the kernel" if is_foreign else ""
        if name.replace("-", "_") in configured:
            why = why or "configuration"
        if why and name not in _BY_THE_RUN:
            version = tree.line("/sys/module/%s/version" % name)
            items[name] = {"loaded": True, "because": why, "version": version, "blacklisted": False}
    for name in configured - set(items):
        items[name] = {"loaded": None, "because": "configuration", "version": "", "blacklisted": False}
    for name in _blacklisted(tree):
        known = {"loaded": None, "because": "configuration", "version": ""}
        items[name] = dict(items.get(name, known), blacklisted=True)
    return items


def _configured(tree: SystemTree) -> Iterator[str]:
    places = ["/etc/modules"]
    for folder in _CONFIGURATION:
        places += ["%s/%s" % (folder, name) for name in tree.names(folder) if name.endswith(".conf")]
    for place in places:
        for line in tree.text(place).split("\n"):
            words = line.split()
            if words and words[0][0] not in "#;" and _NAME.fullmatch(words[0]):
                yield words[0].replace("-", "_")


def _blacklisted(tree: SystemTree) -> Set[str]:
    """The modules that the administrator keeps from being loaded."""
    texts = [tree.text("/etc/modprobe.d/" + name) for name in tree.names("/etc/modprobe.d") if name.endswith(".conf")]
    found = [match.group(1) for text in texts for match in map(_BLACKLIST.match, text.split("\n")) if match]
    return {name.replace("-", "_") for name in found if _NAME.fullmatch(name)}


def _driving(tree: SystemTree) -> Set[str]:
    """The modules whose drivers have a device."""
    modules: Dict[Tuple[str, str], str] = {}
    for bus, dummy_device, driver in _bound(tree, _BUSES):
        if (bus, driver) not in modules:
            place = "/sys/bus/%s/drivers/%s/module" % (bus, driver)
            modules[bus, driver] = tree.link(place).rpartition("/")[2]
    return set(filter(None, modules.values()))


def _bound(tree: SystemTree, buses: Tuple[str, ...]) -> Iterator[Tuple[str, str, str]]:
    for bus in buses:
        base = "/sys/bus/%s/devices" % bus
        for device in tree.names(base):
            driver = tree.link("%s/%s/driver" % (base, device)).rpartition("/")[2]
            if driver:
                yield bus, device, driver
