# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``mounts`` of Windows: which drive letter belongs to which partition.

MountedDevices is in no page as an interface: the signature of an MBR and the place of the partition in bytes, or the GUID of
a partition of a GPT behind ``DMIO:ID:``. A letter of a removable disk or a CD drive has the name of that device.
"""

from __future__ import annotations

import struct
import uuid

from ..items import Items
from .reading import Reader

_DEVICES = r"SYSTEM\MountedDevices"
_LETTER = "\\dosdevices\\"
_GPT = b"DMIO:ID:"


def read_mounts(reader: Reader) -> Items:
    values = reader.values(_DEVICES)
    items: Items = {}
    for name in values.names:
        if name.lower().startswith(_LETTER):
            items[name[len(_LETTER) :].upper()] = {"source": source_of(values.data(name)), "type": "", "options": ""}
    return items


def source_of(data: bytes) -> str:
    """Return the partition that a value of MountedDevices names, or the device."""
    if data.startswith(_GPT) and len(data) == len(_GPT) + 16:
        return "gpt partition %s" % uuid.UUID(bytes_le=data[len(_GPT) :])
    if len(data) == 12:
        signature, offset = struct.unpack("<IQ", data)
        return "mbr:%08x, byte %d" % (signature, offset)
    text = data.decode("utf-16-le", "replace")
    return text.lstrip("\\?_").split("#{")[0]
