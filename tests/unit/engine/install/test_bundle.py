# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles: the same inputs give the same bytes, wheels come from where they should, and the lock covers what is promised."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Dict

import pytest
from engine.errors import (
    BundleFailed,
    BundleInvalid,
    BundlePlatformUnknown,
    BundleWheelDamaged,
    BundleWheelMissing,
)
from engine.install import bundle as bundle_module
from engine.install import bundle_format, wheel_lock, wheel_store
from engine.install.bundle import build_bundle, collection_version
from engine.install.bundle_format import Bundle
from support.bundles import WHEEL_CACHE, SmallBundle
from support.paths import ROOT
from support.refusing import failing

PLATFORM = "linux-x86_64-glibc-cp311"
BUILD = "import sys; from engine.install.bundle import build_bundle; print(build_bundle(*sys.argv[1:3], cache_folder=sys.argv[3]).sha256)"


def build(folder: Path, platform: str = PLATFORM, **settings: Any) -> Any:
    settings.setdefault("cache_folder", str(WHEEL_CACHE))
    return build_bundle(platform, str(folder), **settings)


@pytest.fixture(scope="module", autouse=True)
def wheels() -> None:
    """What these tests need of the package index is here before one of them looks at how it is asked."""
    wheel_store.fetch_wheels(wheel_lock.locked_platform(PLATFORM), WHEEL_CACHE)


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*dummy: object) -> None:
        raise AssertionError("the package index was asked")

    monkeypatch.setattr(wheel_store, "_run_pip", refuse)


def build_elsewhere(folder: Path, umask: str, **environment: str) -> str:
    """Build in a process of its own from a copy of the engine; return the hash that it tells."""
    engine = folder / "engine"
    shutil.copytree(ROOT / "plugins" / "module_utils" / "engine", engine, ignore=shutil.ignore_patterns("*.pyc"))
    (folder / "galaxy.yml").write_text("version: 9.9.9\n", encoding="ascii")
    root = folder / "root" / "plugins" / "module_utils"
    root.mkdir(parents=True)
    engine.rename(root / "engine")
    (folder / "galaxy.yml").rename(folder / "root" / "galaxy.yml")
    for number, path in enumerate(sorted(root.rglob("*.py"), key=lambda path: hash((str(path), umask)))):
        os.utime(path, (number * 86400, number * 86400))
    environment = dict(os.environ, PYTHONPATH=str(root), **environment)
    words = [sys.executable, "-c", BUILD, PLATFORM, str(folder / "out"), str(WHEEL_CACHE)]
    done = subprocess.run(
        ["sh", "-c", 'umask %s; exec "$@"' % umask, "sh", *words], env=environment, stdout=subprocess.PIPE, check=True
    )
    written = next((folder / "out").iterdir())
    assert hashlib.sha256(written.read_bytes()).hexdigest() == done.stdout.decode().strip()
    return done.stdout.decode().strip()


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = build_elsewhere(tmp_path / "one", "022", LC_ALL="C", TZ="UTC", PYTHONHASHSEED="1")
    two = build_elsewhere(tmp_path / "two", "077", LC_ALL="tr_TR.UTF-8", TZ="Pacific/Kiritimati", PYTHONHASHSEED="2")
    assert one == two


def test_the_engine_goes_in_whole_with_fixed_times_and_order() -> None:
    content = bundle_format.engine_zip()
    assert content == bundle_format.engine_zip()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        assert names == sorted(names)
        sources = {
            "engine/" + path.relative_to(bundle_format.ENGINE).as_posix() for path in bundle_format.ENGINE.rglob("*.py")
        }
        assert set(names) == sources
        assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
        assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
        assert not [name for name in names if "__pycache__" in name]


