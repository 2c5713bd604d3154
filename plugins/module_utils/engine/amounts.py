# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes as people read them: one system for every sentence, page and table of the collection.

Powers of 1000, as in the rates (MB/s), the limits in settings, and the sizes that are printed on disks. This file also runs on
Python 3.6, with the installer.
"""

_UNITS = ("kB", "MB", "GB")


def size(count: float) -> str:
    """Return a size for people: 512 bytes, 4.2 GB, 955 MB."""
    if count < 1000:
        return "1 byte" if int(count) == 1 else "%d bytes" % count
    for unit in _UNITS:
        count /= 1000
        if count < 999.5:
            return in_unit(count, unit)
    return in_unit(count / 1000, "TB")


def in_unit(count: float, unit: str) -> str:
    """Three digits say enough: 4.2 GB, 42.0 GB, 420 GB."""
    return "%.*f %s" % (0 if count >= 99.95 else 1, count, unit)
