# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the wheels of a platform on this machine: from a folder that was carried here, or from the package index, once."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from ..errors import BundleWheelDamaged, BundleWheelMissing
from ..image.format.packs import hash_pieces
from .wheel_lock import LockedPlatform, Wheel

_MAX_REASON_CHARACTERS = 500


def default_cache() -> Path:
    """Return where wheels are kept between builds."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given if os.path.isabs(given) else os.path.expanduser("~/.cache")) / "plantops-imaging" / "wheels"


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hash_pieces(iter(lambda: file.read(1 << 20), b""))


def fetch_wheels(platform: LockedPlatform, cache: Path, carried: Optional[Path] = None) -> Dict[str, Path]:
    """Return where each wheel of ``platform`` lies, by file name; every one has the hash of the lock.

    With ``carried``, a folder of wheels, no package index is asked. Without, what ``cache`` lacks is downloaded into it.

    :raises BundleWheelMissing: when one can't be had. :raises BundleWheelDamaged: when one in ``carried`` is another file.
    """
    options = ["--only-binary=:all:", "--implementation", "cp", "--python-version", platform.python]
    options += [word for name in (platform.abi, "abi3", "none") for word in ("--abi", name)]
    options += [word for tag in platform.tags for word in ("--platform", tag)]
    return fetch(platform.wheels, cache, carried, options)


def fetch(wheels: Sequence[Wheel], cache: Path, carried: Optional[Path], options: List[str]) -> Dict[str, Path]:
    """Return where files of the index lie, as :func:`fetch_wheels` does; ``options`` tell pip their form and system."""
    folder = cache if carried is None else carried
    lacking = [wheel for wheel in wheels if not _is_here(wheel, folder, is_ours=carried is None)]
    if lacking and carried is not None:
        raise BundleWheelMissing(wheel=lacking[0].file_name, reason="%s does not contain it" % carried)
    if lacking:
        _download(lacking, cache, options)
    return {wheel.file_name: folder / wheel.file_name for wheel in wheels}


def _is_here(wheel: Wheel, folder: Path, is_ours: bool) -> bool:
    path = folder / wheel.file_name
    if not path.is_file():
        return False
    sha256 = hash_file(path)
    if sha256 != wheel.sha256 and not is_ours:
        raise BundleWheelDamaged(path=path, sha256=sha256)
    return sha256 == wheel.sha256


def _download(wheels: List[Wheel], cache: Path, options: List[str]) -> None:
    """Let pip download them from the index that this machine is configured for; it compares the hashes too."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=cache) as folder:
            _run_pip(wheels, Path(folder), options)
            for wheel in wheels:
                if not _is_here(wheel, Path(folder), is_ours=True):
                    raise BundleWheelMissing(wheel=wheel.file_name, reason="pip downloaded another file")
                os.replace(Path(folder) / wheel.file_name, cache / wheel.file_name)
    except OSError as error:
        raise BundleWheelMissing(wheel=wheels[0].file_name, reason="%s: %s" % (cache, error.strerror)) from None


def _run_pip(wheels: List[Wheel], folder: Path, options: List[str]) -> None:
    requirements = folder / "requirements.txt"
    lines = ["%s==%s --hash=sha256:%s\n" % (wheel.name, wheel.version, wheel.sha256) for wheel in wheels]
    requirements.write_text("".join(lines), encoding="ascii")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--require-hashes", "--dest", str(folder), "--requirement", str(requirements), *options]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # pylint: disable=ansible-bad-function
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        reason = " ".join(errors)[:_MAX_REASON_CHARACTERS].rstrip(".")
        raise BundleWheelMissing(wheel=wheels[0].file_name, reason=reason or "pip failed")
