# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the bundle of a platform on the operator's machine."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from pathlib import Path
from typing import Dict, Optional

from ..errors import BundleInvalid
from .bundle_document import ENGINE_PART, Part, make_document
from .bundle_format import ENGINE, Bundle, engine_zip, write_bundle
from .publishing import Built, publish_changed, sha256_of
from .wheel_lock import locked_platform
from .wheel_store import default_cache, fetch_wheels
from .windows.build import build_for_windows
from .windows.lock import PREFIX as WINDOWS
from .windows.python_source import PythonSource


def collection_version() -> str:
    """Return the version of the collection that this engine is part of: of its source, or as it was installed."""
    root = ENGINE.parent.parent.parent
    source, installed = root / "galaxy.yml", root / "MANIFEST.json"
    if source.is_file():
        found = re.search(r"^version: *(\S+) *$", source.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found.group(1)
    elif installed.is_file():
        return str(json.loads(installed.read_text(encoding="utf-8"))["collection_info"]["version"])
    raise BundleInvalid(path=str(root), reason="neither galaxy.yml nor MANIFEST.json contains the version")


def build_bundle(
    platform: str,
    destination: str,
    *,
    version: Optional[str] = None,
    cache_folder: Optional[str] = None,
    wheel_folder: Optional[str] = None,
    python: Optional[PythonSource] = None,
    check: bool = False,
) -> Built:
    """Have the platform's bundle in the folder ``destination``. One that is there and whole stays; ``check`` only looks.

    :param wheel_folder: holds the wheels, for a machine that reaches no package index.
    :param python: the embeddable distribution, for a platform of Windows.
    :raises BundleError: A200 to A204; for Windows A370 to A374 too.
    """
    chosen = version or collection_version()
    folders = {"cache_folder": cache_folder, "wheel_folder": wheel_folder}
    if platform.startswith(WINDOWS):
        return build_for_windows(platform, destination, chosen, python=python, check=check, **folders)
    locked = locked_platform(platform)
    path = os.path.join(destination, "plantops-imaging-agent-%s-%s.pyz" % (chosen, platform))
    contents = _parts_of(path)
    engine = engine_zip()
    contents[hashlib.sha256(engine).hexdigest()] = engine
    if any(wheel.sha256 not in contents for wheel in locked.wheels):
        if check:
            return Built(platform, path, None, None, None, True, sha256_of(path))
        cache = Path(cache_folder) if cache_folder else default_cache()
        wheels = fetch_wheels(locked, cache, Path(wheel_folder) if wheel_folder else None)
        contents.update((wheel.sha256, wheels[wheel.file_name].read_bytes()) for wheel in locked.wheels)
    named = [(ENGINE_PART, hashlib.sha256(engine).hexdigest())]
    named += [(wheel.file_name, wheel.sha256) for wheel in locked.wheels]
    parts = [Part(name, sha256, len(contents[sha256])) for name, sha256 in named]
    document = make_document(chosen, platform, locked.libc, locked.python, parts)
    file = io.BytesIO()
    write_bundle(file, document, contents)
    content = file.getvalue()
    sha256, changed, replaced = publish_changed(path, content, check)
    return Built(platform, path, sha256, len(content), document.identity, changed, replaced)


def _parts_of(path: str) -> Dict[str, bytes]:
    """Return the parts of a bundle that is there already, by SHA-256; none when it is not whole."""
    if not os.path.exists(path):
        return {}
    try:
        with Bundle(path) as bundle:
            return {part.sha256: bundle.read_part(part) for part in bundle.document.parts}
    except BundleInvalid:
        return {}
