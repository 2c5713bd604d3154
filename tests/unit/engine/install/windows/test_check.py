# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An unpacked bundle is compared file by file; files that the plant has signed are accepted, changed ones are not."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from engine.errors import BundleInvalid, WindowsFileChanged
from engine.install.bundle_document import DOCUMENT
from engine.install.windows.check import check_files, is_same
from engine.install.windows.document import File, make_document
from engine.install.windows.pe import authenticode
from support.windows import parts

LIBRARY = parts.executable({"kernel32.dll": ["Sleep"]}, {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    contents = {"lib/one.pyd": LIBRARY, "lib/one.py": b"print()\n"}
    files = []
    for name, content in contents.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        digest = authenticode(content)
        files.append(File(name, hashlib.sha256(content).hexdigest(), len(content), digest))
    (tmp_path / DOCUMENT).write_bytes(make_document("1.0", "windows-amd64", "3.13.2", files).raw)
    return tmp_path


def sign(path: Path, folder: Path) -> None:
    """Sign a file as a plant does, with a certificate of its own."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*words, "-days", "2", "-subj", "/O=Plant/CN=Plant"], check=True, capture_output=True)
    words = ["osslsigncode", "sign", "-h", "sha256", "-certs", str(certificate), "-key", str(key), "-in", str(path)]
    subprocess.run([*words, "-out", str(folder / "signed")], check=True, capture_output=True)
    (folder / "signed").replace(path)


def test_what_the_plant_signs_is_accepted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert check_files(str(folder)).version == "1.0"
    sign(folder / "lib" / "one.pyd", tmp_path_factory.mktemp("plant"))
    assert (folder / "lib" / "one.pyd").read_bytes() != LIBRARY
    assert check_files(str(folder)).version == "1.0"


def test_a_signed_file_that_was_changed_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = folder / "lib" / "one.pyd"
    content = bytearray(LIBRARY)
    content[content.index(b"Sleep")] ^= 1
    path.write_bytes(content)
    sign(path, tmp_path_factory.mktemp("plant"))
    with pytest.raises(WindowsFileChanged) as caught:
        check_files(str(folder))
    assert caught.value.fields["file"] == str(path)


@pytest.mark.parametrize("name", ["lib/one.py", "lib/one.pyd"])
def test_changed_and_missing_files_are_named(folder: Path, name: str) -> None:
    path = folder / name
    for content in (path.read_bytes() + b"#", path.read_bytes()[:-1], b""):
        path.write_bytes(content)
        with pytest.raises(WindowsFileChanged, match=path.name):
            check_files(str(folder))
    path.unlink()
    with pytest.raises(WindowsFileChanged, match=path.name):
        check_files(str(folder))


def test_a_folder_without_a_document_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid):
        check_files(str(tmp_path))


def test_only_executables_may_carry_a_signature() -> None:
    file = File("a.py", hashlib.sha256(b"a").hexdigest(), 1, "")
    assert is_same(b"a", file)
    assert not is_same(b"a" + parts.certificate_table(b"x"), file)
    signed = bytearray(parts.executable({"a.dll": ["b"]}, {}, certificates=parts.certificate_table(b"x")))
    plain = parts.executable({"a.dll": ["b"]}, {})
    known = File("a.dll", hashlib.sha256(plain).hexdigest(), len(plain), authenticode(plain))
    assert is_same(bytes(signed), known)
    assert not is_same(plain[:-1], known), "the hash by itself does not notice a zero that is cut off"
    signed[0x400] ^= 1
    assert not is_same(bytes(signed), known)
