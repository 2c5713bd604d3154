# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the bundle of a platform of Windows on the operator's machine: a zip whose files are the installation."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import NamedTuple, Optional

from ...errors import BundleFailed
from ..publishing import publish
from ..stored_zip import write_entries
from ..wheel_store import default_cache, fetch_wheels, hash_file
from .contents import collect
from .lock import windows_platform
from .python_source import PythonSource, python_files


class BuiltForWindows(NamedTuple):
    """The file, as ``bundle.Built`` describes it."""

    path: str
    sha256: Optional[str]
    size_bytes: Optional[int]
    identity: Optional[str]
    changed: bool
    replaced: Optional[str]


def build_for_windows(
    name: str,
    destination: str,
    version: str,
    *,
    python: Optional[PythonSource] = None,
    cache_folder: Optional[str] = None,
    wheel_folder: Optional[str] = None,
    check: bool = False,
) -> BuiltForWindows:
    """Have the platform's bundle in the folder ``destination``. One that is there and whole stays; ``check`` only looks.

    :raises BundleError: A200 to A204, A370 to A374.
    """
    platform = windows_platform(name)
    path = os.path.join(destination, "plantops-imaging-agent-%s-%s.zip" % (version, name))
    cache = Path(cache_folder) if cache_folder else default_cache()
    carried = Path(wheel_folder) if wheel_folder else None
    before = hash_file(Path(path)) if os.path.exists(path) else None
    if check and not _all_here(name, python, cache, carried):
        return BuiltForWindows(path, None, None, None, True, before)
    wheels = fetch_wheels(platform.packages, cache, carried)
    contents = collect(platform, version, python_files(platform, python, cache, carried), wheels)
    file = io.BytesIO()
    try:
        write_entries(file, list(contents.entries.items()))
    except ValueError as error:
        raise BundleFailed(path=path, reason=str(error)) from None
    content = file.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    changed = sha256 != before
    if changed and not check:
        publish(path, content)
    replaced = before if changed else None
    return BuiltForWindows(path, sha256, len(content), contents.document.identity, changed, replaced)


def _all_here(name: str, python: Optional[PythonSource], cache: Path, carried: Optional[Path]) -> bool:
    """Whether the bundle can be built without downloading anything."""
    platform = windows_platform(name)
    folder = cache if carried is None else carried
    needed = [(folder / wheel.file_name, wheel.sha256) for wheel in platform.packages.wheels]
    if python is not None:
        kept = cache / ("python-%s.zip" % python.sha256.lower())
        needed.append(
            (kept if "://" in python.place else Path(os.path.expanduser(python.place)), python.sha256.lower())
        )
    elif platform.embedded is not None:
        needed.append((folder / platform.embedded.file_name, platform.embedded.sha256))
    return all(path.is_file() and hash_file(path) == sha256 for path, sha256 in needed)
