# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Types of partitions that say what is inside: those that decide it, and those that are a second witness.

Sources: Andries Brouwer, "List of partition identifiers for PCs"; UEFI and Wikipedia's list of GPT partition types;
util-linux, include/pt-mbr-partnames.h and pt-gpt-partnames.h.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, NamedTuple

POOL = "e75caf8f-f680-4cee-afa3-b001e56efc2d"
_OF_DYNAMIC_DISKS = {
    "42": "a dynamic disk's volumes",
    "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3": "a dynamic disk's database",
    "af9b60a0-1431-4f62-bc68-3311714a69ad": "a dynamic disk's volumes",
}
DYNAMIC = frozenset(_OF_DYNAMIC_DISKS)
# Types that decide without a look at the content.
BY_TYPE = {**_OF_DYNAMIC_DISKS, POOL: "a member of a storage pool (Storage Spaces)"}


class Witness(NamedTuple):
    """The content that a type declares, and the names of systems that may be found there without a contradiction."""

    name: str
    fits: FrozenSet[str]


def _witness(name: str, *fits: str) -> Witness:
    return Witness(name, frozenset(fits))


_BSD = _witness("a BSD file system", "UFS", "ZFS", "swap", "a BSD disklabel")
_SOLARIS = _witness("a Solaris file system", "UFS", "ZFS", "swap")
_APPLE = _witness("an Apple file system", "HFS+", "HFS", "APFS", "UFS")
_QNX4, _QNX6 = _witness("QNX4", "QNX4"), _witness("QNX6", "QNX6")
_VMFS = _witness("VMFS", "VMFS")
_UNIX = _witness("a UNIX System V file system", "System V", "VxFS", "UFS", "Xenix", "swap")
_BEOS = _witness("a BeOS file system", "BeFS")
_NETWARE = _witness("a NetWare volume", "NetWare")
_PLAN9 = _witness("a Plan 9 file system")
_MINIX = _witness("Minix", "Minix")
_NEXT = _witness("a NeXTSTEP file system", "UFS")
_VMWARE = _witness("what VMware keeps")

_MBR: Dict[Witness, str] = {
    _BSD: "9f a5 a6 a9 b7 b8",
    _SOLARIS: "be bf",
    _APPLE: "a8 ab af",
    _QNX4: "4d 4e 4f 77 78 79",
    _QNX6: "b1 b2 b3",
    _VMFS: "fb",
    _VMWARE: "fa fc",
    _UNIX: "63 02 03",
    _BEOS: "eb",
    _NETWARE: "64 65 66 67 68 69",
    _PLAN9: "39",
    _MINIX: "80 81",
    _NEXT: "a7",
}
_GPT: Dict[Witness, str] = {
    # FreeBSD, NetBSD, OpenBSD, MidnightBSD
    _BSD: """516e7cb4-6ecf-11d6-8ff8-00022d09712b 516e7cb5-6ecf-11d6-8ff8-00022d09712b
        516e7cb6-6ecf-11d6-8ff8-00022d09712b 516e7cb8-6ecf-11d6-8ff8-00022d09712b
        516e7cba-6ecf-11d6-8ff8-00022d09712b 49f48d32-b10e-11dc-b99b-0019d1879648
        49f48d5a-b10e-11dc-b99b-0019d1879648 49f48d82-b10e-11dc-b99b-0019d1879648
        49f48daa-b10e-11dc-b99b-0019d1879648 2db519c4-b10f-11dc-b99b-0019d1879648
        2db519ec-b10f-11dc-b99b-0019d1879648 824cc7a0-36a8-11e3-890a-952519ad3f61
        85d5e45a-237c-11e1-b4b3-e89a8f7fc3a7 85d5e45b-237c-11e1-b4b3-e89a8f7fc3a7
        0394ef8b-237e-11e1-b4b3-e89a8f7fc3a7 85d5e45d-237c-11e1-b4b3-e89a8f7fc3a7""",
    _SOLARIS: """6a82cb45-1dd2-11b2-99a6-080020736631 6a85cf4d-1dd2-11b2-99a6-080020736631
        6a87c46f-1dd2-11b2-99a6-080020736631 6a8b642b-1dd2-11b2-99a6-080020736631
        6a898cc3-1dd2-11b2-99a6-080020736631 6a8ef2e9-1dd2-11b2-99a6-080020736631
        6a90ba39-1dd2-11b2-99a6-080020736631 6a9283a5-1dd2-11b2-99a6-080020736631""",
    _APPLE: """48465300-0000-11aa-aa11-00306543ecac 55465300-0000-11aa-aa11-00306543ecac
        7c3457ef-0000-11aa-aa11-00306543ecac 52414944-0000-11aa-aa11-00306543ecac
        52414944-5f4f-11aa-aa11-00306543ecac 53746f72-6167-11aa-aa11-00306543ecac
        426f6f74-0000-11aa-aa11-00306543ecac""",
    _QNX6: "cef5a9ad-73bc-4601-89f3-cdeeeee321a1",
    _VMFS: "aa31e02a-400f-11db-9590-000c2911d1b8",
    _VMWARE: "9d275380-40ad-11db-bf97-000c2911d1b8 9198effc-31c0-11db-8f78-000c2911d1b8",
    _BEOS: "42465331-3ba3-10f1-802a-4861696b7521",
    _PLAN9: "c91818f9-8025-47af-89d2-f030d7000c2c",
}
WITNESSES: Dict[str, Witness] = {
    type_id: witness for table in (_MBR, _GPT) for witness, text in table.items() for type_id in text.split()
}