@pytest.mark.usefixtures("no_index")
def test_what_is_there_already_is_not_built_again_and_what_is_damaged_is(tmp_path: Path) -> None:
    first = build(tmp_path)
    assert first.changed
    assert first.identity.startswith(collection_version() + "-")
    assert Path(first.path).name == "plantops-imaging-agent-%s-%s.pyz" % (collection_version(), PLATFORM)
    again = build(tmp_path, cache_folder=str(tmp_path / "empty"))
    assert again == first._replace(changed=False), "its own parts are enough"
    path = Path(first.path)
    for position in (100, path.stat().st_size // 2):
        content = bytearray(path.read_bytes())
        content[position] ^= 1
        path.write_bytes(content)
        damaged = hashlib.sha256(content).hexdigest()
        assert build(tmp_path) == first._replace(replaced=damaged)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == first.sha256
    path.write_bytes(b"")
    assert build(tmp_path) == first._replace(replaced=hashlib.sha256(b"").hexdigest())
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.usefixtures("no_index")
def test_check_mode_writes_nothing_and_asks_nobody(tmp_path: Path) -> None:
    answer = build(tmp_path / "out", cache_folder=str(tmp_path / "cache"), check=True)
    assert (answer.changed, answer.sha256, answer.size_bytes, answer.identity) == (True, None, None, None)
    assert list(tmp_path.iterdir()) == []
    made = build(tmp_path / "out")
    assert build(tmp_path / "out", check=True) == made._replace(changed=False)
    assert build(tmp_path / "out", check=True, version="9.9.9").changed


@pytest.mark.usefixtures("no_index")
def test_a_folder_of_wheels_is_enough_and_its_files_are_hashed(tmp_path: Path) -> None:
    locked = wheel_lock.locked_platform(PLATFORM)
    stick = tmp_path / "stick"
    stick.mkdir()
    for wheel in locked.wheels:
        shutil.copy(WHEEL_CACHE / wheel.file_name, stick)
    settings = {"cache_folder": str(tmp_path / "cache"), "wheel_folder": str(stick)}
    made = build(tmp_path / "out", **settings)
    assert made.sha256 == build(tmp_path / "other").sha256
    assert not (tmp_path / "cache").exists()
    wheel = stick / locked.wheels[0].file_name
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleWheelDamaged, match=re.escape(str(wheel))):
        build(tmp_path / "damaged", **settings)
    wheel.unlink()
    with pytest.raises(BundleWheelMissing, match=re.escape(wheel.name)):
        build(tmp_path / "missing", **settings)


def test_a_damaged_wheel_of_the_cache_is_fetched_again(tmp_path: Path) -> None:
    locked = wheel_lock.locked_platform(PLATFORM)
    small = min(locked.wheels, key=lambda wheel: (WHEEL_CACHE / wheel.file_name).stat().st_size)
    only = locked._replace(wheels=(small,))
    assert wheel_store.fetch_wheels(only, tmp_path)
    (tmp_path / small.file_name).write_bytes(b"damaged")
    found = wheel_store.fetch_wheels(only, tmp_path)
    assert wheel_store.hash_file(found[small.file_name]) == small.sha256
    assert [path.name for path in tmp_path.iterdir()] == [small.file_name]


def test_a_wheel_of_another_hash_is_refused_by_pip_and_leaves_nothing(tmp_path: Path) -> None:
    locked = wheel_lock.locked_platform(PLATFORM)
    wrong = locked._replace(wheels=(locked.wheels[0]._replace(sha256="0" * 64),))
    with pytest.raises(BundleWheelMissing, match=r"(?i)hash"):
        wheel_store.fetch_wheels(wrong, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_index_that_is_not_reached_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with failing(BundleWheelMissing, reason="No matching distribution") as caught:
        build(tmp_path / "out", cache_folder=str(tmp_path / "cache"))
    assert "wheel_folder" in caught.value.as_dict()["hint"]
    assert not (tmp_path / "out").exists()


def test_a_platform_without_wheels_is_named_with_those_that_have(tmp_path: Path) -> None:
    for platform in ("linux-x86_64-musl-cp38", "linux-x86_64-glibc-cp37", "linux-i686-glibc-cp311", "../x"):
        with pytest.raises(BundlePlatformUnknown, match=re.escape(platform)) as caught:
            build(tmp_path, platform)
        assert PLATFORM in caught.value.as_dict()["hint"]


def test_the_version_is_that_of_the_source_or_of_the_installed_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_module, "ENGINE", tmp_path / "plugins" / "module_utils" / "engine")
    with pytest.raises(BundleInvalid, match=r"MANIFEST\.json"):
        collection_version()
    manifest = {"collection_info": {"version": "1.2.3"}}
    (tmp_path / "MANIFEST.json").write_text(json.dumps(manifest), encoding="ascii")
    assert collection_version() == "1.2.3"
    (tmp_path / "galaxy.yml").write_text("name: imaging\nversion: 2.0.0\n", encoding="ascii")
    assert collection_version() == "2.0.0"


