# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a machine as the Linux kernel shows them: what they are called today and what they are for good.

Source of the formats: Documentation/ABI of the Linux kernel; pages 80h of SPC-4 for serial numbers of SCSI and SATA disks.
"""

from __future__ import annotations

import os
import re
from typing import List, NamedTuple, Tuple

from ..disk.layout import read_layout
from ..disk.source import FileSource
from ..errors import DiskError
from ..host.stack import BlockTree, first_line, listing

NETWORK = frozenset(["iscsi", "fc", "nbd", "rbd", "drbd", "nvme-tcp", "nvme-rdma", "nvme-fc"])
_JUNK_ID = re.compile(r"^(0*|f+|x+|[ .\-]*|0*123456789.*|none|unknown|default string|to be filled.*)$")
_MEMORY = ("ram", "zram", "pmem")
_MAX_PARENTS = 24


class Disk(NamedTuple):
    """A whole disk. ``serial`` and ``wwn`` are "" where not known or one of the values that many disks share."""

    name: str
    path: str
    vendor: str
    model: str
    revision: str
    serial: str
    wwn: str
    size_bytes: int
    sector_bytes: int
    physical_sector_bytes: int
    transport: str  # sata, sas, scsi, nvme, usb, mmc, virtio, xen, ide, multipath, or one of NETWORK; "" when not known
    removable: bool
    rotational: bool
    read_only: bool
    path_of: str  # the multipath device that this is a path to, "" for any other disk

    @property
    def is_network(self) -> bool:
        return self.transport in NETWORK

    @property
    def stable_id(self) -> str:
        """``wwn:...`` or ``serial:...``, "" where the disk tells neither."""
        return "wwn:" + self.wwn if self.wwn else "serial:" + self.serial if self.serial else ""

    @property
    def why_not(self) -> str:
        """Why the disk is not part of ``all``, "" when it is: internal, fixed, with a medium in it."""
        if self.path_of:
            return "it is a path to %s" % self.path_of
        if self.is_network:
            return "it is on the network (%s)" % self.transport
        if self.removable:
            return "it is removable"
        return "" if self.size_bytes else "it has no medium"


def find_disks(tree: BlockTree) -> List[Disk]:
    """Every whole disk; not partitions, CDs, floppies, loop devices, memory, mapped devices (but multipath ones)."""
    return [_disk(tree, name) for name in tree.names() if kind_of(tree, name) in ("disk", "multipath")]


def table_id_at(path: str, sector_bytes: int) -> str:
    """The id of the partition table of a disk (see ``DiskLayout.table_id``), "" where it has none or can't be read.

    A disk that can't be read is known by its hardware alone: who opens it for more reports why.
    """
    try:
        with FileSource(path) as source:
            source.sector_bytes = sector_bytes
            return read_layout(source).table_id
    except DiskError:
        return ""


def kind_of(tree: BlockTree, name: str) -> str:
    """disk, partition, hidden (part of another disk), loop, memory, cd, floppy, md, or what a mapped device is: lvm, crypt, multipath, mapped."""
    if tree.is_partition(name):
        return "partition"
    if tree.text(name, "hidden") == "1":
        return "hidden"  # a single path of an NVMe disk with several
    uuid = tree.text(name, "dm/uuid")
    if tree.text(name, "dm/name") or uuid:
        kinds = {"LVM-": "lvm", "CRYPT-": "crypt", "mpath-": "multipath"}
        return next((kind for prefix, kind in kinds.items() if uuid.startswith(prefix)), "mapped")
    if os.path.isdir(os.path.join(tree.folder(name), "md")):
        return "md"
    if name.startswith(_MEMORY):
        return "memory"
    for prefix, kind in (("loop", "loop"), ("sr", "cd"), ("fd", "floppy")):
        if re.fullmatch(prefix + r"\d+", name):
            return kind
    if re.fullmatch(r"mmcblk\d+(boot\d+|gp\d+|rpmb)", name):
        return "hidden"  # areas of an eMMC that belong to its firmware
    return "cd" if tree.text(name, "device/type") == "5" else "disk"


def _disk(tree: BlockTree, name: str) -> Disk:
    paths = tree.slaves(name) if tree.is_multipath(name) else []
    shown = paths[0] if paths else name  # a multipath device has no model itself
    transport, removable = _transport(tree, shown)
    serial, wwn = identify(tree, shown)
    holders = [tree.path(holder) for holder in tree.holders(name) if tree.is_multipath(holder)]
    vendor = tree.text(shown, "device/vendor")
    return Disk(
        name=name,
        path=tree.path(name),
        vendor="" if vendor.startswith("0x") else vendor,
        model=model_of(tree, shown),
        revision=tree.text(shown, "device/rev") or tree.text(shown, "device/firmware_rev"),
        serial=serial,
        wwn=wwn,
        size_bytes=tree.size_bytes(name),
        sector_bytes=tree.number(name, "queue/logical_block_size") or 512,
        physical_sector_bytes=tree.number(name, "queue/physical_block_size") or 512,
        transport=transport,
        removable=removable or tree.text(shown, "removable") == "1",
        rotational=tree.text(shown, "queue/rotational") == "1",
        read_only=tree.text(name, "ro") == "1",
        path_of=holders[0] if holders else "",
    )


def model_of(tree: BlockTree, name: str) -> str:
    return tree.text(name, "device/model") or tree.text(name, "device/name")


def identify(tree: BlockTree, name: str) -> Tuple[str, str]:
    """Serial number and world wide name; "" for what the disk does not tell, and for values that tell nothing."""
    places = ("serial", "device/serial")
    serial = next((text for text in (tree.text(name, place) for place in places) if tells(text)), "")
    serial = serial or _page_80(os.path.join(tree.folder(name), "device/vpd_pg80")) or _usb(tree, name, "serial")
    worldwide = next((text for text in (tree.text(name, place) for place in ("wwid", "device/wwid")) if text), "")
    # "t10." is vendor, model and serial number in one, made up for disks that have no unique name.
    wwn = "" if worldwide.startswith("t10.") else normal_wwn(worldwide)
    return (serial if tells(serial) else "", wwn if tells(wwn) else "")


def normal_wwn(text: str) -> str:
    """One spelling for "naa.5000c500a1b2c3d4", "0x5000c500a1b2c3d4", "wwn-0x5000c500a1b2c3d4"; "eui." and "uuid." stay."""
    return re.sub(r"^(wwn-)?(0x|naa\.)?", "", text.strip().lower())


def tells(text: str) -> bool:
    """Whether a serial number or world wide name is not one of those that many disks share."""
    return len(text) >= 2 and not _JUNK_ID.match(re.sub(r"^(0x|eui\.|nvme\.)", "", text.lower()))


def _page_80(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(260)
    except OSError:
        return ""
    if len(data) < 4 or data[1] != 0x80:
        return ""
    text = data[4 : 4 + int.from_bytes(data[2:4], "big")].decode("ascii", "replace")
    return "".join(character for character in text if character.isprintable()).strip()


def _usb(tree: BlockTree, name: str, place: str) -> str:
    """A property of the USB device that a disk is, "" when it is none."""
    folder = tree.real_folder(name)
    for dummy in range(_MAX_PARENTS):
        if first_line(os.path.join(folder, "idVendor")):
            return first_line(os.path.join(folder, place))
        folder = os.path.dirname(folder)
    return ""


def _transport(tree: BlockTree, name: str) -> Tuple[str, bool]:
    """How the disk is attached, and whether that means that it comes and goes."""
    for prefix in ("nbd", "rbd", "drbd"):
        if re.fullmatch(prefix + r"\d+", name):
            return prefix, False
    where = tree.real_folder(name)
    if name.startswith("nvme"):
        link = _nvme_link(tree, name)
        return ("nvme" if link in ("", "pcie") else "nvme-" + link), False
    if "/usb" in where:
        # A port inside the housing: industrial PCs boot from modules there.
        return "usb", _usb(tree, name, "removable") != "fixed"
    if re.search(r"/ata\d+/", where):
        return "sata", False
    signs = (
        (r"/session\d+/", "iscsi"),
        (r"/rport-", "fc"),
        (r"/end_device-", "sas"),
        (r"/mmc_host/", "mmc"),
        (r"/virtio\d+/(?!host)", "virtio"),
        (r"/ide\d+/", "ide"),
        (r"/vbd-", "xen"),
        (r"/host\d+/", "scsi"),
    )
    return next((kind for pattern, kind in signs if re.search(pattern, where)), ""), False


def _nvme_link(tree: BlockTree, name: str) -> str:
    """pcie, tcp, rdma, fc: of the controller, or of the controllers of a disk with several paths."""
    direct = tree.text(name, "device/transport")
    if direct:
        return direct
    subsystem = os.path.join(tree.folder(name), "device")
    names = [other for other in listing(subsystem) if re.fullmatch(r"nvme\d+", other)]
    return next((link for link in (first_line("%s/%s/transport" % (subsystem, other)) for other in names) if link), "")
