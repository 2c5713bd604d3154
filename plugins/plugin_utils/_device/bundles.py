# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundle of a platform, on the controller: taken from where it was carried to, or built once and kept.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from typing import Iterator, Optional

from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    BundleFailed,
    BundleInvalid,
    BundleWheelDamaged,
    BundleWheelMissing,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.bundle import build_bundle
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.bundle_format import Bundle
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.wheel_store import default_cache
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.windows.bundle import WindowsBundle


def find_bundle(platform: str, directory: Optional[str], check: bool = False) -> Optional[Bundle]:
    """Return the bundle for ``platform``, from ``directory`` when the site keeps its bundles there; that is only read.

    With ``check`` no file is downloaded or kept: returns ``None`` where only a download would tell which bundle it
    would be.

    :raises BundleError: when there is none and none can be built.
    """
    folder = directory or str(default_cache().parent / "bundles")
    try:
        if directory:
            return _carried(platform, folder)
        return _looked_at(platform, folder) if check else _kept(platform, folder)
    except OSError as error:
        raise BundleFailed(path=error.filename or folder, reason=error.strerror or str(error)) from None


def _carried(platform: str, folder: str) -> Bundle:
    bundle = Bundle(build_bundle(platform, folder, check=True).path)
    if bundle.document.platform != platform:
        raise BundleInvalid(path=bundle.path, reason="it is for %s" % bundle.document.platform)
    return bundle


def _kept(platform: str, folder: str) -> Bundle:
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with _only_builder(folder):
        return Bundle(build_bundle(platform, folder).path)


@contextlib.contextmanager
def _only_builder(folder: str, wanted: bool = True) -> Iterator[None]:
    """Every device of a play asks for its bundle in a separate process; one builds, the others find it."""
    if not wanted:
        yield
        return
    with open(os.path.join(folder, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _looked_at(platform: str, folder: str) -> Optional[Bundle]:
    built = build_bundle(platform, folder, check=True)
    if not built.changed:
        return Bundle(built.path)
    try:
        with tempfile.TemporaryDirectory(prefix="plantops-imaging-") as passing:
            return Bundle(build_bundle(platform, passing, wheel_folder=str(default_cache())).path)
    except (BundleWheelMissing, BundleWheelDamaged):  # a real run would download it
        return None


def find_windows_bundle(platform: str, directory: Optional[str], check: bool = False) -> Optional[WindowsBundle]:
    """Return the bundle for a platform of Windows, found or made as :func:`find_bundle` does.

    :raises BundleError: when there is none and none can be built.
    """
    folder = directory or str(default_cache().parent / "bundles")
    try:
        if not directory and not check:
            os.makedirs(folder, mode=0o700, exist_ok=True)
        with _only_builder(folder, wanted=not directory and not check):
            built = build_bundle(platform, folder, check=bool(directory) or check)
        return None if check and built.changed and not directory else WindowsBundle(built.path)
    except OSError as error:
        raise BundleFailed(path=error.filename or folder, reason=error.strerror or str(error)) from None
