# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of the agent on Windows: made with an access list, and refused when other users could put files there.

SYSTEM loads programs and libraries from it. Sources: "Security Descriptor String Format", "ACE Strings", "SID Strings" of the
Windows documentation, and winnt.h for the rights of a directory.
"""

from __future__ import annotations

import os
import re
from typing import Iterator, NamedTuple, Optional

from ..errors import AgentFolderUnsafe
from ..host import windows_security
from .owned_files import telling

DESCRIPTOR = "O:BAG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
_INSTALLER = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"  # NT SERVICE\TrustedInstaller
_TRUSTED = frozenset(["SY", "BA", "S-1-5-18", "S-1-5-32-544", _INSTALLER])
_ENTRY = re.compile(r"\(([A-Z]+);([A-Z]*);([^;]*);[^;]*;[^;]*;([^;)]+)(?:;[^)]*)?\)")
_OWNER = re.compile(r"O:(S-[0-9-]+|[A-Z]{2})")
_LIST = re.compile(r"D:([A-Z]*)")
_RIGHTS = {"FA": 0x1F01FF, "FR": 0x120089, "FW": 0x120116, "FX": 0x1200A0, "GA": 0x10000000, "GR": 0x80000000}
_RIGHTS.update(
    {"GW": 0x40000000, "GX": 0x20000000, "CC": 1, "DC": 2, "LC": 4, "SW": 8, "RP": 0x10, "WP": 0x20, "DT": 0x40}
)
_RIGHTS.update({"LO": 0x80, "CR": 0x100, "SD": 0x10000, "RC": 0x20000, "WD": 0x40000, "WO": 0x80000})
# FILE_DELETE_CHILD, DELETE, WRITE_DAC, WRITE_OWNER, GENERIC_ALL: another directory could take the place of the base.
_REPLACES = 0x40 | 0x10000 | 0x40000 | 0x80000 | 0x10000000
_REPARSE_POINT = 0x400


class _Entry(NamedTuple):
    allows: bool
    only_inherited: bool
    rights: int
    trustee: str


def make_base(base: str) -> None:
    """Make the base, or check the one that is there, and the directories above it.

    :raises AgentFolderUnsafe: :raises AgentFileFailed:
    """
    check_above(base)
    with telling("Creating the directory", base):
        try:
            windows_security.make_directory(base, DESCRIPTOR)
        except FileExistsError:
            pass  # checked below like a new one
    check_base(base)


def check_base(base: str) -> None:
    """:raises AgentFolderUnsafe: when others could have put files into it, or could put something in its place."""
    reason = _not_a_directory(base)
    if reason is None:
        text = _descriptor(base)
        reason = _wrong_owner(text) or _others(text)
    if reason is not None:
        raise AgentFolderUnsafe(path=base, reason=reason)


def check_above(base: str) -> None:
    """:raises AgentFolderUnsafe: when others could rename a directory above the base, and put another in its place."""
    folder = os.path.dirname(base)
    while folder != os.path.dirname(folder):
        if os.path.lexists(folder):
            reason = _not_a_directory(folder) or _replaceable(_descriptor(folder))
            if reason is not None:
                raise AgentFolderUnsafe(path=folder, reason=reason)
        folder = os.path.dirname(folder)


def _descriptor(path: str) -> str:
    with telling("Reading the access list of", path):
        return windows_security.descriptor_of(path)


def _not_a_directory(path: str) -> Optional[str]:
    with telling("Looking at", path):
        status = os.lstat(path)
    if getattr(status, "st_file_attributes", 0) & _REPARSE_POINT or os.path.islink(path):
        return "it is a link or a junction"
    return None if os.path.isdir(path) else "it is not a directory"


def _wrong_owner(text: str) -> Optional[str]:
    found = _OWNER.match(text)
    owner = found.group(1) if found else "nobody"
    return None if owner in _TRUSTED else "it belongs to %s" % owner


def _others(text: str) -> Optional[str]:
    """Whether a user other than SYSTEM and administrators has any right in it."""
    found = _LIST.search(text)
    if found is None or not _ENTRY.search(text):
        return "it has no access list"
    if "P" not in found.group(1):
        return "it takes over the access list of the directory above"
    for entry in _entries(text):
        if entry.allows and entry.trustee not in _TRUSTED:
            return "its access list lets %s in" % entry.trustee
    return None


def _replaceable(text: str) -> Optional[str]:
    """Whether others may rename or delete what is in the directory."""
    reason = _wrong_owner(text)
    if reason is not None:
        return reason
    for entry in _entries(text):
        if entry.allows and not entry.only_inherited and entry.rights & _REPLACES and entry.trustee not in _TRUSTED:
            return "its access list lets %s replace what is in it" % entry.trustee
    return None


def _entries(text: str) -> Iterator[_Entry]:
    for kind, flags, rights, trustee in _ENTRY.findall(text.partition("D:")[2]):
        pairs = [flags[index : index + 2] for index in range(0, len(flags), 2)]
        yield _Entry(kind in ("A", "XA", "OA"), "IO" in pairs, _mask(rights), trustee)


def _mask(rights: str) -> int:
    """The rights of an entry as bits; letters that are not known count as all of them."""
    if rights.lower().startswith("0x"):
        return int(rights, 16)
    mask = 0
    for index in range(0, len(rights), 2):
        mask |= _RIGHTS.get(rights[index : index + 2], _REPLACES)
    return mask
