# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The format holds still: bytes that were made once with a fixed key and salt are read, and made again the same."""

from __future__ import annotations

import hashlib
import os
from typing import Any, Optional

import pytest
from engine.image import format as fmt
from engine.image.files import open_file, seal_file
from engine.image.keys import MasterKey, parse_slot
from engine.image.packs import HEADER_BYTES, FinishedPack, PackBuilder, read_salt, read_table
from engine.image.seal import Decompressor, FileCipher, Identifier
from support.storages import MemoryStorage

SECRET = bytes(range(100, 132))
SALT = bytes(range(32))
IMAGE = "2026-11-24_06-00-00"
TEXT = b"plant " * 40
KEY_ID = "c4e989fa28565d6c92fb4f9593d9aaa046c9d94363af136910b9c818903e278c"
FRAME = bytes.fromhex("28b52ffd20f06d000030706c616e74200100e750a508")
SEALED_PACK = bytes.fromhex(
    "504c414e544f50532d5041434b000001000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f5663"
    "15071099d521394d444bca49ea249f72a956816998dc959d07036366c04c14a513d1ef6cdcd43e6e5b928384e8f2b4fea4bc"
    "ae7e07f3fcd33c55eb5bf9815c7e039e6ab001fb442f02bfe2d6cddc340e43dcdab97eb3f000000000000000300000002600"
    "0000f001011ef25394880acddf34952d2a2b7dbde40af0ab4b981e96a2fd139a8890112b0100000000000000560000001300"
    "0000030100000000000000006900000002516db46a98a1d9e8c97d7d4c20f0587c61f2e99cb02db006b2b869b112f5eecd50"
    "4c414e544f50532d5041434b454e44"
)
SEALED_FILE = bytes.fromhex(
    "504c414e544f50532d46494c45000001000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0100"
    "000000000000000745066a2c1c8923c8f2e61ab52831236273ec2216ebc8c1"
)
CLEAR_PACK = bytes.fromhex(
    "504c414e544f50532d5041434b000001000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f28b5"
    "2ffd20f06d000030706c616e74200100e750a508726177170e3e667f22d21c875d60582450bd51c497846353a825dd7d156f"
    "18f80971a5000000000000003000000016000000f00101d7439bee24773bcbfa2d0a97947ee36227b10d1022b1a55847e928"
    "965bb6bfde0000000000000046000000030000000301000000000000000049000000025baeb8af17aa9aac61e2016c09c31d"
    "22fd31fa83b697132052708cb5d216f9e8504c414e544f50532d5041434b454e44"
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
