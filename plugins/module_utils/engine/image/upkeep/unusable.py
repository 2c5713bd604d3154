# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that can't be used: which packs they need nevertheless, so that the rest can be swept, and how they are
removed.

An image whose manifest is damaged may be healed tomorrow, so its packs stay. Its SHA256SUMS names them twice a line:
one flipped bit there hides no pack. Where that list is missing as well, the sweep stops.
"""

from __future__ import annotations

import re
from typing import AbstractSet, Container, Iterable, List, NamedTuple

from ...amounts import size
from ...errors import ImageDamaged, ImageNotUnusable, StorageFailed, StorageNotFound
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.manifest import Manifest, packs_digest
from ..format.pack_names import NamesOfPacks
from ..format.sums import MOST_FILES, SHORT_LIST, lines

_PACK = re.compile(rb"[0-9a-f]{64}")
_PACK_LINE = re.compile(rb"(.{64})..(?:.{9})(?:.{3})(.{64})", re.DOTALL)


class Kept(NamedTuple):
    """The packs that images which can't be used need, and the images of which that is not known."""

    packs: AbstractSet[str]
    unknown: List[str]


def packs_of_unusable(directory: DeviceDirectory, images: Iterable[str], exist: Container[str]) -> Kept:
    """:param exist: the packs that are there; no other can be needed."""
    packs, unknown = NamesOfPacks(), []
    for image in sorted(images):
        columns = _columns(directory, image)
        for pack in (pack for column in columns for pack in column if pack in exist):
            packs.add(pack)
        if not columns:
            unknown.append(image)
    return Kept(packs.done(), unknown)


def packs_of_damaged_sums(directory: DeviceDirectory, manifest: Manifest) -> AbstractSet[str]:
    """The packs of an image whose SHA256SUMS is damaged, where its manifest proves them.

    :raises ImageDamaged: when it does not.
    """
    for column in _columns(directory, manifest.image):
        if packs_digest(column) == manifest.packs_sha256:
            return column
    raise ImageDamaged(
        image=manifest.image, reason="its SHA256SUMS is missing or damaged, so the packs that it needs are unknown"
    )


def _columns(directory: DeviceDirectory, image: str) -> List[AbstractSet[str]]:
    """The packs that both columns of a SHA256SUMS name; none where a line is incomplete."""
    columns = [NamesOfPacks(), NamesOfPacks()]
    try:
        pieces = directory.storage.read(directory.path(image, fmt.SUMS_NAME), 0, fmt.MAX_SUMS_BYTES + 1)
        is_whole = _take_columns(lines(pieces, image), columns, directory)
        return [column.done() for column in columns] if is_whole else []
    except (ImageDamaged, StorageNotFound, StorageFailed):
        return []  # too long, cut off, or not there


def _take_columns(found: Iterable[bytes], columns: List[NamesOfPacks], directory: DeviceDirectory) -> bool:
    limit, files = SHORT_LIST, 0
    for line in found:
        match = _PACK_LINE.fullmatch(line)
        if match is None:
            files += 1  # a file of the image
            if files > MOST_FILES:
                return False
            continue
        names = [column for column in match.groups() if _PACK.fullmatch(column)]
        if not names:
            return False
        if columns[0].count >= limit:
            limit = max(limit, directory.count_packs())
            if columns[0].count >= limit:
                return False
        for column, name in zip(columns, match.groups()):
            column.add((name if name in names else names[0]).decode("ascii"))
    return True


def storage_grows(image: str, error: object, kept_bytes: int) -> str:
    """A rollover's sentence about an image that can't be used."""
    return (
        "The image %s is unreadable and was not deleted: %s It occupies %s, and each further unreadable image "
        "adds to that. If it can't be repaired, remove it with imaging_remove_damaged: [%s]."
        % (image, error, size(kept_bytes), image)
    )


def check_removal(device: str, wanted: Iterable[str], unusable: Container[str], usable: Container[str]) -> List[str]:
    """The images of ``wanted`` that exist and can't be used; a missing one was removed before.

    :raises ImageNotUnusable: for one that can be used.
    """
    for image in wanted:
        if image not in unusable and image in usable:
            raise ImageNotUnusable(device=device, image=image)
    return [image for image in dict.fromkeys(wanted) if image in unusable]
