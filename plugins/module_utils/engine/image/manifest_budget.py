# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds the memory for manifests that no key proves: any account that may create files can store many of them.

Manifests of usual images are small. So the few large ones share a separate allowance, and can't push the others out. A
large one that does not fit is held without its list of changed packs: SHA256SUMS says the same.
"""

from __future__ import annotations

import threading
from typing import Optional

from .format.manifest import Manifest

_LARGE_BYTES = 16 << 10
_MOST_LARGE = 12 << 20  # of manifests above _LARGE_BYTES
_MOST_SMALL = 40 << 20  # some ten thousand images


class ManifestBudget:
    """Counts what is held. Several threads may ask."""

    def __init__(self, most_large: int = _MOST_LARGE, most_small: int = _MOST_SMALL) -> None:
        self._lock = threading.Lock()
        self._large_left = most_large
        self._small_left = most_small

    def held(self, manifest: Manifest) -> Optional[Manifest]:
        """The manifest as there is room for it, None where there is none."""
        if self.take(manifest):
            return manifest
        return bare(manifest) if manifest.changes is not None and self.take(bare(manifest)) else None

    def take(self, manifest: Manifest) -> bool:
        """Whether there is room for one more, which is then taken."""
        size_bytes = held_bytes(manifest)
        with self._lock:
            if size_bytes > _LARGE_BYTES:
                if size_bytes > self._large_left:
                    return False
                self._large_left -= size_bytes
            else:
                if size_bytes > self._small_left:
                    return False
                self._small_left -= size_bytes
        return True


def bare(manifest: Manifest) -> Manifest:
    """The manifest without its list of changed packs."""
    return manifest._replace(changes=None)


def held_bytes(manifest: Manifest) -> int:
    """About how much memory a parsed manifest takes."""
    changes = manifest.changes
    names = len(manifest.slots) + (len(changes.added) + len(changes.dropped) if changes is not None else 0)
    total = 2048 + 120 * names
    for disk in manifest.disks:
        total += 700 + len(disk.stable_id) + sum(320 + len(volume.id) for volume in disk.contents.volumes)
    return total
