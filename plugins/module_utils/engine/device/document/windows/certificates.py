# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``certificates`` of Windows: the stores of the machine, without the authorities that Windows renews.

Source of the blob: "CERT_CERT_PROP_ID" in wincrypt.h and [MS-GPEF] 2.2.2.2: property, 1, length, data, one after the other.
"""

from __future__ import annotations

import struct
from typing import Iterator

from ..certificates import described, problem
from ..items import Item, Items
from ..tree import Unreadable
from .reading import Reader

_ROOTS = {
    r"SOFTWARE\Microsoft\SystemCertificates": "",
    r"SOFTWARE\Policies\Microsoft\SystemCertificates": "policy ",
    r"SOFTWARE\Microsoft\EnterpriseCertificates": "enterprise ",
}
_LEFT_OUT = frozenset(["authroot", "disallowed"])  # Windows fetches and renews them when a program needs one
_CERTIFICATE = 32  # CERT_CERT_PROP_ID
_MOST_CERTIFICATES, _MOST_PROPERTIES = 2000, 200


def read_certificates(reader: Reader) -> Items:
    items: Items = {}
    for root, word in _ROOTS.items():
        for store in reader.names(root):
            if store.lower() in _LEFT_OUT:
                continue
            base = r"%s\%s\Certificates" % (root, store)
            for thumbprint in reader.names(base):
                if len(items) >= _MOST_CERTIFICATES:
                    raise Unreadable("there are more than %d certificates" % _MOST_CERTIFICATES)
                blob = reader.values(r"%s\%s" % (base, thumbprint)).data("Blob")
                items["%s%s %s" % (word, store, thumbprint.lower())] = _item(blob)
    return items


def _item(blob: bytes) -> Item:
    for one in _certificates(blob):
        return described(one)
    return problem("the registry holds no certificate there")


def _certificates(blob: bytes) -> Iterator[bytes]:
    at = 0
    for dummy in range(_MOST_PROPERTIES):
        if at + 12 > len(blob):
            return
        kind, dummy_one, length = struct.unpack_from("<III", blob, at)
        at += 12
        if length > len(blob) - at:
            return
        if kind == _CERTIFICATE:
            yield blob[at : at + length]
        at += length
