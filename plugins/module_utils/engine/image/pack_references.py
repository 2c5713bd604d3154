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
from typing import AbstractSet, Container, Dict, List, Mapping, NamedTuple, Optional, Set

from ..errors import ImageDamaged, StorageNotFound
from ..storage.shared_connect import together
from .device_directory import DeviceDirectory
from .format import constants as fmt
from .format.index import Root
from .format.manifest import MAX_LISTED_CHANGES, Manifest, PackChanges, packs_digest
from .format.pack_names import MOST_PLAIN, NamesOfPacks, as_set
from .second_look import LOOKS
from .upkeep.unusable import packs_of_damaged_sums

_READ_AT_ONCE = 8
_MOST_HELD = 1 << 18  # packs of earlier images; what is not held is read again


class Needed(NamedTuple):
    """The packs that any of some images needs, and those of the newest of them (None when they are not known)."""

    by_any: AbstractSet[str]
    by_newest: Optional[AbstractSet[str]]


def needed_packs(
    directory: DeviceDirectory,
    images: List[Manifest],
    damaged: Optional[List[ImageDamaged]] = None,
    exist: Optional[Container[str]] = None,
) -> Needed:
    """Read which packs ``images``, in sequence order, need.

    :raises ImageDamaged: when the list of an image has to be read and can't be; with ``damaged`` given it is added
        there, and its packs are missing from the result.
    :param exist: the packs that exist; others are not added to those needed by any image.
    """

    def read(image: str) -> Optional[AbstractSet[str]]:
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
    lists: Dict[str, Optional[AbstractSet[str]]] = {}
    waiting = Counter(manifest.changes.since for manifest in images if manifest.changes is not None)
    held: Dict[str, AbstractSet[str]] = {}
    by_any: AbstractSet[str] = set()
    packs: Optional[AbstractSet[str]] = None
    for manifest in images:
        if alone and manifest.image == alone[0]:  # a few are read at a time; each may be long, and from any writer
            width = _batch([by_name[image].pack_count for image in alone[:_READ_AT_ONCE]])
            batch, alone = alone[:width], alone[width:]
            lists.update(zip(batch, together(directory.storage, read, batch)))
        packs = (
            lists.pop(manifest.image) if manifest.image in lists else _follow(manifest, held) or read(manifest.image)
        )
        if packs is not None:
            by_any = _joined(by_any, packs, exist)
            if waiting[manifest.image] and sum(map(len, held.values())) <= _MOST_HELD:
                held[manifest.image] = packs
        if manifest.changes is not None:
            waiting[manifest.changes.since] -= 1
            if not waiting[manifest.changes.since]:
                held.pop(manifest.changes.since, None)
    return Needed(by_any, packs)


def _batch(counts: List[int]) -> int:
    """How many lists of so many packs are read together: one at least."""
    width = 1
    while width < len(counts) and sum(counts[: width + 1]) <= MOST_PLAIN:
        width += 1
    return width


def _joined(names: AbstractSet[str], packs: AbstractSet[str], exist: Optional[Container[str]]) -> AbstractSet[str]:
    """``names`` and those of ``packs`` that exist; a plain set grows in its place."""
    more = (pack for pack in packs if exist is None or pack in exist)
    if isinstance(names, set) and len(names) + len(packs) <= 2 * MOST_PLAIN:
        names.update(more)
        return names
    joined = NamesOfPacks()
    for pack in more:
        if pack not in names:
            joined.add(pack)
    if not joined.count:
        return names
    for pack in names:
        joined.add(pack)
    found = joined.done()
    return set(found) if isinstance(found, frozenset) else found


def _listed(directory: DeviceDirectory, manifest: Manifest) -> AbstractSet[str]:
    """The packs that SHA256SUMS lists, checked against the manifest: a short read may end between two lines."""
    for look in range(LOOKS):
        with contextlib.suppress(ImageDamaged, StorageNotFound):
            if look:
                directory.storage.look_anew(directory.path(manifest.image, fmt.SUMS_NAME))
            packs = as_set(directory.sums(manifest.image, manifest.pack_count).packs)
            if packs_digest(packs) == manifest.packs_sha256:
                return packs
    return packs_of_damaged_sums(directory, manifest)


def _follow(manifest: Manifest, held: Dict[str, AbstractSet[str]]) -> Optional[AbstractSet[str]]:
    """The packs of an image from those of an earlier one, if the outcome is what its manifest proves."""
    before = held.get(manifest.changes.since) if manifest.changes is not None else None
    if before is None or manifest.changes is None:
        return None
    packs = (before - frozenset(manifest.changes.dropped)) | frozenset(manifest.changes.added)
    return packs if packs_digest(packs) == manifest.packs_sha256 else None


def changes_since(
    before: Optional[Manifest], packs_before: Optional[AbstractSet[str]], packs: Set[str]
) -> Optional[PackChanges]:
    """The changes from the packs of the image before to ``packs``, for the manifest; ``None`` where the whole list is
    as short."""
    if before is None or packs_before is None:
        return None
    added, dropped = sorted(packs - packs_before), sorted(packs_before - packs)
    if len(added) + len(dropped) > min(MAX_LISTED_CHANGES, len(packs) // 2):
        return None
    return PackChanges(before.image, added, dropped)


def usable_packs(root: Root, present: Mapping[str, int]) -> Set[str]:
    """The packs of ``root`` that a new image may rely on: they exist in full size, and are not mostly dead.

    A pack of which less than a quarter is needed is not reused, nor are the emptiest ones until the remaining ones
    waste less than a fifth: so old packs die with their last image.
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
