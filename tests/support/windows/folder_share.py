# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A share without a network, and a small bundle to install through it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.plantops.imaging.plugins.module_utils.engine.entries import Entry, EntryKind  # type: ignore[import-untyped]
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (  # type: ignore[import-untyped]
    DeviceFileChanged,
    DeviceFileFailed,
)
from ansible_collections.plantops.imaging.plugins.module_utils.engine.smb.server_service import ServerVersion  # type: ignore[import-untyped]
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.errors import Peer  # type: ignore[import-untyped]
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.place import place_of  # type: ignore[import-untyped]


class FolderShare:
    """The drive of a device as a folder of this machine. ``changes``: names of files that a scanner replaces."""

    peer = Peer("pc", "10.0.0.1", "u", "C$", "C:\\Program Files\\plantops-imaging")
    place = place_of("C$", "C:\\")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.windows = ServerVersion(6, 1)
        self.system: Optional[bytes] = None
        self.system_files: Dict[str, bytes] = {}
        self.unused_bytes = 1 << 40
        self.written: List[bytes] = []
        self.changes: Tuple[str, ...] = ()
        self.running: Tuple[str, ...] = ()  # programs that a process runs, as ends of paths
        self.held: Tuple[str, ...] = ()  # folders in which a process has a file open, as ends of paths
        (folder / "Program Files").mkdir()

    def host_path(self, path: str) -> Path:
        return self.folder.joinpath(*path.split("\\"))

    def system_file(self, path: str, most_bytes: int) -> Optional[bytes]:
        content = self.system_files.get(path, self.system)
        return content and content[:most_bytes]

    def free_bytes(self) -> int:
        return self.unused_bytes

    def read(self, path: str, most_bytes: int) -> Optional[bytes]:
        file = self.host_path(path)
        content = file.read_bytes() if file.exists() else None
        assert content is None or len(content) <= most_bytes
        return content

    def write(self, path: str, data: Iterable[bytes]) -> str:
        content = b"".join(data)
        self.written.append(content)
        self.host_path(path).write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def write_new(self, path: str, data: bytes) -> None:
        self.write(path + ".new", [data])
        self.rename(path + ".new", path)

    def check(self, path: str, sha256: str) -> None:
        file = self.host_path(path)
        if not file.is_file():
            raise DeviceFileFailed(device="pc", operation="Reading", path=path, reason="it does not exist")
        if file.name in self.changes or hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
            raise DeviceFileChanged(device="pc", path=path)

    def put(self, local_path: str, path: str) -> None:
        self.check(path, self.write(path, [Path(local_path).read_bytes()]))

    def rename(self, path: str, new_path: str) -> None:
        self.host_path(path).rename(self.host_path(new_path))

    def move_aside(self, folder: str, new_path: str) -> bool:
        if folder.endswith(self.held):
            return False
        self.rename(folder, new_path)
        return True

    def is_running(self, program: str) -> bool:
        return self.host_path(program).exists() and program.endswith(self.running)

    def delete(self, path: str) -> None:
        self.host_path(path).unlink(missing_ok=True)

    def delete_tree(self, path: str) -> bool:
        there = self.host_path(path).exists()
        shutil.rmtree(self.host_path(path), ignore_errors=True)
        return there

    def entries(self, path: str) -> Optional[List[Entry]]:
        folder = self.host_path(path)
        if not folder.is_dir():
            return None
        kinds = [(one.name, EntryKind.DIRECTORY if one.is_dir() else EntryKind.FILE) for one in folder.iterdir()]
        return [Entry(name, kind, 0) for name, kind in kinds]

    def make_folder(self, path: str) -> None:
        self.host_path(path).mkdir(exist_ok=True)

    def make_base(self) -> None:
        self.make_folder(self.place.base_in_share)

    def check_base(self) -> bool:
        return self.host_path(self.place.base_in_share).is_dir()


class _File(NamedTuple):
    name: str
    sha256: str
    size_bytes: int


class SmallBundle:
    """A bundle as its readers see it, of three files."""

    def __init__(self, version: str = "0.1.0", digest: str = "0123456789abcdef") -> None:
        self.identity = "%s-%s" % (version, digest)
        self._contents = {"python/python.exe": b"MZ", "code/engine/__init__.py": b"", "lib/a.py": version.encode()}

    @property
    def files(self) -> Dict[str, _File]:
        found = self._contents.items()
        return {name: _File(name, hashlib.sha256(data).hexdigest(), len(data)) for name, data in found}

    def lists(self) -> Tuple[Tuple[str, bytes], ...]:
        return ("bundle.json", b"{}"), ("SHA256SUMS", b"")

    def read(self, name: str) -> bytes:
        return self._contents[name]

    def names(self) -> Iterator[str]:
        yield from (*self._contents, "bundle.json", "SHA256SUMS")
