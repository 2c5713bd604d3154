# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents that carry their own SHA-256, so that a flipped bit in one shows: ``device-id.json``.

Versions before this one wrote the same document without ``check``; of such a one only the form can be proved.
"""

from __future__ import annotations

import hashlib
from typing import Any, Container, Dict

from . import documents

CHECK = "check"


def encode(document: Dict[str, Any]) -> bytes:
    return documents.pretty(dict(document, **{CHECK: _digest(document)}))


def is_checked(document: Dict[str, Any]) -> bool:
    return CHECK in document


def decode(data: bytes) -> Dict[str, Any]:
    """Parse a document that :func:`encode` made, or an earlier version without a check.

    :raises ValueError: when it does not say what was written.
    """
    document = documents.parse(data)
    body = {name: value for name, value in document.items() if name != CHECK}
    if CHECK in document and document[CHECK] != _digest(body):
        raise ValueError("it is damaged: its checksum is wrong")
    return body


def prove_form(data: bytes, fields: Container[str]) -> None:
    """Prove that nothing was changed in a document; in one of an earlier version, with these ``fields``, as far as its form tells.

    :raises ValueError: when something was.
    """
    body = decode(data)
    document = documents.parse(data)
    if documents.pretty(document) != data:
        raise ValueError("it is damaged: it has an unknown form")
    if CHECK not in document and any(name not in fields for name in body):
        raise ValueError("it is damaged: it contains an unknown field")


def _digest(document: Dict[str, Any]) -> str:
    return hashlib.sha256(documents.canonical(document)).hexdigest()
