# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks who signed an executable of Windows: that the signature is made with the certificate's key, for this content.

Not checked: that a certificate authority which Windows trusts issued the certificate, revocation, and the time stamp. A name
alone proves nothing without them; what proves the files of a bundle is the SHA-256 of the archive that they come from.
Source: "Windows Authenticode Portable Executable Signature Format"; RFC 2315 (PKCS #7).
"""

from __future__ import annotations

import hashlib
from typing import Dict, NamedTuple, Tuple, Type

from ... import _libraries
from . import der
from .der import Value
from .pe import PeFile

_SIGNED_DATA = "1.2.840.113549.1.7.2"
_INDIRECT_DATA = "1.3.6.1.4.1.311.2.1.4"  # SPC_INDIRECT_DATA_OBJID
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_ORGANIZATION = "2.5.4.10"
_DIGESTS = {"2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.2": "sha384", "2.16.840.1.101.3.4.2.3": "sha512"}


class SignatureWrong(ValueError):
    """The signature is missing or does not fit; the words end a sentence that begins with the file."""


class Signer(NamedTuple):
    """The signer: the organization of the certificate, and the certificate's SHA-256."""

    organization: str
    certificate_sha256: str


def read_signer(file: PeFile) -> Signer:
    """Return who signed the file. :raises SignatureWrong:"""
    try:
        signatures = file.signatures()
        if not signatures:
            raise SignatureWrong("it is not signed")
        return _check(signatures[0], file)
    except SignatureWrong:
        raise
    except _unreadable() as error:
        raise SignatureWrong("its signature can't be read: %s" % error) from None


def _unreadable() -> Tuple[Type[Exception], ...]:
    """Exceptions of the library for a damaged certificate, besides those of Python."""
    own = (ValueError, IndexError, TypeError, AttributeError)
    return (*own, _libraries.x509().InvalidVersion, _libraries.cryptography_exceptions().UnsupportedAlgorithm)


def _check(document: bytes, file: PeFile) -> Signer:
    kind, wrapped = der.read_value(document).expect(der.SEQUENCE).parts()[:2]
    if der.oid(kind.content) != _SIGNED_DATA:
        raise SignatureWrong("its signature is not a PKCS #7 document")
    signed = wrapped.parts()[0].expect(der.SEQUENCE).parts()
    content = _signed_content(signed[2], file)
    certificates, signers = signed[3].expect(der.CONTEXT_0), signed[-1].expect(der.SET)
    fields = signers.parts()[0].expect(der.SEQUENCE).parts()
    algorithm, attributes = _digest_name(fields[2]), fields[3].expect(der.CONTEXT_0)
    told = _attributes(attributes)
    if told.get(_MESSAGE_DIGEST, Value(0, b"", b"")).content != hashlib.new(algorithm, content).digest():
        raise SignatureWrong("its signature is for other content")
    if der.oid(told.get(_CONTENT_TYPE, Value(0, b"", b"")).content) != _INDIRECT_DATA:
        raise SignatureWrong("its signature is for content of another type")
    # RFC 2315, 9.3: signed is the set of attributes, not the tag that it has here.
    signed_bytes = bytes([der.SET]) + attributes.raw[1:]
    return _verify(certificates, fields[1], fields[5].expect(der.OCTETS).content, signed_bytes, algorithm)


def _signed_content(inner: Value, file: PeFile) -> bytes:
    """Return what the signature is made for, which holds the hash of the file."""
    kind, explicit = inner.expect(der.SEQUENCE).parts()[:2]
    if der.oid(kind.content) != _INDIRECT_DATA:
        raise SignatureWrong("its signature is not for an executable")
    data = explicit.parts()[0].expect(der.SEQUENCE)
    algorithm, digest = data.parts()[1].expect(der.SEQUENCE).parts()[:2]
    if digest.expect(der.OCTETS).content != file.digest(_digest_name(algorithm)):
        raise SignatureWrong("it was changed after it was signed")
    return data.content


def _digest_name(algorithm: Value) -> str:
    name = der.oid(algorithm.expect(der.SEQUENCE).parts()[0].content)
    if name not in _DIGESTS:
        raise SignatureWrong("its signature uses the hash function %s" % name)
    return _DIGESTS[name]


def _attributes(attributes: Value) -> Dict[str, Value]:
    pairs = [one.expect(der.SEQUENCE).parts() for one in attributes.parts()]
    return {der.oid(kind.content): values.parts()[0] for kind, values in pairs}


def _verify(certificates: Value, issuer: Value, signature: bytes, signed: bytes, algorithm: str) -> Signer:
    """Find the certificate that the signer names by issuer and number, and let its key verify the signature."""
    name, number = issuer.expect(der.SEQUENCE).parts()[:2]
    for one in certificates.parts():
        if _named(one) != (name.raw, number.content):
            continue
        certificate = _libraries.x509().load_der_x509_certificate(one.raw)
        hashes, padding = _libraries.hashes(), _libraries.padding()
        chosen = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}[algorithm]()
        try:
            certificate.public_key().verify(signature, signed, padding.PKCS1v15(), chosen)
        except (
            _libraries.cryptography_exceptions().InvalidSignature,
            TypeError,
            AttributeError,
        ):  # or a key that is not of RSA
            raise SignatureWrong("its signature was not made with the certificate's key") from None
        found = [str(part.value) for part in certificate.subject if part.oid.dotted_string == _ORGANIZATION]
        return Signer(found[0] if found else "", hashlib.sha256(one.raw).hexdigest())
    raise SignatureWrong("its signature does not contain the signer's certificate")


def _named(certificate: Value) -> Tuple[bytes, bytes]:
    """The issuer and the number of a certificate (RFC 5280, 4.1)."""
    fields = certificate.expect(der.SEQUENCE).parts()[0].expect(der.SEQUENCE).parts()
    number = 1 if fields[0].tag == der.CONTEXT_0 else 0
    return fields[number + 2].raw, fields[number].content
