# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packs a device's images need, without reading every image's list.

``SHA256SUMS`` names every pack of an image: a megabyte and a half for 20,000 packs, and the same again for the next
image. So a manifest may say what changed since an earlier image; the outcome is proved by the manifest's own digest of
its packs, and where anything is missing or does not fit, the whole list is read.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Container, Dict, FrozenSet, List, NamedTuple, Optional, Set

from ..errors import ImageDamaged, StorageNotFound
from ..storage.shared_connect import together
from .device_directory import DeviceDirectory
from .format import constants as fmt
from .format.index import Root
from .format.manifest import MAX_LISTED_CHANGES, Manifest, PackChanges, packs_digest
from .second_look import LOOKS
from .upkeep.unusable import packs_of_damaged_sums

_READ_AT_ONCE = 8
_MOST_HELD = 1 << 18  # packs of earlier images; what is not held is read again


class Needed(NamedTuple):
    """The packs that any of some images needs, and those of the newest of them (None when they are not known)."""

    by_any: Set[str]
    by_newest: Optional[FrozenSet[str]]


def needed_packs(
    directory: DeviceDirectory,
    images: List[Manifest],
    damaged: Optional[List[ImageDamaged]] = None,
    exist: Optional[Container[str]] = None,
) -> Needed:
    """Read what ``images``, in sequence order, need.

    :raises ImageDamaged: when the list of an image has to be read and can't be; with ``damaged`` given it is added
        there, and what the image needs is left out.
    :param exist: the packs that are there; those that are not are left out of what is needed by any.
    """

    def read(image: str) -> Optional[FrozenSet[str]]:
        try:
            return _listed(directory, by_name[image])
        except ImageDamaged as error:
            if damaged is None:
                raise
            damaged.append(error)
            return None

    by_name = {manifest.image: manifest for manifest in images}
    names = by_name.keys()
    alone = [manifest.image for manifest in images if manifest.changes is None or manifest.changes.since not in names]
    lists: Dict[str, Optional[FrozenSet[str]]] = {}
    waiting = Counter(manifest.changes.since for manifest in images if manifest.changes is not None)
    held: Dict[str, FrozenSet[str]] = {}
    by_any: Set[str] = set()
    packs: Optional[FrozenSet[str]] = None
    for manifest in images:
        if alone and manifest.image == alone[0]:  # some are read at a time; each may be long, and anybody's
            batch, alone = alone[:_READ_AT_ONCE], alone[_READ_AT_ONCE:]
            lists.update(zip(batch, together(directory.storage, read, batch)))
        packs = (
            lists.pop(manifest.image) if manifest.image in lists else _follow(manifest, held) or read(manifest.image)
        )
        if packs is not None:
            by_any |= packs if exist is None else {pack for pack in packs if pack in exist}
            if waiting[manifest.image] and sum(map(len, held.values())) <= _MOST_HELD:
                held[manifest.image] = packs
        if manifest.changes is not None:
            waiting[manifest.changes.since] -= 1
            if not waiting[manifest.changes.since]:
                held.pop(manifest.changes.since, None)
    return Needed(by_any, packs)


def _listed(directory: DeviceDirectory, manifest: Manifest) -> FrozenSet[str]:
    """What SHA256SUMS lists, held against the manifest: a short read may end between two lines."""
    for look in range(LOOKS):
        with contextlib.suppress(ImageDamaged, StorageNotFound):
            if look:
                directory.storage.forget_cache(directory.path(manifest.image, fmt.SUMS_NAME))
            packs = frozenset(directory.sums(manifest.image).packs)
            if packs_digest(packs) == manifest.packs_sha256:
                return packs
    return frozenset(packs_of_damaged_sums(directory, manifest))


def _follow(manifest: Manifest, held: Dict[str, FrozenSet[str]]) -> Optional[FrozenSet[str]]:
    """The packs of an image from those of an earlier one, if the outcome is what its manifest proves."""
    before = held.get(manifest.changes.since) if manifest.changes is not None else None
    if before is None or manifest.changes is None:
        return None
    packs = before.difference(manifest.changes.dropped).union(manifest.changes.added)
    return packs if packs_digest(packs) == manifest.packs_sha256 else None


def changes_since(
    before: Optional[Manifest], packs_before: Optional[FrozenSet[str]], packs: Set[str]
) -> Optional[PackChanges]:
    """What the manifest of an image with ``packs`` says of them; None where the whole list is as short."""
    if before is None or packs_before is None:
        return None
    added, dropped = sorted(packs - packs_before), sorted(packs_before - packs)
    if len(added) + len(dropped) > min(MAX_LISTED_CHANGES, len(packs) // 2):
        return None
    return PackChanges(before.image, added, dropped)


def usable_packs(root: Root, present: Dict[str, int]) -> Set[str]:
    """The packs of ``root`` that a new image may rely on: there, whole in size, and not mostly dead.

    A pack of which less than a quarter is needed is left behind, and so are the emptiest ones until what remains
    wastes less than a fifth: so old packs die with their last image.
    """
    there = {name: need for name, need in root.packs.items() if present.get(name) == need.size_bytes}
    usable = {name: need for name, need in there.items() if need.needed_bytes * 4 >= need.size_bytes}
    total = sum(need.size_bytes for need in usable.values())
    needed = sum(min(need.needed_bytes, need.size_bytes) for need in usable.values())
    for name in sorted(usable, key=lambda pack: usable[pack].needed_bytes / max(1, usable[pack].size_bytes)):
        if total - needed <= total // 5:
            break
        need = usable.pop(name)
        total -= need.size_bytes
        needed -= min(need.needed_bytes, need.size_bytes)
    return set(usable)
