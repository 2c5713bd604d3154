# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the bundle of a platform of Windows on the operator's machine: a zip whose files are the installation."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Optional

from ...errors import BundleFailed
from ..publishing import Built, publish_changed, sha256_of
from ..stored_zip import write_entries
from ..wheel_store import default_cache, fetch_wheels, hash_file
from .contents import collect
from .lock import WindowsPlatform, windows_platform
from .python_source import PythonSource, python_files


def build_for_windows(
    name: str,
    destination: str,
    version: str,
    *,
    python: Optional[PythonSource] = None,
    cache_folder: Optional[str] = None,
    wheel_folder: Optional[str] = None,
    check: bool = False,
) -> Built:
    """Have the platform's bundle in the folder ``destination``. One that is there and whole stays; ``check`` only looks.

    :raises BundleError: A200 to A204, A370 to A374.
    """
    platform = windows_platform(name)
    path = os.path.join(destination, "plantops-imaging-agent-%s-%s.zip" % (version, name))
    cache = Path(cache_folder) if cache_folder else default_cache()
    carried = Path(wheel_folder) if wheel_folder else None
    if check and not _all_here(platform, python, cache, carried):
        return Built(name, path, None, None, None, True, sha256_of(path))
    wheels = fetch_wheels(platform.packages, cache, carried)
    contents = collect(platform, version, python_files(platform, python, cache, carried), wheels)
    file = io.BytesIO()
    try:
        write_entries(file, list(contents.entries.items()))
    except ValueError as error:
        raise BundleFailed(path=path, reason=str(error)) from None
    content = file.getvalue()
    sha256, changed, replaced = publish_changed(path, content, check)
    return Built(name, path, sha256, len(content), contents.document.identity, changed, replaced)


def _all_here(platform: WindowsPlatform, python: Optional[PythonSource], cache: Path, carried: Optional[Path]) -> bool:
    """Whether the bundle can be built without downloading anything."""
    folder = cache if carried is None else carried
    needed = [(folder / wheel.file_name, wheel.sha256) for wheel in platform.packages.wheels]
    if python is not None:
        needed.append((python.path(cache), python.wanted))
    elif platform.embedded is not None:
        needed.append((folder / platform.embedded.file_name, platform.embedded.sha256))
    return all(path.is_file() and hash_file(path) == sha256 for path, sha256 in needed)
