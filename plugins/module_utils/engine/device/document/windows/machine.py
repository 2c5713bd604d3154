# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections ``hardware``, ``firmware`` and ``operating_system`` of Windows.

Sources: SMBIOS, and the values of the registry that Windows itself shows in its system information.
"""

from __future__ import annotations

import re
from typing import Optional

from ....host.smbios import system_information
from ..items import Item, Items, add
from .reading import Reader, Values

CURRENT_VERSION = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
PROFILES = CURRENT_VERSION + r"\ProfileList"
CONTROL = r"SYSTEM\CurrentControlSet\Control"
_PROCESSORS = r"HARDWARE\DESCRIPTION\System\CentralProcessor"
_FIRMWARE = r"HARDWARE\DESCRIPTION\System\BIOS"
_PCI = r"SYSTEM\CurrentControlSet\Enum\PCI"
_KINDS = {1: "bios", 2: "uefi"}  # PEFirmwareType, Windows 8 and newer
_MIB = 1 << 20
_PCI_NAME = re.compile(r"VEN_([0-9A-F]{4})&DEV_([0-9A-F]{4})(?:&SUBSYS_([0-9A-F]{8}))?(?:&REV_([0-9A-F]{2}))?", re.I)
_FIRST_WINDOWS_11 = 22000


def read_hardware(reader: Reader) -> Items:
    """Return the machine as SMBIOS describes it, its processors and memory, and the devices of the PCI bus."""
    items: Items = {}
    facts = reader.system.facts() if reader.system.facts else None
    processors = reader.names(_PROCESSORS)
    if facts is not None:
        model = reader.values(_PROCESSORS + r"\0").text("ProcessorNameString")
        items["machine"] = dict(system_information(facts.firmware_table)._asdict())
        items["processor"] = {"model": model, "logical": len(processors)}
        items["memory"] = {"size_mib": facts.memory_bytes // _MIB}
    for name in reader.names(_PCI):
        match = _PCI_NAME.fullmatch(name)
        for instance in reader.names("%s\\%s" % (_PCI, name)) if match else ():
            values = reader.values("%s\\%s\\%s" % (_PCI, name, instance))
            vendor, device, subsystem, revision = match.groups() if match else ("", "", "", "")
            item: Item = {"vendor": vendor.lower(), "device": device.lower(), "subsystem": (subsystem or "").lower()}
            item.update(revision=(revision or "").lower(), name=plain(values, "DeviceDesc"))
            location = values.text("LocationInformation")
            place = re.search(r"(\d+),\s*(\d+),\s*(\d+)\W*$", location)
            slot = "%s:%s.%s" % place.groups() if place else "%s:%s" % (vendor.lower(), device.lower())
            add(items, "pci " + slot, item)
    return items


def read_firmware(reader: Reader) -> Items:
    """Return the firmware; its kind is unknown on Windows 7, which does not tell."""
    values = reader.values(_FIRMWARE)
    secure = reader.values(CONTROL + r"\SecureBoot\State").number("UEFISecureBootEnabled")
    kind = reader.values(CONTROL).number("PEFirmwareType")
    return {
        "firmware": {
            "kind": _KINDS.get(kind or 0) or ("uefi" if secure is not None else None),
            "secure_boot": None if secure is None else bool(secure),
            "vendor": values.text("BIOSVendor") or None,
            "version": values.text("BIOSVersion") or None,
            "date": values.text("BIOSReleaseDate") or None,
        }
    }


def read_system(reader: Reader) -> Items:
    """Return the product, its edition, kind and build, and the name of the computer."""
    values = reader.values(CURRENT_VERSION)
    computer = reader.values(CONTROL + r"\ComputerName\ComputerName").text("ComputerName")
    parameters = reader.values(r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters")
    zone = reader.values(CONTROL + r"\TimeZoneInformation")
    build = _build(reader, values)
    product = values.text("ProductName")
    if build >= _FIRST_WINDOWS_11:  # Windows 11 still calls itself 10 there
        product = product.replace("Windows 10", "Windows 11")
    system: Item = {
        "family": "windows",
        "name": product,
        "edition": values.text("EditionID"),
        "version": values.text("DisplayVersion") or values.text("ReleaseId") or values.text("CSDVersion"),
        "installation_type": values.text("InstallationType"),
        "product_type": product_type(reader),
        "host_name": computer,
        "domain": parameters.text("Domain") or parameters.text("NV Domain"),
        "machine_id": reader.values(r"SOFTWARE\Microsoft\Cryptography").text("MachineGuid").lower(),
        "time_zone": zone.text("TimeZoneKeyName"),
    }
    environment = reader.values(CONTROL + r"\Session Manager\Environment")
    kernel: Item = {"version": _version(reader, values, build)}
    return {
        "system": system,
        "kernel": dict(kernel, architecture=environment.text("PROCESSOR_ARCHITECTURE").lower()),
    }


def product_type(reader: Reader) -> Optional[str]:
    """``workstation`` or ``server`` as ProductType says, None for another word."""
    return kind_of_product(reader.values(CONTROL + r"\ProductOptions").text("ProductType"))


def kind_of_product(word: str) -> Optional[str]:
    """The kind that a word of ProductType means; LanmanNT is a domain controller."""
    return {"winnt": "workstation", "servernt": "server", "lanmannt": "server"}.get(word.lower())


def plain(values: Values, name: str) -> str:
    """A text that may have the place of its translation in front: ``@file,-number;text``."""
    text = values.text(name)
    return text.rpartition(";")[2] if text.startswith("@") else text


def _build(reader: Reader, values: Values) -> int:
    if reader.system.facts is not None:
        return reader.system.facts().version[2]
    text = values.text("CurrentBuildNumber") or values.text("CurrentBuild")
    return int(text) if re.fullmatch(r"\d{1,6}", text) else 0


def _version(reader: Reader, values: Values, build: int) -> str:
    revision = values.number("UBR")
    tail = ".%d" % revision if revision is not None else ""
    if reader.system.facts is not None:
        return "%d.%d.%d" % reader.system.facts().version + tail
    major, minor = values.number("CurrentMajorVersionNumber"), values.number("CurrentMinorVersionNumber")
    short = "%d.%d" % (major, minor or 0) if major is not None else values.text("CurrentVersion")
    return "%s.%d%s" % (short, build, tail) if short else ""
