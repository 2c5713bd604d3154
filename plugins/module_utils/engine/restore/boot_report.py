# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the restored disks start: what the plan and the result report about it, and the warnings with what to do."""

from __future__ import annotations

import re
import shlex
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from ..device.disks import find_disks
from ..device.machine import hardware
from ..errors import EngineError
from ..host.stack import BlockTree
from ..image.format import documents
from ..image.format.constants import DEVICE_INFORMATION_NAME
from ..image.reader import ImageReader
from ..image.source import ImageSource
from . import boot_entry as entries
from .boot_code import has_other_grub
from .boot_entry import Entry, Machine, boot_entry, this_machine
from .boot_look import BootLook, look_at_boot
from .plan import PlannedDisk

_OWN_DRIVER = ("", "sata", "ide", "usb")  # transports that each Windows has a driver for
_PLAIN_LOADER = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*\Z")
_LABEL = "Restored by plantops.imaging"


class BootReport(NamedTuple):
    """``document`` is the field ``boot`` of the result."""

    document: Dict[str, Any]
    sentences: List[str]  # of the plan
    warnings: List[str]

    @property
    def made_entry(self) -> bool:
        """Whether the firmware of this machine was changed."""
        return any(one["entry"] == entries.CREATED for one in self.document["disks"])

    @property
    def lacks_entry(self) -> bool:
        """Whether a boot entry is to be created when the disks are restored."""
        return any(one["entry"] == entries.TO_CREATE for one in self.document["disks"])


def boot_report(
    reader: ImageReader, planned: Sequence[PlannedDisk], check: bool, machine: Optional[Machine] = None
) -> BootReport:
    """Look at the disks of the image; outside of check mode create the boot entry that is missing."""
    machine = machine or this_machine()
    told: List[Dict[str, Any]] = []
    warned: List[str] = []
    said: List[str] = []
    is_same = _is_same_machine(reader)
    for disk in planned:
        try:
            look = look_at_boot(disk.name, ImageSource(disk.reader), disk.scope.layout)
        except EngineError:
            continue  # the restore itself reports what is wrong with the image
        entry = _entry(machine, disk, look, check)
        told.append(_as_dict(look, entry))
        if look.starts:
            said.append(_sentence(disk, look, entry))
        warned += _warnings(disk, look, entry, machine)
        if not is_same:
            original = reader.manifest.disks[disk.number]
            is_nvme = original.stable_id.startswith("wwn:eui.") or "nvme" in original.contents.model.lower()
            warned += _warnings_of_another_machine(disk, look, "nvme" if is_nvme else "")
    return BootReport({"machine": "uefi" if machine.is_uefi else "bios", "disks": told}, said, warned)


def _entry(machine: Machine, disk: PlannedDisk, look: BootLook, check: bool) -> Entry:
    if look.efi_partition is None or look.scheme != "gpt":
        return Entry(entries.NOT_NEEDED, "the disk has no EFI partition in a GPT")
    if not _is_disk_of_this_machine(disk) or disk.found.table_stays:
        return Entry(entries.NOT_NEEDED, "no whole disk is restored to a disk of this machine")
    loader = _loader(look)
    if not look.efi_loaders and not look.efi_fallback:
        return Entry(entries.SKIPPED, "the EFI partition has no boot loader")
    return boot_entry(machine, disk.target.path, look.efi_partition, look.efi_id, loader, _LABEL, check)


def _is_disk_of_this_machine(disk: PlannedDisk) -> bool:
    return disk.target.is_device and disk.target.starts_this_machine


def _loader(look: BootLook) -> str:
    return (look.efi_loaders or ["EFI/BOOT/BOOTX64.EFI"])[0]


def _as_dict(look: BootLook, entry: Entry) -> Dict[str, Any]:
    document = look._asdict()
    document["sealed"] = [{"partition": number, "kind": kind} for number, kind in look.sealed]
    return dict(document, starts=look.starts, entry=entry.state, entry_reason=entry.reason)


def _sentence(disk: PlannedDisk, look: BootLook, entry: Entry) -> str:
    modes = {"uefi": "UEFI", "bios": "BIOS", "both": "UEFI and BIOS"}[look.starts]
    said = "%s starts with %s" % (disk.name, modes)
    if entry.state in (entries.CREATED, entries.TO_CREATE):
        said += "; a boot entry for it is created in the firmware of this machine"
    elif entry.state == entries.EXISTS:
        said += "; the firmware of this machine has a boot entry for it"
    return said


