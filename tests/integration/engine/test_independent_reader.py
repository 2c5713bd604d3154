# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine writes is what docs/image-format.md says: a reader written from that text reads it back."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional, Set

import pytest
from engine.disk.extents import ExtentSet
from engine.disk.source import FileSource
from engine.image.access import Passwords
from engine.image.format import constants as fmt
from engine.image.upkeep.rollover import pin
from engine.image.writing.writer import DiskInput, ImageOrder, write_image
from engine.storage.lease import Lease
from engine.storage.local.storage import DirectoryStorage
from support.independent_reader import IndependentReader, Refused
from support.paths import ROOT

PASSWORD = "p\u00e4ssword of the independent reader"
IMAGE = "2026-11-24_06-00-00"
CHUNK = fmt.CHUNK_BYTES
SIZE_BYTES = fmt.SEGMENT_BYTES + 5 * CHUNK + 3 * 512  # a second segment, and a last chunk that is short
USED = [
    (0, 3 * CHUNK),  # noise, noise, zeros
    (8 * CHUNK + 512, 1024),  # text in the middle of a chunk, between bytes that are not in use
    (100 * CHUNK, 20 * CHUNK),
    (fmt.SEGMENT_BYTES + 2 * CHUNK, 3 * CHUNK + 3 * 512),
]
DOCUMENT = ROOT / "docs" / "image-format.md"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A sparse disk file: noise, text, zeros, holes, and bytes that are not in use and must not get out."""
    import random

    chance = random.Random(7)
    path = tmp_path / "disk.img"
    with open(path, "wb") as file:
        file.truncate(SIZE_BYTES)
        file.write(chance.randbytes(2 * CHUNK))
        file.seek(8 * CHUNK)
        file.write(b"deleted long ago " * 3000)
        file.seek(100 * CHUNK)
        file.write(b"a plant makes a product. " * 30000)
        file.seek(110 * CHUNK)
        file.write(chance.randbytes(4 * CHUNK))
        file.seek(fmt.SEGMENT_BYTES + 3 * CHUNK)
        file.write(chance.randbytes(2 * CHUNK + 3 * 512))
    return path


def make(storage: Path, disk: Path, password: Optional[str], image: str = IMAGE, **passwords: Any) -> Path:
    """Make an image of the disk and return the device's directory."""
    storage.mkdir(exist_ok=True)
    with FileSource(str(disk)) as source:
        job = ImageOrder(
            device="pc",
            timestamp=image,
            disks=[DiskInput(source, ExtentSet(USED), "serial:\u00fc1")],
            passwords=Passwords(password, **passwords),
            created="2026-11-24T06:00:00Z",
            device_information={"model": "test"},
            warnings=["a warning"],
        )
        write_image(DirectoryStorage(str(storage)), job)
    return storage / "pc"


def expected(disk: Path) -> bytes:
    original = disk.read_bytes()
    result = bytearray(len(original))
    for start, length in USED:
        result[start : start + length] = original[start : start + length]
    return bytes(result)


@pytest.mark.parametrize("password", [PASSWORD, None], ids=["encrypted", "clear"])
def test_what_the_engine_writes_is_read_back(tmp_path: Path, disk: Path, password: Optional[str]) -> None:
    device = make(tmp_path / "storage", disk, password)
    reader = IndependentReader(device, IMAGE, password)
    found = reader.disk(0)
    assert found.data == expected(disk)
    in_use: Set[int] = set()
    for start, length in USED:
        in_use.update(range(start // CHUNK, (start + length - 1) // CHUNK + 1))
    assert [start // CHUNK for start, dummy in found.extents] == sorted(in_use)
    assert json.loads(reader.document("device.json")) == {"model": "test"}
    assert "a warning" in reader.document("job.log").decode()
    subprocess.run(["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"], cwd=device / IMAGE, check=True)
    packs = sorted(path.name for path in (device / "packs").glob("*/*"))
    assert reader.manifest["packs"]["count"] == len(packs)
    kinds = [entry[4] for pack in packs for entry in reader.pack_table(pack)]
    assert kinds.count(2) == 2


def test_a_second_image_and_a_second_password_are_read_back(tmp_path: Path, disk: Path) -> None:
    device = make(tmp_path / "storage", disk, PASSWORD)
    with open(disk, "r+b") as file:
        file.seek(112 * CHUNK)
        file.write(b"new" * 1000)
    make(tmp_path / "storage", disk, "another", "2026-11-24_07-00-00", previous=PASSWORD)
    for password in (PASSWORD, "another"):
        reader = IndependentReader(device, "2026-11-24_07-00-00", password)
        assert reader.manifest["sequence"] == 2
        assert reader.disk(0).data == expected(disk)


def test_the_independent_reader_refuses_what_is_false(tmp_path: Path, disk: Path) -> None:
    device = make(tmp_path / "storage", disk, PASSWORD)
    with pytest.raises(Refused):
        IndependentReader(device, IMAGE, "wrong")
    manifest = device / IMAGE / "image.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"sequence": 1', b'"sequence": 9'))
    with pytest.raises(Refused, match="not authentic"):
        IndependentReader(device, IMAGE, PASSWORD)


def keys_of(document: Any) -> Set[str]:
    if isinstance(document, dict):
        names = set(document)
        for value in document.values():
            names |= keys_of(value)
        return names
    if isinstance(document, list):
        return {name for value in document for name in keys_of(value)}
    return set()


def test_every_field_is_in_the_document(tmp_path: Path, disk: Path) -> None:
    device = make(tmp_path / "storage", disk, PASSWORD)
    storage = DirectoryStorage(str(tmp_path / "storage"))
    pin(storage, "pc", IMAGE, True)
    lease = Lease(storage, "pc")
    lease.acquire()
    documents: List[Dict[str, Any]] = [json.loads((device / "lease.json").read_bytes())]
    lease.release()
    for path in [device / IMAGE / "image.json", *device.glob("keys/*.json"), *device.glob("records/*/*.json")]:
        documents.append(json.loads(path.read_bytes()))
    assert len(documents) == 4
    text = DOCUMENT.read_text(encoding="utf-8")
    names = keys_of(documents) - {"device.json", "job.log"}
    assert [name for name in sorted(names) if "`%s`" % name not in text] == []


def test_every_bound_is_in_the_document() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    source = Path(fmt.__file__).read_text(encoding="utf-8")
    bounds = [
        node.targets[0].id
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper()
    ]
    numbers = [name for name in bounds if name.startswith("MAX_")] + ["CHUNK_BYTES", "SEGMENT_CHUNKS", "TAG_BYTES"]
    assert len(numbers) >= 14
    for name in numbers:
        assert re.search(r"^\| `%s` \| %d \|" % (name, getattr(fmt, name)), text, re.MULTILINE), name
    for name in bounds:
        if name.startswith(("KIND_", "CODEC_")) or name.endswith(("_MAGIC", "_ID")):
            assert "`%s`" % name in text, name
