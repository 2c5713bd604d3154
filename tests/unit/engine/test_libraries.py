# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package that can't be loaded: the cause is told, and it is not called missing where it is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List

import pytest
from support.paths import MODULE_UTILS

TRY = """
import sys
sys.path.insert(0, sys.argv[1])
from engine import _libraries
from engine.errors import EngineError
try:
    _libraries.{call}
except EngineError as error:
    print(error.code, error)
else:
    print("loaded")
"""


def told(folder: Path, call: str = "blake3()", python: str = sys.executable, user: int = 0) -> List[str]:
    """Return the code and the sentence of an import from ``folder``, by a Python that has no packages of its own."""
    command = [python, "-I", "-S", "-c", "import sys; sys.path.insert(0, %r)" % str(folder) + TRY.format(call=call)]
    done = subprocess.run(
        [*command, str(MODULE_UTILS)], stdout=subprocess.PIPE, text=True, check=True, user=user or None, cwd="/"
    )
    code, dummy_space, sentence = done.stdout.strip().splitlines()[-1].partition(" ")
    return [code, sentence]


def copied(name: str, folder: Path) -> Path:
    """Put an installed package into ``folder``."""
    source = Path(__import__(name).__file__).parent
    return Path(shutil.copytree(source, folder / name))


def extension_of(package: Path) -> Path:
    return next(package.rglob("*.so"))


@pytest.fixture
def noexec(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "noexec"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_what_is_not_installed_is_missing(tmp_path: Path) -> None:
    assert told(tmp_path)[0] == "X001"
    copied("blake3", tmp_path)
    assert told(tmp_path) == ["loaded", ""]


@pytest.mark.root
def test_a_file_system_that_runs_no_programs_is_named_as_the_cause(noexec: Path) -> None:
    copied("blake3", noexec)
    code, sentence = told(noexec)
    assert code == "X003"
    assert str(noexec) in sentence


@pytest.mark.parametrize(
    ("package", "words", "code"),
    [
        ("import _cffi_backend", "", "X004"),
        ("raise ImportError('libffi.so.7: cannot open shared object file: No such file or directory')", "libffi.so.7", "X004"),
        ("raise ImportError('Error loading shared library libffi.so.8: No such file or directory (needed by x.so)')", "libffi", "X004"),
        ("""raise ImportError("/lib/libc.so.6: version `GLIBC_2.28' not found (required by x.so)")""", "GLIBC_2.28", "X005"),
        ("raise ImportError('libc.musl-x86_64.so.1: cannot open shared object file: No such file')", "musl", "X005"),
        ("raise ImportError('x.so: wrong ELF class: ELFCLASS32')", "ELFCLASS32", "X005"),
        ("from blake3.blake3 import blake3", "blake3.blake3", "X005"),
        ("raise ImportError('x.so: cannot apply additional memory protection after relocation: Permission denied')", "", "X003"),
        ("raise ImportError('x.so: cannot enable executable stack as shared object requires: Permission denied')", "", "X003"),
        ("raise PermissionError(13, 'Permission denied', '/there/is/none')", "Permission denied", "X006"),
        ("raise RuntimeError('half of it is gone')", "half of it is gone", "X007"),
        ("class Panic(BaseException): pass\nraise Panic('called unwrap')", "called unwrap", "X007"),
        ("try:\n    import _cffi_backend\nexcept ImportError as error:\n    raise RuntimeError('no') from error", "_cffi_backend", "X004"),
    ],
)  # fmt: skip
def test_each_cause_has_its_code_and_keeps_the_reason(package: str, words: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "blake3").mkdir()
    (tmp_path / "blake3" / "__init__.py").write_text(package + "\n", encoding="ascii")
    found = told(tmp_path)
    assert found[0] == code, found
    assert words in found[1]


def test_a_package_that_panics_over_what_it_lacks_names_that(tmp_path: Path) -> None:
    """cryptography without cffi, whose Rust part has an exception of its own."""
    copied("cryptography", tmp_path)
    code, sentence = told(tmp_path, "aead()")
    assert code == "X004"
    assert "_cffi_backend" in sentence


def test_a_file_of_another_machine_or_a_damaged_one(tmp_path: Path) -> None:
    extension = extension_of(copied("blake3", tmp_path))
    data = bytearray(extension.read_bytes())
    data[4] = 1  # ELFCLASS32
    extension.write_bytes(bytes(data))
    assert told(tmp_path)[0] == "X005"
    extension.write_bytes(bytes(data[:30]))
    assert told(tmp_path)[0] == "X007"


@pytest.mark.root
def test_what_this_user_may_not_read_is_there_all_the_same(open_path: Path) -> None:
    python = "/usr/bin/python3"
    package = copied("blake3", open_path)
    (package / "__init__.py").write_text("", encoding="ascii")
    shutil.copytree(MODULE_UTILS / "engine", open_path / "engine")
    package.chmod(0o700)
    code = "import sys; sys.path.insert(0, %r)" % str(open_path) + TRY.format(call="blake3()")
    command = [python, "-I", "-S", "-c", code, str(open_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, user=65534, cwd="/")
    assert done.stdout.split()[0] == "X006", done.stdout
    assert os.path.isdir(package)
