# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of the machine's stores, in the form that Windows keeps them."""

from __future__ import annotations

import datetime
import struct

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from engine.device.document.windows.certificates import read_certificates
from hypothesis import given
from hypothesis import strategies as st
from support.windows.registries import reader

STORES = r"SOFTWARE\Microsoft\SystemCertificates"


@pytest.fixture(scope="module")
def certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "visu7")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(255)
    )
    made = made.not_valid_before(datetime.datetime(2026, 1, 1)).not_valid_after(datetime.datetime(2027, 1, 1))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def prop(kind: int, data: bytes) -> bytes:
    return struct.pack("<III", kind, 1, len(data)) + data


def test_the_certificate_behind_other_properties(certificate: bytes) -> None:
    blob = prop(3, b"x" * 20) + prop(32, certificate)
    keys = {STORES + r"\MY\Certificates\AB12": {"Blob": blob}, STORES + r"\AuthRoot\Certificates\CD": {"Blob": blob}}
    assert read_certificates(reader(keys)) == {
        "MY ab12": {
            "subject": "CN=visu7",
            "issuer": "CN=visu7",
            "serial": "ff",
            "expires": "2027-01-01 00:00:00 UTC",
            "problem": "",
        }
    }


@given(st.one_of(st.binary(max_size=100), st.binary(max_size=60).map(lambda data: prop(32, data))))
def test_no_blob_makes_it_fail(blob: bytes) -> None:
    found = read_certificates(reader({STORES + r"\MY\Certificates\AB": {"Blob": blob}}))
    assert found["MY ab"]["problem"]
