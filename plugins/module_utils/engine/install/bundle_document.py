# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``bundle.json``: which parts an installation of the agent is made of. Written by the operator, read on the device.

It goes with the installer, so its syntax is that of Python 3.6.
"""

import contextlib
import hashlib
import json
import re
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from ..errors import BundleInvalid

FORMAT = 1
DOCUMENT = "bundle.json"
ENGINE_PART = "engine.zip"
MAX_DOCUMENT_BYTES = 1 << 20
MAX_PART_BYTES = 256 << 20
VERSION = re.compile(r"[0-9][0-9A-Za-z.+_-]{0,63}")
SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_PARTS = 200
_PLATFORM = re.compile(r"[a-z0-9]+-[a-z0-9_]+-[a-z]+-cp3[0-9]{1,2}")
_NUMBERS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){1,2}")
_PART_NAME = re.compile(r"engine\.zip|[0-9A-Za-z][0-9A-Za-z._+-]{1,240}\.whl")


class Part(NamedTuple):
    """A file that an installation is made of: the engine as a zip, or a wheel."""

    name: str
    sha256: str
    size_bytes: int


class Document(NamedTuple):
    """A bundle's contents. ``libc`` and ``python`` are the oldest versions that it runs with; ``raw`` are its bytes."""

    version: str
    platform: str
    libc: str
    python: str
    parts: Tuple[Part, ...]
    raw: bytes

    @property
    def identity(self) -> str:
        """The id of the installation that it makes."""
        return identity_of(self.version, self.raw)


def identity_of(version: str, raw: bytes) -> str:
    """Return the id of an installation whose document has these bytes."""
    return "%s-%s" % (version, hashlib.sha256(raw).hexdigest()[:16])


def numbers(version: str) -> List[int]:
    """Return ``2.17`` as something that compares."""
    return [int(number) for number in version.split(".")]


def make_document(version: str, platform: str, libc: str, python: str, parts: List[Part]) -> Document:
    """Return the document for ``parts``, checked as every reader will.

    :raises BundleInvalid: when a reader would refuse it.
    """
    content = {
        "format": FORMAT,
        "version": version,
        "platform": platform,
        "requires": {"libc": libc, "python": python},
        "parts": [{"name": part.name, "sha256": part.sha256, "size_bytes": part.size_bytes} for part in parts],
    }
    return read_document(written(content), DOCUMENT)


def read_document(raw: bytes, path: str) -> Document:
    """Return the document in ``raw``; ``path`` is named by the error.

    :raises BundleInvalid: when it is not a bundle of this collection.
    """
    with refusing(path):
        content = parsed(raw, MAX_DOCUMENT_BYTES)
        requires = content["requires"]
        parts = tuple(_part(entry) for entry in content["parts"])
        if not 1 <= len(parts) <= _MAX_PARTS or parts[0].name != ENGINE_PART:
            raise ValueError("it does not begin with the engine")
        if len({part.name.lower() for part in parts}) != len(parts) or len({part.sha256 for part in parts}) != len(
            parts
        ):
            raise ValueError("it contains a part twice")
        return Document(
            matched(VERSION, content["version"]),
            matched(_PLATFORM, content["platform"]),
            matched(_NUMBERS, requires["libc"]),
            matched(_NUMBERS, requires["python"]),
            parts,
            raw,
        )


def _part(entry: Any) -> Part:
    size_bytes = sized("part", entry["size_bytes"], MAX_PART_BYTES)
    return Part(matched(_PART_NAME, entry["name"]), matched(SHA256, entry["sha256"]), size_bytes)


# Shared by the documents of all systems.


def written(content: Dict[str, Any]) -> bytes:
    """Return the bytes of a document: the same for the same content."""
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode("ascii")


def parsed(raw: bytes, most_bytes: int) -> Dict[str, Any]:
    """:raises ValueError: when it is too large, no document, or of another format."""
    if len(raw) > most_bytes:
        raise ValueError("it is too large")
    content = json.loads(raw.decode("utf-8"))
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError("its format is not %d" % FORMAT)
    return content


@contextlib.contextmanager
def refusing(path: str) -> Iterator[None]:
    """Name the document that what is wrong in it belongs to. :raises BundleInvalid:"""
    try:
        yield
    except KeyError as error:
        raise BundleInvalid(path=path, reason="%s is missing" % error) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise BundleInvalid(path=path, reason=str(error)) from None


def sized(kind: str, size_bytes: object, most_bytes: int) -> int:
    """:raises ValueError: when it is not a number of bytes up to ``most_bytes``."""
    if isinstance(size_bytes, bool) or not isinstance(size_bytes, int) or not 0 <= size_bytes <= most_bytes:
        raise ValueError("a %s of %r bytes" % (kind, size_bytes))
    return size_bytes


def matched(pattern: Any, text: Any) -> str:
    """:raises ValueError: when it is not text that the pattern matches as a whole."""
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise ValueError("%r is malformed" % (text,))
    return text
