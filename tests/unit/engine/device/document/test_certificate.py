# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates read without the package cryptography, which is asked what is right."""

from __future__ import annotations

import datetime
from typing import List

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from engine.device.document.certificate import parse_certificate
from hypothesis import given, settings
from hypothesis import strategies as st

KEY = Ed25519PrivateKey.generate()
OTHER_KINDS = [
    x509.ObjectIdentifier(dotted) for dotted in ("1.3.6.1.4.1.99999.1.2", "2.999.3", "0.9.2342.19200300.100.1.3")
]
KINDS = [getattr(NameOID, name) for name in sorted(vars(NameOID)) if name.isupper() and "UNIQUE" not in name]
TEXTS = st.text('ab#+,;<>"\\= \0\n\u00e4\u4e2d\U0001f600', min_size=1, max_size=8)


@st.composite
def attributes(draw: st.DrawFn) -> x509.NameAttribute:
    kind = draw(st.sampled_from([*KINDS, *OTHER_KINDS]))
    form = draw(st.sampled_from([_ASN1Type.UTF8String, _ASN1Type.BMPString, _ASN1Type.UniversalString]))
    value = draw(TEXTS)
    if kind in (NameOID.COUNTRY_NAME, NameOID.JURISDICTION_COUNTRY_NAME):
        value = "DE"
    if form == _ASN1Type.BMPString and any(ord(one) > 0xFFFF for one in value):
        form = _ASN1Type.UTF8String
    return x509.NameAttribute(kind, value, _type=form, _validate=False)


def names() -> st.SearchStrategy[x509.Name]:
    parts = st.lists(attributes(), min_size=1, max_size=3, unique_by=lambda one: one.oid)
    return st.lists(parts.map(x509.RelativeDistinguishedName), max_size=4).map(x509.Name)


def made(subject: x509.Name, issuer: x509.Name, serial: int, expires: datetime.datetime) -> x509.Certificate:
    begin = datetime.datetime(1960, 1, 1)
    return x509.CertificateBuilder(issuer, subject, KEY.public_key(), serial, begin, expires).sign(KEY, None)


@given(
    names(),
    names(),
    st.integers(1, (1 << 159) - 1),
    st.datetimes(datetime.datetime(1960, 1, 2), datetime.datetime(9999, 1, 1)).map(
        lambda one: one.replace(microsecond=0)
    ),
)
@settings(max_examples=150)
def test_it_reads_what_cryptography_reads(
    subject: x509.Name, issuer: x509.Name, serial: int, expires: datetime.datetime
) -> None:
    certificate = made(subject, issuer, serial, expires)
    for form in (Encoding.DER, Encoding.PEM):
        found = parse_certificate(certificate.public_bytes(form))
        assert found.subject == certificate.subject.rfc4514_string()
        assert found.issuer == certificate.issuer.rfc4514_string()
        assert found.serial == certificate.serial_number == serial
        assert found.expires == certificate.not_valid_after_utc.replace(tzinfo=None) == expires


def plain() -> bytes:
    name = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Plant"), x509.NameAttribute(NameOID.COMMON_NAME, "press")]
    )
    return made(name, name, 7, datetime.datetime(2031, 5, 6)).public_bytes(Encoding.DER)


PLAIN = plain()


@given(st.lists(st.tuples(st.integers(0, len(PLAIN) - 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=300)
def test_damage_ends_in_a_value_error(changes: List[List[int]]) -> None:
    data = bytearray(PLAIN)
    for place, value in changes:
        data[place] = value
    try:
        found = parse_certificate(bytes(data))
    except ValueError:
        return
    assert isinstance(found.subject, str)


@pytest.mark.parametrize("length", range(0, len(PLAIN), 7))
def test_a_piece_of_a_certificate_is_none(length: int) -> None:
    for piece in (PLAIN[:length], PLAIN[length:][1:]):
        with pytest.raises(ValueError):
            parse_certificate(piece)


@pytest.mark.parametrize(
    "data",
    [
        b"no certificate",
        b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        PLAIN + b"\0\0",  # cryptography refuses what follows, too
        PLAIN.replace(b"310506000000Z", b"311306000000Z"),
        PLAIN.replace(b"310506000000Z", b"3105060000Z00"),
    ],
)
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_certificate(data)
    with pytest.raises(ValueError):
        x509.load_der_x509_certificate(data).not_valid_after_utc  # noqa: B018
