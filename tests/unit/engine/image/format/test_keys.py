# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Key slots: what opens them, and what is refused before a key derivation costs memory."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict

import pytest
from engine.errors import KeySlotInvalid
from engine.image.format import keys
from engine.image.format.keys import KeySlot, MasterKey, hkdf, parse_slot
from hypothesis import given, settings
from hypothesis import strategies as st


def slot_document() -> Dict[str, Any]:
    document: Dict[str, Any] = json.loads(MasterKey.new().new_slot("secret", n=16)[1])
    return document


def parse(document: Any) -> KeySlot:
    data = document if isinstance(document, bytes) else json.dumps(document).encode("ascii")
    return parse_slot(hashlib.sha256(data).hexdigest() + ".json", data)


def test_hkdf_is_that_of_the_rfc() -> None:
    okm = hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)))  # RFC 5869 A.1, the first 32 bytes
    assert okm.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


@pytest.mark.usefixtures("full_key_derivation")
def test_a_new_slot_costs_64_mib() -> None:
    name, data = MasterKey.new().new_slot("secret")
    assert parse_slot(name, data).memory_bytes == 64 << 20


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_a_slot_opens_with_its_password_alone(password: str, other: str) -> None:
    key = MasterKey.new()
    name, data = key.new_slot(password, n=16)
    slot = parse_slot(name, data)
    opened = slot.open(password)
    assert opened is not None
    assert opened.key_id == key.key_id
    # HMAC fills a key up with zero bytes (RFC 2104), so those at a password's end say nothing: nobody can type them.
    one, two = (keys.unicodedata.normalize("NFC", text).rstrip("\0") for text in (password, other))
    same = one == two
    assert (slot.open(other) is not None) == same


@pytest.mark.parametrize(
    "parameters",
    [
        {"n": 1 << 22},  # 4 GiB
        {"n": 1 << 60},
        {"n": 10**30},
        {"n": 0},
        {"n": 1},
        {"n": 3},
        {"n": -16},
        {"n": True},
        {"n": "16"},
        {"n": 16.0},
        {"r": 0},
        {"r": 65},
        {"p": 0},
        {"p": 17},
        {"n": 1 << 18, "p": 2},
        {"n": 1 << 16, "r": 1},  # RFC 7914: n < 2^(16 r)
        {"name": "pbkdf2"},
        {"salt": "00"},
        {"salt": 5},
        {"more": 1},
    ],
    ids=str,
)
def test_absurd_parameters_are_refused_before_anything_is_derived(monkeypatch: Any, parameters: Dict[str, Any]) -> None:
    document = slot_document()
    document["kdf"].update(parameters)

    def derive(*dummy: Any, **dummy_more: Any) -> bytes:
        raise AssertionError("a key was derived")

    monkeypatch.setattr(hashlib, "scrypt", derive)
    with pytest.raises(KeySlotInvalid):
        parse(document)


@pytest.mark.parametrize("n_bits", range(1, 22))
@pytest.mark.parametrize("r", [1, 2, 8, 64])
def test_what_parses_never_needs_more_than_the_bound(n_bits: int, r: int) -> None:
    document = slot_document()
    document["kdf"].update(n=1 << n_bits, r=r)
    try:
        slot = parse(document)
    except KeySlotInvalid:
        return
    assert 128 * slot.header["kdf"]["n"] * r <= 256 << 20
    assert n_bits < 16 * r


@pytest.mark.parametrize(
    "change",
    [
        {"format": "another"},
        {"version": 2},
        {"version": [1]},
        {"version": None},
        {"key_id": "AB" * 32},
        {"key_id": "ab" * 31},
        {"key_id": None},
        {"sealed": "00"},
        {"sealed": 7},
        {"kdf": None},
        {"kdf": []},
        {"more": {"a": []}},
    ],
    ids=str,
)
def test_malformed_slots_are_refused(change: Dict[str, Any]) -> None:
    with pytest.raises(KeySlotInvalid):
        parse(dict(slot_document(), **change))


@pytest.mark.parametrize("field", ["format", "version", "key_id", "kdf", "sealed"])
def test_slots_with_a_field_missing_are_refused(field: str) -> None:
    document = slot_document()
    document.pop(field)
    with pytest.raises(KeySlotInvalid):
        parse(document)


@pytest.mark.parametrize("data", [b"", b"[]", b"[" * 16000, b"\xff", b"{" + b" " * 17000 + b"}", b'{"a":1,"a":2}'])
def test_slots_that_are_no_documents_are_refused(data: bytes) -> None:
    with pytest.raises(KeySlotInvalid):
        parse(data)


def test_a_slot_under_another_name_is_refused() -> None:
    data = MasterKey.new().new_slot("secret", n=16)[1]
    with pytest.raises(KeySlotInvalid, match="name"):
        parse_slot("0" * 64 + ".json", data)


def test_a_changed_header_opens_nothing_and_a_false_key_id_is_found() -> None:
    document = slot_document()
    document["key_id"] = "ab" * 32
    assert parse(document).open("secret") is None  # the header is authenticated
    key = MasterKey.new()
    name, data = key.new_slot("secret", n=16)
    slot = parse_slot(name, data)
    with pytest.raises(KeySlotInvalid, match="a different key"):
        slot._replace(key_id="ab" * 32).open("secret")
