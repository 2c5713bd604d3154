# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The format holds still: bytes that were made once with a fixed key and salt are read, and made again the same."""

from __future__ import annotations

import hashlib
import os
from typing import Any, Optional

import pytest
from engine.image.format import constants as fmt
from engine.image.format.keys import MasterKey, parse_slot
from engine.image.format.packs import HEADER_BYTES, FinishedPack, PackBuilder, read_salt, read_table
from engine.image.format.seal import Decompressor, FileCipher, Identifier
from engine.image.format.sealed_files import open_file, seal_file
from support.storages import MemoryStorage

SECRET = bytes(range(100, 132))
SALT = bytes(range(32))
IMAGE = "2026-11-24_06-00-00"
TEXT = b"plant " * 40
KEY_ID = "c4e989fa28565d6c92fb4f9593d9aaa046c9d94363af136910b9c818903e278c"
FRAME = bytes.fromhex("28b52ffd20f06d000030706c616e74200100e750a508")
SEALED_PACK = bytes.fromhex(
    "504c414e544f50532d5041434b000001000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f5663"
    "15071099d521394d444bca49ea249f72a9568169fb1084b5b64f9924037af456ffbeab49dcd43e4a880423d36ae27eb7d35d"
    "04e12642a691ed4a8a7f8225e84a8430225d658c9babad6e00bf2cd5cb47c5750dc19f392400000000000000300000002600"
    "0000f00101afded73bda2d5ecab9efc2ba1200531a31fa1646fdacefd558ab8abf49ad256500000000000000560000001300"
    "000003010000000000000000690000000264395dbf560d691262c030b27d0012ca3e932ef88009d43a721a02943d2b431250"
    "4c414e544f50532d5041434b454e44"
)
SEALED_FILE = bytes.fromhex(
    "504c414e544f50532d46494c45000001000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0100"
    "000000000000000745066a2c1c8923c8f2e61ab52831236273ec2216ebc8c1"
)
CLEAR_PACK = bytes.fromhex(
    "504c414e544f50532d5041434b000001000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f28b5"
    "2ffd20f06d000030706c616e74200100e750a508726177ef5ba76e0c24b3f9b994e8a709d24cb4af3abdd70a51efdf9b5ee6"
    "705dabe171000000000000003000000016000000f00101d4d4d19bd64b6b3374a6c189713eb3188d4ef59f761563da9938c5"
    "2ca08b13da000000000000004600000003000000030100000000000000004900000002ad57469ae9c1840d187b24701d1df5"
    "c7735dfa421e17a0a418a221f57c944f45504c414e544f50532d5041434b454e44"
)
CLEAR_FILE = bytes.fromhex(
    "504c414e544f50532d46494c45000001000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0000"
    "0000000000000007786e184927ec9ddac3079c24999ac461b7cb89888f69efc053848f2d6dee7dd661206c696e650a"
)
SLOT = b"""{
 "format": "plantops.imaging key slot",
 "kdf": {
  "n": 16,
  "name": "scrypt",
  "p": 1,
  "r": 8,
  "salt": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
 },
 "key_id": "c4e989fa28565d6c92fb4f9593d9aaa046c9d94363af136910b9c818903e278c",
 "sealed": "3d5da73d592f8ca343d038006b35ea41228890e2816dcadd00e536f6ed247134732f1e766da0fcf34803fb4078c54151",
 "version": 1
}
"""

VECTORS = [
    pytest.param(MasterKey(SECRET), SEALED_PACK, SEALED_FILE, id="encrypted"),
    pytest.param(None, CLEAR_PACK, CLEAR_FILE, id="clear"),
]


@pytest.fixture(autouse=True)
def fixed_salt(monkeypatch: Any) -> None:
    monkeypatch.setattr(os, "urandom", lambda length: SALT[:length])


def build(key: Optional[MasterKey]) -> FinishedPack:
    identifier, builder = Identifier(key), PackBuilder(key)
    builder.add(fmt.KIND_CHUNK, identifier.chunk(TEXT), len(TEXT), fmt.CODEC_ZSTD, FRAME)
    builder.add(fmt.KIND_CHUNK, identifier.chunk(b"raw"), 3, fmt.CODEC_RAW, b"raw")
    return builder.finish()


@pytest.mark.parametrize(("key", "pack", "file"), VECTORS)
def test_the_same_bytes_are_made(key: Optional[MasterKey], pack: bytes, file: bytes) -> None:
    made = build(key)
    assert b"".join(made.parts) == pack
    assert made.name == hashlib.sha256(pack).hexdigest()
    assert made.size_bytes == len(pack)
    assert seal_file(key, IMAGE, "job.log", b"a line\n") == file


@pytest.mark.parametrize(("key", "pack", "file"), VECTORS)
def test_the_bytes_are_read(key: Optional[MasterKey], pack: bytes, file: bytes) -> None:
    storage = MemoryStorage()
    storage.put("pack", [pack])
    cipher = FileCipher(key, read_salt(pack[:HEADER_BYTES], "pack"))
    contents = []
    for blob in read_table(storage, "pack", len(pack)):
        stored = pack[blob.offset : blob.offset + blob.stored_bytes]
        packed = cipher.open(blob.offset, blob.kind, blob.codec, blob.blob_id, blob.plain_bytes, stored)
        contents.append(Decompressor().decompress(blob.codec, packed, blob.plain_bytes))
        assert Identifier(key).chunk(contents[-1]) == blob.blob_id
    assert contents == [TEXT, b"raw"]
    assert open_file(key, IMAGE, "job.log", file) == b"a line\n"


def test_the_slot_is_read() -> None:
    slot = parse_slot(hashlib.sha256(SLOT).hexdigest() + ".json", SLOT)
    key = slot.open("pa\u0308ss")  # typed on another keyboard: decomposed
    assert key is not None
    assert key.key_id == slot.key_id == KEY_ID
    assert key.id_key == MasterKey(SECRET).id_key
    assert slot.open("pass") is None


def test_the_hash_of_ids_is_the_published_one() -> None:
    """Two of BLAKE3's published test vectors, for no input: the key is theirs."""
    plain, keyed = Identifier(None), Identifier(MasterKey(SECRET))
    keyed._options = {"key": b"whats the Elvish word for friend"}
    assert plain.chunk(b"").hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert keyed.chunk(b"").hex() == "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26"


@pytest.mark.parametrize("key", [MasterKey(SECRET), None], ids=["encrypted", "clear"])
@pytest.mark.parametrize(
    "length", [1, fmt.CHUNK_BYTES - 1, fmt.CHUNK_BYTES, fmt.CHUNK_BYTES + 512, 3 * fmt.CHUNK_BYTES]
)
def test_chunks_of_zeros_are_told_from_others(key: Optional[MasterKey], length: int) -> None:
    identifier = Identifier(key)
    data = bytearray(length)
    count = -(-length // fmt.CHUNK_BYTES)
    assert identifier.chunks(memoryview(data)) == [fmt.ZERO_ID] * count
    for place in sorted({0, length // 2, length - 1}):
        data[place] = 1
        ids = identifier.chunks(memoryview(data))
        one = place // fmt.CHUNK_BYTES
        assert [number for number, chunk_id in enumerate(ids) if chunk_id != fmt.ZERO_ID] == [one]
        assert ids[one] == identifier.chunk(bytes(data[one * fmt.CHUNK_BYTES : (one + 1) * fmt.CHUNK_BYTES]))
        data[place] = 0
