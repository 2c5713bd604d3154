# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NTFS: whether a volume was left cleanly: the restart pages of ``$LogFile``.

Structures: ntfs-3g, include/ntfs-3g/logfile.h (RESTART_PAGE_HEADER, RESTART_AREA). A volume is clean when no client of
the journal is active, or when the area says that the volume is clean.
"""

from __future__ import annotations

import struct

_PAGE_BYTES = 4096
_NO_CLIENT = 0xFFFF
_VOLUME_IS_CLEAN = 0x0002
_AREA_END = 480  # a restart area lies before the first protected end of a sector
RESTART_BYTES = 2 * _PAGE_BYTES


def is_clean(pages: bytes) -> bool:
    """Whether the two restart pages at the beginning of the journal say that nothing waits to be replayed.

    The page with the newer log sequence number counts; pages of 0xFF are an emptied journal.
    """
    found = []
    for start in (0, _PAGE_BYTES):
        page = pages[start : start + _PAGE_BYTES]
        if page == b"\xff" * _PAGE_BYTES:
            continue
        area = struct.unpack_from("<H", page, 24)[0]
        if page[:4] != b"RSTR" or not 48 <= area <= _AREA_END:
            return False
        newest, dummy_clients, dummy_free, in_use, flags = struct.unpack_from("<QHHHH", page, area)
        found.append((newest, in_use == _NO_CLIENT or bool(flags & _VOLUME_IS_CLEAN)))
    newest = max((lsn for lsn, dummy in found), default=0)
    return all(clean for lsn, clean in found if lsn == newest)