def test_a_destination_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="ascii")
    with pytest.raises(BundleFailed, match="file/plantops-imaging-agent"):
        build(tmp_path / "file")


def test_a_bundle_tells_what_a_device_lacks_and_what_is_damaged(tmp_path: Path) -> None:
    small = SmallBundle()
    path = small.write(tmp_path / "small.pyz")
    engine, wheel = small.document.parts
    with Bundle(str(path)) as bundle:
        assert bundle.identity == small.identity
        assert bundle.missing([]) == [engine, wheel]
        assert bundle.missing([wheel.sha256, "0" * 64]) == [engine]
        (tmp_path / "sent").mkdir()
        bundle.write_missing([wheel.sha256], str(tmp_path / "sent"))
    assert {entry.name for entry in (tmp_path / "sent").iterdir()} == {"bundle.json", "installer.pyz", engine.sha256}
    content = bytearray(path.read_bytes())
    content[content.index(small.contents[wheel.sha256])] ^= 1
    path.write_bytes(content)
    with Bundle(str(path)) as bundle, pytest.raises(BundleInvalid, match="small-1"):
        bundle.read_part(wheel)
    for garbage in (b"", b"PK", bytes(content[:5000])):
        path.write_bytes(garbage)
        with pytest.raises(BundleInvalid, match=re.escape(str(path))):
            Bundle(str(path))
    with failing(BundleInvalid, reason=errno.ENOENT):
        Bundle(str(tmp_path / "nowhere.pyz"))


# -- the lock ---------------------------------------------------------------------------------------------------------


def test_the_lock_covers_what_is_promised() -> None:
    promised = {
        "linux-%s-%s-cp3%d" % (machine, library, minor)
        for machine in ("x86_64", "aarch64")
        for library, oldest in (("glibc", 8), ("musl", 9))
        for minor in range(oldest, 15)
    }
    assert set(wheel_lock.platforms()) == promised


def test_each_platform_has_every_package_that_the_engine_imports_once() -> None:
    source = (bundle_format.ENGINE / "_libraries.py").read_text(encoding="utf-8")
    imported = set(re.findall(r'require\(.*, "(\w+)"\)', source))
    assert imported >= {"cryptography", "zstandard", "paramiko", "smbprotocol"}
    for platform in wheel_lock.platforms():
        locked = wheel_lock.locked_platform(platform)
        names = [wheel.name for wheel in locked.wheels]
        assert imported <= set(names)
        assert len(names) == len(set(names))
        for wheel in locked.wheels:
            assert re.fullmatch(r"[0-9a-f]{64}", wheel.sha256)
            python, abi, tags = wheel.file_name[:-4].rsplit("-", 3)[1:]
            assert abi in ("none", "abi3", platform.rpartition("-")[2]), wheel.file_name
            assert tags == "any" or set(tags.split(".")) & set(locked.tags), wheel.file_name
            assert python


def test_the_lock_names_no_server() -> None:
    assert "://" not in wheel_lock.LOCK.read_text(encoding="utf-8")


@pytest.mark.long
def test_every_platform_builds(tmp_path: Path) -> None:
    sizes: Dict[str, int] = {}
    for platform in wheel_lock.platforms():
        made = build(tmp_path, platform)
        sizes[platform] = made.size_bytes
        with Bundle(made.path) as bundle:
            assert bundle.document.platform == platform
            for part in bundle.document.parts:
                bundle.read_part(part)
    assert all(5_000_000 < size < 25_000_000 for size in sizes.values()), json.dumps(sizes)