def _warnings(disk: PlannedDisk, look: BootLook, entry: Entry, machine: Machine) -> List[str]:
    found = []
    target = disk.target.path
    if look.efi_partition is not None and look.efi_fallback is False:
        loader = (look.efi_loaders or [""])[0]
        found.append(
            "The EFI partition %d of %s has no EFI/BOOT/BOOTX64.EFI, so only a firmware with a boot entry starts the "
            "disk. %s" % (look.efi_partition, disk.name, _remedy(loader, target, look.efi_partition))
        )
    if look.starts == "bios" and not look.boot_code:
        found.append(
            "%s has an active partition but no boot code in its first sector, so a BIOS does not start it. Write the "
            "boot code with the repair function of its system (Windows: bootrec /fixmbr)." % disk.name
        )
    if has_other_grub(disk):
        found.append(
            "Some partitions of %s are restored to %s, whose boot loader (GRUB for BIOS) differs from that of the image. If GRUB "
            "stops with an error afterwards, start the restored system from a rescue medium and run grub-install in it, or "
            "restore the whole disk." % (disk.name, target)
        )
    mode = "uefi" if machine.is_uefi else "bios"
    if _is_disk_of_this_machine(disk) and look.starts in ("uefi", "bios") and look.starts != mode:
        found.append(
            "%s starts only with %s, but this machine started with %s. Set the firmware of the machine that gets the "
            "disk to %s." % (disk.name, look.starts.upper(), mode.upper(), look.starts.upper())
        )
    if entry.state == entries.SKIPPED and entry.is_doubtful:
        found.append(
            "No boot entry for %s is created, because %s. If this machine is to start the disk, select it in the firmware "
            "menu%s." % (target, entry.reason, _or_run(_loader(look), target, look.efi_partition))
        )
    if entry.state == entries.FAILED:
        found.append(
            "No boot entry for %s was created: efibootmgr: %s. Select the disk in the firmware menu, or create the "
            "entry by hand." % (target, entry.reason.rstrip("."))
        )
    return found


def _remedy(loader: str, target: str, partition: int) -> str:
    if not loader:
        return "The partition has no known boot loader; repair it with the system's own installation medium."
    run = _or_run(loader, target, partition)
    option = "Restore with imaging_restore_boot_fallback to add it"
    if not run:
        return "%s, or copy its boot loader to that path." % option
    return "%s, or copy %s to that path%s." % (option, loader, run)


def _or_run(loader: str, target: str, partition: Optional[int]) -> str:
    """The command that creates the boot entry, for a root shell. Names on the imaged disk are hostile: none but plain ones."""
    if partition is None or not _PLAIN_LOADER.match(loader):
        return ""
    words = ["efibootmgr", "-c", "-d", target, "-p", str(partition), "-l", "\\" + loader.replace("/", "\\")]
    return ", or run " + " ".join(shlex.quote(one) for one in words)


def _warnings_of_another_machine(disk: PlannedDisk, look: BootLook, original: str) -> List[str]:
    """:param original: the transport of the imaged disk, where its id tells."""
    found = []
    for number, kind in look.sealed:
        key = "recovery key" if kind == "BitLocker" else "passphrase"
        found.append(
            "Partition %d of %s is encrypted (%s), and the TPM of another machine does not open it. Have the %s ready."
            % (number, disk.name, kind, key)
        )
    transport = _transport(disk)
    if look.is_windows and transport not in _OWN_DRIVER and transport != original:
        found.append(
            "Windows on %s may lack the driver for the storage controller of %s (%s), and then stops with "
            "INACCESSIBLE_BOOT_DEVICE. Set the controller to AHCI, or add the driver offline with dism /add-driver."
            % (disk.name, disk.target.path, transport)
        )
    return found


def _transport(disk: PlannedDisk) -> str:
    if not _is_disk_of_this_machine(disk):
        return ""
    tree = BlockTree()
    name = tree.by_path(disk.target.path)
    return next((one.transport for one in find_disks(tree) if one.name == name), "")


def _is_same_machine(reader: ImageReader) -> bool:
    """Whether this machine is the imaged one, by vendor, product and serial number."""
    keys = ("vendor", "product", "serial")
    try:
        document = documents.parse(reader.document(DEVICE_INFORMATION_NAME))
        described = document.get("hardware")
        noted = (
            described if isinstance(described, dict) else document
        )  # images of earlier versions have them at the top
        mine = hardware("/", lambda what, reason: None)
        return bool(mine["serial"]) and all(noted.get(key) == mine[key] for key in keys)
    except (EngineError, ValueError, TypeError, AttributeError, KeyError, OSError):
        return False
