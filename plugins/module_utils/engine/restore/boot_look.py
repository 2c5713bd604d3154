# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what a firmware starts on a restored disk: boot code, an active partition, the loaders of the EFI partition.

Read from the image, so that the plan knows it before the first byte. Sources: UEFI specification 2.10, section 3.5.1.1
(the path of a removable medium); Microsoft, "FAT: General Overview of On-Disk Format" 1.03.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..disk.filesystems.contract import FileSystem, FileTree, FolderEntry
from ..disk.filesystems.fat import Fat
from ..disk.layout import DiskLayout, Partition
from ..disk.signatures import recognise
from ..disk.source import BlockSource, WindowSource
from ..errors import EngineError

_BOOT_CODE_BYTES = 440  # up to the disk signature
_FALLBACKS = ("BOOTX64.EFI", "BOOTIA32.EFI", "BOOTAA64.EFI")
# The files in a folder below EFI that start a system, the best one first.
_LOADERS = (
    *("boot/bootmgfw.efi", "shimx64.efi", "shimaa64.efi", "grubx64.efi", "grubaa64.efi"),
    *("systemd-bootx64.efi", "systemd-bootaa64.efi", "bootx64.efi", "bootaa64.efi"),
)
_MOST_VENDORS = 64
_MOST_NAMES = 2000
_LUKS_HEADER_BYTES = 64 << 10
_TPM_WORDS = (b'"systemd-tpm2"', b'"clevis"')
_WINDOWS_LOADER = "EFI/Microsoft/boot/bootmgfw.efi"


class BootLook(NamedTuple):
    """The parts of a disk that start a system."""

    disk: str
    scheme: str
    boot_code: bool  # in the first sector
    active_partition: Optional[int]  # of an MBR
    bios_boot_partition: Optional[int]
    efi_partition: Optional[int]
    efi_id: str  # the partition's GUID
    efi_fallback: Optional[bool]  # None where the EFI partition can't be read
    efi_loaders: List[str]
    sealed: List[Tuple[int, str]]  # partitions that a TPM may hold the key of, and what encrypts them
    is_windows: bool

    @property
    def starts(self) -> str:
        """The firmware modes that the disk is made for: uefi, bios, both, or "" for a disk of data."""
        bios = self.boot_code and (self.active_partition is not None or self.bios_boot_partition is not None)
        if self.efi_partition is not None:
            return "both" if bios else "uefi"
        return "bios" if bios or self.active_partition is not None else ""


def look_at_boot(disk: str, source: BlockSource, layout: DiskLayout) -> BootLook:
    """Read the boot parts of an imaged disk; unreadable ones are reported as absent or unknown."""
    partitions = [one for one in layout.partitions if one.role != "extended"]
    efi = next((one for one in partitions if one.role == "efi"), None)
    fallback, loaders = _loaders(source, efi) if efi is not None else (None, [])
    actives = [one.number for one in partitions if one.bootable and layout.scheme == "mbr"]
    kinds = dict(_kinds(source, partitions))
    return BootLook(
        disk=disk,
        scheme=layout.scheme,
        boot_code=layout.scheme != "none" and any(source.read(0, _BOOT_CODE_BYTES)),
        active_partition=actives[0] if actives else None,
        bios_boot_partition=next((one.number for one in partitions if one.role == "bios-boot"), None),
        efi_partition=efi.number if efi is not None else None,
        efi_id=efi.unique_id if efi is not None else "",
        efi_fallback=fallback,
        efi_loaders=loaders,
        sealed=[(number, kind) for number, kind in kinds.items() if kind in ("BitLocker", "LUKS with TPM")],
        is_windows=_WINDOWS_LOADER.upper() in [one.upper() for one in loaders]
        or "Windows" in kinds.values()
        or "BitLocker" in kinds.values(),
    )


def _kinds(source: BlockSource, partitions: List[Partition]) -> Iterator[Tuple[int, str]]:
    for one in partitions:
        try:
            window = WindowSource(source, one.start_bytes, min(one.length_bytes, source.size_bytes - one.start_bytes))
            kind = recognise(window)
            if kind == "LUKS" and _is_tpm_bound(window):
                kind = "LUKS with TPM"
            if (
                not kind
                and window.read(0, 11)[3:] == b"NTFS    "
                and (one.bootable or one.role == "microsoft-reserved")
            ):
                kind = "Windows"
        except EngineError:
            continue
        yield one.number, kind


def _is_tpm_bound(window: BlockSource) -> bool:
    """Whether a token in the JSON of a LUKS2 header names a TPM."""
    head = window.read(0, min(_LUKS_HEADER_BYTES, window.size_bytes))
    return any(word in head for word in _TPM_WORDS)


def _loaders(source: BlockSource, efi: Partition) -> Tuple[Optional[bool], List[str]]:
    """Whether the EFI partition has the fallback loader, and the loaders of the installed systems."""
    try:
        length = min(efi.length_bytes, source.size_bytes - efi.start_bytes)
        volume = Fat.probe(WindowSource(source, efi.start_bytes, length))
        return loaders_on(volume) if volume is not None else (None, [])
    except EngineError:
        return None, []


def loaders_on(volume: FileSystem) -> Tuple[Optional[bool], List[str]]:
    """Whether a volume has the fallback loader, and the loaders of the installed systems, one of each folder below EFI."""
    tree = volume.tree()
    folders = _children(tree, tree.root(), "EFI") if tree is not None else None
    if folders is None:
        return False, []
    fallback = any(name in folders.get("BOOT", {}) for name in _FALLBACKS)
    return fallback, [found for vendor in list(folders)[:_MOST_VENDORS] for found in _of(vendor, folders[vendor])]


def _of(vendor: str, files: Dict[str, str]) -> List[str]:
    if vendor == "BOOT":
        return []
    return [files[one.upper()] for one in _LOADERS if one.upper() in files][:1]


def _children(tree: FileTree, root: int, name: str) -> Optional[Dict[str, Dict[str, str]]]:
    """``{VENDOR: {FILE IN CAPITALS: path}}`` of a folder of the root; ``Microsoft/Boot`` comes with its inner folder."""
    top = next((one for one in _some(tree, root) if one.is_folder and one.name.upper() == name), None)
    if top is None:
        return None
    found: Dict[str, Dict[str, str]] = {}
    for vendor in _some(tree, top.node):
        if not vendor.is_folder or vendor.name in (".", ".."):
            continue
        files = found.setdefault(vendor.name.upper(), {})
        for one in _some(tree, vendor.node):
            if one.is_folder and one.name.upper() == "BOOT":
                for inner in _some(tree, one.node):
                    path = "EFI/%s/boot/%s" % (vendor.name, inner.name)
                    files["BOOT/" + inner.name.upper()] = path
            elif not one.is_folder:
                files[one.name.upper()] = "EFI/%s/%s" % (vendor.name, one.name)
    return found


def _some(tree: FileTree, node: int) -> List[FolderEntry]:
    found = []
    for entry in tree.children(node):
        found.append(entry)
        if len(found) >= _MOST_NAMES:
            break
    return found
