# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second reader of images, written from docs/image-format.md alone: it imports nothing of the engine."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
import tarfile
import unicodedata
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import blake3
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HOLE, ZERO = b"\x00" * 32, b"\xff" * 32
CHUNK = 65536


class Refused(Exception):
    """Something that section 15 of the format tells a reader to reject."""


def require(condition: bool, reason: str) -> None:
    if not condition:
        raise Refused(reason)


class Disk(NamedTuple):
    """A disk read back. ``data`` has zeros for holes; ``extents`` are (offset, length) of the chunks in use."""

    data: bytes
    extents: List[Tuple[int, int]]
    sector_bytes: int


class IndependentReader:
    """An image of a directory storage; sections of the format are named where they are used."""

    segment_chunks = 4096  # small runs have small segments

    def __init__(self, device: Path, image: str, password: Optional[str] = None) -> None:
        self.device, self.directory, self.image = device, device / image, image
        self._whole: Dict[str, Path] = {}
        raw = self._manifest()
        require(len(raw) <= 8388608, "the manifest is too large")
        self.manifest: Dict[str, Any] = json.loads(raw.decode("ascii"))
        require(self.manifest["format"] == "plantops.imaging image" and self.manifest["version"] == 1, "not version 1")
        require(0 < self.manifest["sequence"] <= 999999999999, "an impossible number")
        require(self.manifest["image"] == image and self.manifest["device"] == device.name, "of another image")
        self.job: str = self.manifest.get("job", "")
        require(self.job.isprintable() and len(self.job) <= 64, "an impossible job")
        require("job" not in self.manifest or bool(self.job), "the default job has no name")
        self.key_id: str = self.manifest["key_id"]
        require(bool(self.key_id) == (password is not None), "a password for a clear image, or none for another")
        self.key = self._open_slots(password) if password is not None else None
        self._authenticate()
        self._decompressor = zstandard.ZstdDecompressor()

    def _manifest(self) -> bytes:
        return (self.directory / "image.json").read_bytes()

    def _file(self, name: str, dummy_sha256: str) -> bytes:
        return (self.directory / name).read_bytes()

    def _pack(self, pack: str) -> Path:
        return self.device / "packs" / pack[:2] / pack

    # -- section 3 and 4 ----------------------------------------------------------------------------------------------

    def _derive(self, info: str, salt: bytes = b"") -> bytes:
        require(self.key is not None, "there is no key")
        return HKDF(hashes.SHA256(), 32, salt or None, info.encode()).derive(self.key or b"")

    def _open_slots(self, password: str) -> bytes:
        for name in self.manifest["slots"]:
            data = (self.directory / "keys" / name).read_bytes()
            require(len(data) <= 16384 and hashlib.sha256(data).hexdigest() + ".json" == name, "a slot is damaged")
            slot = json.loads(data.decode("ascii"))
            kdf = slot["kdf"]
            cost = 128 * kdf["n"] * kdf["r"] * kdf["p"]
            require(kdf["name"] == "scrypt" and 0 < cost <= 268435456, "absurd parameters")
            secret = unicodedata.normalize("NFC", password).encode("utf-8")
            salt = bytes.fromhex(kdf["salt"])
            wrapping = hashlib.scrypt(secret, salt=salt, n=kdf["n"], r=kdf["r"], p=kdf["p"], maxmem=1 << 29, dklen=32)
            sealed = bytes.fromhex(slot.pop("sealed"))
            try:
                return AESGCM(wrapping).decrypt(bytes(12), sealed, json.dumps(slot, sort_keys=True).encode("ascii"))
            except InvalidTag:
                continue  # another password's slot
        raise Refused("no slot opens")

    # -- section 9 ----------------------------------------------------------------------------------------------------

    def _authenticate(self) -> None:
        body = {name: value for name, value in self.manifest.items() if name != "authentication"}
        data = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
        if self.key is None:
            expected = hashlib.sha256(data).hexdigest()
        else:
            require(self._derive("plantops.imaging 1 key id").hex() == self.key_id, "another key")
            expected = hmac.new(self._derive("plantops.imaging 1 manifest"), data, "sha256").hexdigest()
        require(self.manifest["authentication"] == expected, "the manifest is not authentic")

    # -- section 6 ----------------------------------------------------------------------------------------------------

    def _open(self, salt: bytes, offset: int, kind: int, codec: int, length: int, blob_id: bytes, data: bytes) -> bytes:
        if self.key is not None:
            associated = b"plantops" + struct.pack(">BBBQ", 1, kind, codec, length)
            associated += bytes.fromhex(self.key_id) + blob_id
            cipher = AESGCM(self._derive("plantops.imaging 1 file", salt))
            data = cipher.decrypt(offset.to_bytes(12, "big"), data, associated)
        if codec == 1:
            require(zstandard.frame_content_size(data) == length, "another content size")
            data = self._decompressor.decompress(data, max_output_size=length)
        require(codec in (0, 1) and len(data) == length, "another length")
        return data

    def _id(self, data: bytes) -> bytes:
        if self.key is None:
            return blake3.blake3(data).digest()
        return blake3.blake3(data, key=self._derive("plantops.imaging 1 chunk id")).digest()

    # -- section 7 ----------------------------------------------------------------------------------------------------

    def document(self, name: str, sha256: Optional[str] = None) -> bytes:
        expected = sha256 or self.manifest["files"][name]
        data = self._file(name, expected)
        require(hashlib.sha256(data).hexdigest() == expected, "%s is not what the manifest says" % name)
        require(data[:16] == b"PLANTOPS-FILE\x00\x00\x01", "not a sealed file")
        salt = data[16:48]
        encrypted, codec, length = struct.unpack(">BBQ", data[48:58])
        require(encrypted == (1 if self.key else 0), "clear and encrypted are mixed")
        body = data[58:]
        if not encrypted:
            require(hashlib.sha256(body[32:]).digest() == body[:32], "damaged")
            body = body[32:]
        blob_id = hashlib.sha256(self.image.encode() + b"\x00" + name.encode()).digest()
        return self._open(salt, 0, 3, codec, length, blob_id, body)

    # -- section 5 ----------------------------------------------------------------------------------------------------

    def _blob(self, pack: str, offset: int, stored: int, kind: int, codec: int, length: int, blob_id: bytes) -> bytes:
        with open(self._pack(pack), "rb") as file:
            head = file.read(48)
            require(head[:16] == b"PLANTOPS-PACK\x00\x00\x01", "not a pack")
            file.seek(offset)
            data = file.read(stored)
        return self._open(head[16:], offset, kind, codec, length, blob_id, data)

    def pack_table(self, pack: str) -> List[Tuple[bytes, int, int, int, int, int]]:
        """Return (id, offset, stored length, plain length, kind, codec) of every blob; proves the whole file."""
        data = self._pack(pack).read_bytes()
        require(hashlib.sha256(data).hexdigest() == pack, "the pack is not what its name says")
        start, count, digest, magic = struct.unpack(">QI32s16s", data[-60:])
        table = data[start:-60]
        require(magic == b"PLANTOPS-PACKEND" and len(table) == 50 * count, "no table")
        require(hashlib.sha256(table).digest() == digest, "the table is damaged")
        entries = [struct.unpack(">32sQIIBB", table[n : n + 50]) for n in range(0, len(table), 50)]
        position = 48
        for entry in entries:
            require(entry[1] == position, "gaps")
            position += entry[2]
        require(position == start, "gaps")
        return entries

    # -- section 8 ----------------------------------------------------------------------------------------------------

    def disk(self, number: int) -> Disk:
        entry = self.manifest["disks"][number]
        root = self.document("disk%d.index" % number, entry["index_sha256"])
        magic, version, size, sector, chunk, chunks, packs, segments = struct.unpack(">8sHQIIIII", root[:38])
        require((magic, version, chunk, chunks) == (b"PLOPROOT", 1, CHUNK, self.segment_chunks), "not a root")
        require((size, sector) == (entry["size_bytes"], entry["sector_bytes"]), "of another disk")
        require(segments == -(-size // (CHUNK * chunks)), "not as many segments as the disk")
        require(len(root) == 38 + 48 * packs + 48 * segments, "another length")
        names = [root[38 + 48 * n : 70 + 48 * n].hex() for n in range(packs)]
        data, extents = bytearray(size), []
        for segment in range(segments):
            place = root[38 + 48 * (packs + segment) :][:48]
            segment_id = place[:32]
            if segment_id == HOLE:
                continue
            pack, offset, stored, length = struct.unpack(">IIII", place[32:])
            codec, stored = (0, stored - (1 << 31)) if stored >> 31 else (1, stored)
            plain = self._blob(names[pack], offset, stored, 2, codec, length, segment_id)
            first = segment * self.segment_chunks * CHUNK
            for position, content in self._chunks(plain, segment_id, first, size):
                data[position : position + len(content)] = content
                extents.append((position, len(content)))
        return Disk(bytes(data), extents, sector)

    def _chunks(self, plain: bytes, segment_id: bytes, first: int, size: int) -> List[Tuple[int, bytes]]:
        magic, count, packs = struct.unpack(">8sII", plain[:16])
        require(
            magic == b"PLOPSEG\x01" and count == min(self.segment_chunks, -(-(size - first) // CHUNK)),
            "not this segment",
        )
        require(len(plain) == 16 + 32 * packs + 44 * count, "another length")
        names = [plain[16 + 32 * n : 48 + 32 * n].hex() for n in range(packs)]
        start = 16 + 32 * packs
        ids = plain[start : start + 32 * count]
        require(self._id(b"segment\x00" + ids) == segment_id, "another segment")
        columns = struct.unpack(">%dI" % (3 * count), plain[start + 32 * count :])
        found = []
        for number in range(count):
            chunk_id = ids[32 * number : 32 * number + 32]
            position = first + number * CHUNK
            length = min(CHUNK, size - position)
            if chunk_id == HOLE:
                continue
            if chunk_id == ZERO:
                found.append((position, bytes(length)))
                continue
            pack, offset, stored = columns[number], columns[count + number], columns[2 * count + number]
            codec, stored = (0, stored - (1 << 31)) if stored >> 31 else (1, stored)
            content = self._blob(names[pack], offset, stored, 1, codec, length, chunk_id)
            require(self._id(content) == chunk_id, "another chunk")
            found.append((position, content))
        return found


class HealingReader(IndependentReader):
    """What is damaged or missing comes from its second place [section 11]: small files from ``copies.tar``, packs from the trash."""

    def _copy(self, name: str) -> bytes:
        with tarfile.open(str(self.directory / "copies.tar")) as copies:
            file = copies.extractfile(name)
            require(file is not None, "%s has no copy" % name)
            return file.read() if file is not None else b""

    def _manifest(self) -> bytes:
        raw = super()._manifest()
        listed = [
            line.split()[0]
            for line in (self.directory / "SHA256SUMS").read_text().splitlines()
            if line.endswith(" image.json")
        ]
        return raw if [hashlib.sha256(raw).hexdigest()] == listed else self._copy("image.json")

    def _file(self, name: str, sha256: str) -> bytes:
        path = self.directory / name
        data = path.read_bytes() if path.exists() else b""
        return data if hashlib.sha256(data).hexdigest() == sha256 else self._copy(name)

    def _pack(self, pack: str) -> Path:
        if pack not in self._whole:
            places = [super()._pack(pack), *sorted((self.device / "trash").glob(pack + ".*"))]
            whole = [
                path for path in places if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == pack
            ]
            require(bool(whole), "the pack %s is gone" % pack)
            self._whole[pack] = whole[0]
        return self._whole[pack]
