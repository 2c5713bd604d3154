# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the recovery program from its file: Python sources and shared objects are imported from the archive.

No file is unpacked to a disk: shared objects go to an anonymous file in memory (memfd_create(2)) and are loaded through
/proc/self/fd. Where the system does not let such a file run, or a package brings libraries that are found beside it
(musl), they go to a private folder that is removed as soon as they are loaded. So a read-only root, a noexec /tmp and
``python3 -I -S`` are not an obstacle, and a killed program leaves nothing behind.

This file is in the archive as ``plantops_loader.py`` and imports the standard library only, at its top.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import json
import os
import re
import shutil
import sys
import tempfile
import warnings
import zipfile
from importlib import metadata
from types import ModuleType
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

INDEX = "index.json"
UNFIT = 3  # the exit status where this Python, or this system, can't run the program
_FORMAT = 1
_FALLBACK_FOLDERS = ("/dev/shm", "/run", "/var/tmp", "/tmp")  # in this order: those in memory first


class Carried(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and loads the modules of the archive."""

    def __init__(self, archive: zipfile.ZipFile, path: str) -> None:
        self._archive = archive
        self._path = path
        self._files: Dict[str, str] = {}  # "paramiko/client.py" -> the name of its entry
        self._extensions: Dict[str, str] = {}  # "blake3/blake3" -> "blake3/blake3.cpython-311-x86_64-linux-gnu.so"

    def add(self, files: Dict[str, str]) -> None:
        """Carry ``files`` from now on, by path: the entries that hold them."""
        self._files.update(files)
        for name in files:
            if name.endswith(".so"):  # without .abi3 or .cpython-311-x86_64-linux-gnu
                self._extensions[name[: -len(".so")].partition(".")[0]] = name

    @property
    def folder(self) -> str:
        """The folder of the program."""
        return os.path.dirname(os.path.abspath(self._path))

    def read(self, name: str) -> bytes:
        return self._archive.read(self._files[name])

    def find_spec(
        self, fullname: str, dummy_path: Optional[Sequence[Any]], dummy_target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        base = fullname.replace(".", "/")
        for name, is_package in ((base + "/__init__.py", True), (base + ".py", False)):
            if name in self._files:
                spec = importlib.machinery.ModuleSpec(
                    fullname, self, origin=os.path.join(self._path, name), is_package=is_package
                )
                spec.has_location = True  # gives the module a __file__
                spec.loader_state = name
                if is_package:
                    spec.submodule_search_locations = [os.path.join(self._path, base)]
                return spec
        if base in self._extensions:
            loader = _Extension(fullname, self, self._extensions[base])
            spec = importlib.machinery.ModuleSpec(fullname, loader, origin=os.path.join(self._path, base))
            spec.has_location = True
            return spec
        return None

    def create_module(self, dummy_spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is None or spec.origin is None:
            raise ImportError("%s was not found by this program" % module.__name__)
        code = compile(self.read(str(spec.loader_state)), spec.origin, "exec", dont_inherit=True)
        exec(code, module.__dict__)

    def get_data(self, path: str) -> bytes:
        """The method for pkgutil.get_data."""
        name = os.path.relpath(path, self._path)
        if name not in self._files:
            raise OSError("%s is not carried" % name)
        return self.read(name)

    def find_distributions(self, context: Any = None) -> Iterator[metadata.Distribution]:
        """Packages that are carried, for those that ask for their own version."""
        wanted = _normal(context.name) if context is not None and context.name else None
        for name in sorted(self._files):
            if name.endswith(".dist-info/METADATA"):
                found = _Distribution(self.read(name).decode("utf-8", "replace"))
                if wanted in (None, _normal(found.metadata["Name"])):
                    yield found

    def beside(self, name: str) -> List[str]:
        """The files that a shared object needs beside it: libraries in ``<package>.libs``."""
        folder = "%s.libs/" % name.partition("/")[0]
        return [other for other in sorted(self._files) if other.startswith(folder)]


class _Distribution(metadata.Distribution):
    def __init__(self, text: str) -> None:
        self._text = text

    def read_text(self, filename: str) -> Optional[str]:
        return self._text if filename in ("METADATA", "PKG-INFO") else None

    def locate_file(self, path: Any) -> Any:
        return path


class _Extension(importlib.machinery.ExtensionFileLoader):
    """A shared object of the archive."""

    def __init__(self, fullname: str, carried: Carried, name: str) -> None:
        super().__init__(fullname, name)
        self._carried = carried
        self._file = name

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        beside = self._carried.beside(self._file)
        if not beside:
            try:
                return self._load(spec, _in_memory(self._file, self._carried.read(self._file)))
            except (ImportError, OSError):  # the system lets no file in memory run: vm.memfd_noexec, a policy
                pass
        return self._from_folder(spec, beside)

    def _from_folder(self, spec: importlib.machinery.ModuleSpec, beside: List[str]) -> ModuleType:
        folder = _private_folder(self._carried.folder)
        try:
            for name in [self._file, *beside]:
                path = os.path.join(folder, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.write(self._carried.read(name))
            return self._load(spec, os.path.join(folder, self._file))
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # what is loaded stays in memory

    def _load(self, spec: importlib.machinery.ModuleSpec, path: str) -> ModuleType:
        self.path = spec.origin = path
        module: Optional[ModuleType] = super().create_module(spec)
        if module is None:
            raise ImportError("%s can't be loaded" % self._file)
        return module


def _in_memory(name: str, data: bytes) -> str:
    """Return the path of an anonymous file with these bytes. It stays open: the loader knows libraries by their path."""
    descriptor = os.memfd_create(os.path.basename(name))
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    return "/proc/self/fd/%d" % descriptor


def _private_folder(own: str) -> str:
    """Make a folder that only this user gets into and from which programs may run.

    :raises OSError: when there is no place for one.
    """
    candidates = [os.environ.get("XDG_RUNTIME_DIR", ""), *_FALLBACK_FOLDERS, own]
    for place in candidates:
        try:
            if os.path.isabs(place) and not os.statvfs(place).f_flag & os.ST_NOEXEC:
                return tempfile.mkdtemp(prefix="plantops-recovery-", dir=place)
        except OSError:
            continue
    raise OSError("no folder was found from which this system lets programs run")


def _normal(name: Optional[str]) -> str:
    return re.sub(r"[-_.]+", "-", name or "").lower()


def _numbers(version: str) -> List[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _unfit(name: str, platforms: Dict[str, Any], library: Tuple[str, str]) -> str:
    """Why this Python can't run the program, "" when it can."""
    if name not in platforms:
        return "This Python is for %s; the program carries what it needs for %s." % (name, _told(sorted(platforms)))
    needed = str(platforms[name]["libc"])
    if library[1] and _numbers(library[1]) < _numbers(needed):
        return "This system has %s %s; the program needs %s or newer." % (*library, needed)
    return ""


def _told(names: List[str]) -> str:
    """The platforms in few words: linux-x86_64-glibc with CPython 3.8 to 3.14."""
    versions: Dict[str, List[int]] = {}
    for name in names:
        base, dummy, python = name.rpartition("-cp3")
        versions.setdefault(base, []).append(int(python))
    words = []
    for base, minors in sorted(versions.items()):
        least, most = min(minors), max(minors)
        words.append("%s with CPython 3.%d%s" % (base, least, "" if least == most else " to 3.%d" % most))
    return ", ".join(words)


def main(arguments: List[str], path: str) -> int:
    """Run the program in the archive ``path``."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # packages warn that an old Python will not be supported any more
    archive = zipfile.ZipFile(path)
    index = json.loads(archive.read(INDEX).decode("ascii"))
    if index.get("format") != _FORMAT:
        sys.stderr.write("plantops-recovery: %s is damaged; copy it again.\n" % path)
        return UNFIT
    carried = Carried(archive, path)
    carried.add(index["engine"])
    sys.meta_path.insert(0, carried)
    probe = importlib.import_module("engine.install.probe")
    name = probe.platform_name()
    reason = _unfit(name, index["platforms"], probe.c_library())
    if reason:
        sys.stderr.write("plantops-recovery: %s\n" % reason)
        return UNFIT
    carried.add(index["platforms"][name]["files"])
    status: int = importlib.import_module("engine.recovery.main").main(arguments, program=path)
    return status
