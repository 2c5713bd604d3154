# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packs of an archive were hashed before: those of its versions, because a check-in hashes each pack that it relies on.

Packs that no version relies on are those of an interrupted check-in, or planted: the next check-in hashes them, too.
"""

from __future__ import annotations

import hashlib
from typing import AbstractSet, Mapping, Optional, Set

from ...errors import EngineError
from ..device_directory import DeviceDirectory
from ..format.manifest import Manifest
from ..pack_references import needed_packs
from .chain import Chain, Link
from .version_record import Version

_LINE_BYTES = 80  # of a pack in SHA256SUMS


def proved_packs(
    directory: DeviceDirectory, chain: Chain, sizes: Mapping[str, int], *, has_key: bool
) -> AbstractSet[str]:
    """Return those of the packs in ``sizes`` that a version relies on.

    The lists of versions are read from the newest on, as long as that takes fewer bytes than hashing the packs left.
    """
    doubted = {problem.number for problem in chain.problems}
    left, left_bytes, read_bytes = set(sizes), sum(sizes.values()), 0
    found: Set[str] = set()
    for link in reversed(chain.links):
        if read_bytes >= left_bytes:
            break
        if link.record.version.number in doubted or not _counts(link, has_key):
            continue
        packs = _packs_of(directory, link.record.version)
        read_bytes += _LINE_BYTES * len(packs)
        known = left & packs
        found |= known
        left -= known
        left_bytes -= sum(sizes[pack] for pack in known)
    return found


def _counts(link: Link, has_key: bool) -> bool:
    """An account that may create files can plant a version that no password proves, with its packs."""
    return bool(link.is_proved) or not has_key


def _packs_of(directory: DeviceDirectory, version: Version) -> AbstractSet[str]:
    """The packs of a version's image, none where it is not what was checked in."""
    try:
        manifest = _manifest_of(directory, version)
        return needed_packs(directory, [manifest]).by_any if manifest is not None else frozenset()
    except EngineError:  # which a verify names; its packs are hashed then
        return frozenset()


def _manifest_of(directory: DeviceDirectory, version: Version) -> Optional[Manifest]:
    for data, manifest, dummy_is_copy in directory.readings(version.image):
        if hashlib.sha256(data).hexdigest() == version.manifest:
            return manifest
    return None
