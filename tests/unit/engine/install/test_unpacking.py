# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts that lie: names that lead elsewhere, sizes without end, contents that are not what was named."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
from engine.errors import BundleInvalid, InstallationPartInvalid
from engine.install import unpacking
from engine.install.bundle_document import Part, make_document, read_document
from support.bundles import SmallBundle
from support.refusing import failing

NAMES = [
    "../evil",
    "/etc/evil",
    "small/../../evil",
    "small//evil",
    "./evil",
    "small\\..\\evil",
    "C:evil",
    "small/new\nline",
    "small/" + "x" * 500,
    "../evil/",
]


def archive(change: Callable[[zipfile.ZipFile], Any]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        change(written)
    return file.getvalue()


def refused(content: bytes, folder: Path) -> str:
    """Unpack a zip that must be refused; return the reason. Nothing may have been written outside of the folder."""
    inside = folder / "one" / "two"
    inside.mkdir(parents=True)
    path = folder / "part.zip"
    path.write_bytes(content)
    with pytest.raises(InstallationPartInvalid, match=r"bad\.whl") as caught:
        unpacking.Unpacker().unpack(str(path), Part("bad.whl", "0" * 64, len(content)), str(inside))
    assert not [found for found in folder.rglob("*evil*") if found.name == "evil"]
    return str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    assert "it contains the name" in refused(archive(lambda written: written.writestr(name, b"x")), tmp_path)


def test_a_name_twice_is_refused_also_in_other_letters_and_in_another_part(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = archive(lambda written: [written.writestr("a/b", b"1"), written.writestr("a/b", b"2")])
    assert "is in it twice" in refused(content, tmp_path / "1")
    content = archive(lambda written: [written.writestr("a/b", b"1"), written.writestr("A/b", b"2")])
    assert "is in it twice" in refused(content, tmp_path / "2")
    path = tmp_path / "one.zip"
    path.write_bytes(archive(lambda written: written.writestr("a/b", b"1")))
    unpacker = unpacking.Unpacker()
    unpacker.unpack(str(path), Part("one.whl", "0" * 64, 1), str(tmp_path / "3"))
    with failing(InstallationPartInvalid, reason="in another part"):
        unpacker.unpack(str(path), Part("two.whl", "0" * 64, 1), str(tmp_path / "3"))


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    for number, kind in enumerate((0o120777, 0o060600, 0o010600)):
        entry = zipfile.ZipInfo("a/link")
        entry.external_attr = kind << 16
        content = archive(lambda written, entry=entry: written.writestr(entry, b"/etc/passwd"))  # type: ignore[misc]
        assert "is not a file" in refused(content, tmp_path / str(number))


def test_sizes_and_numbers_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_MAX_UNPACKED_BYTES", 1000)
    monkeypatch.setattr(unpacking, "_MAX_FILES", 10)
    many = archive(lambda written: [written.writestr("a/%d" % number, b"") for number in range(11)])
    assert "exceeds the limit" in refused(many, tmp_path / "1")
    bomb = zipfile.ZipInfo("a/bomb")
    bomb.compress_type = zipfile.ZIP_DEFLATED
    content = archive(lambda written: written.writestr(bomb, b"\0" * 1001))
    assert "exceeds the limit" in refused(content, tmp_path / "2")
    assert not list((tmp_path / "2").rglob("bomb")), "refused by what it says, before a byte is written"


def test_what_is_damaged_or_packed_in_other_ways_is_refused(tmp_path: Path) -> None:
    for number, kind in enumerate((zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)):
        entry = zipfile.ZipInfo("a/b")
        entry.compress_type = kind
        content = archive(lambda written, entry=entry: written.writestr(entry, b"x" * 100))  # type: ignore[misc]
        assert "Python versions can't read" in refused(content, tmp_path / str(number))
    whole = archive(lambda written: written.writestr("a/b", b"content"))
    refused(whole[:40], tmp_path / "truncated")
    refused(whole.replace(b"content", b"CONTENT"), tmp_path / "crc")
    encrypted = bytearray(whole)
    encrypted[whole.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory (4.4.4 of the zip specification)
    assert "encrypted" in refused(bytes(encrypted), tmp_path / "encrypted")
    refused(b"", tmp_path / "empty")


def test_a_part_that_is_not_what_was_named_is_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    bundle = SmallBundle()
    for part in bundle.document.parts:
        right = bundle.contents[part.sha256]
        for wrong in (right[:-1], right + b"x" * (1 << 20), b"\0" * len(right), b""):
            bundle.contents[part.sha256] = wrong
            with pytest.raises(InstallationPartInvalid, match="SHA-256"):
                bundle.install(tmp_path / "agent")
            assert list(tmp_path.iterdir()) == []
        bundle.contents[part.sha256] = right


GOOD: Dict[str, Any] = json.loads(SmallBundle().document.raw)
BAD: Dict[str, Callable[[Dict[str, Any]], Any]] = {
    "another format": lambda content: content.update(format=2),
    "no version": lambda content: content.pop("version"),
    "a version that is a path": lambda content: content.update(version="1/../2"),
    "a version that hides": lambda content: content.update(version=".new-1"),
    "no platform": lambda content: content.update(platform=None),
    "no floor": lambda content: content["requires"].pop("libc"),
    "a floor in words": lambda content: content["requires"].update(python="new"),
    "no parts": lambda content: content.update(parts=[]),
    "parts of another kind": lambda content: content.update(parts={"a": 1}),
    "no engine": lambda content: content["parts"].pop(0),
    "a part twice": lambda content: content["parts"].append(dict(content["parts"][1])),
    "a part that is a path": lambda content: content["parts"][1].update(name="../a.whl"),
    "a hash that is a path": lambda content: content["parts"][1].update(sha256="../" + "0" * 61),
    "a negative size": lambda content: content["parts"][1].update(size_bytes=-1),
    "a size without end": lambda content: content["parts"][1].update(size_bytes=1 << 40),
    "a size that is true": lambda content: content["parts"][1].update(size_bytes=True),
    "too many parts": lambda content: content["parts"].extend(
        {"name": "a%d.whl" % number, "sha256": "%064x" % number, "size_bytes": 1} for number in range(200)
    ),
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_a_document_that_is_not_ours_is_refused(change: Callable[[Dict[str, Any]], Any]) -> None:
    content = json.loads(json.dumps(GOOD))
    change(content)
    with pytest.raises(BundleInvalid, match=r"/x/bundle\.json"):
        read_document(json.dumps(content).encode("ascii"), "/x/bundle.json")


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b"null", b"{}", b"[" * 100000, b" " * (2 << 20)])
def test_bytes_that_are_no_document_are_refused(raw: bytes) -> None:
    with pytest.raises(BundleInvalid):
        read_document(raw, "bundle.json")


def test_what_is_written_is_checked_as_what_is_read() -> None:
    with pytest.raises(BundleInvalid, match="malformed"):
        make_document("not a version", "linux-x86_64-glibc-cp311", "2.17", "3.11.0", [Part("engine.zip", "0" * 64, 1)])
