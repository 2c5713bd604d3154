# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``SHA256SUMS``: every file of an image and every pack it needs, in the form that ``sha256sum -c`` reads."""

from __future__ import annotations

import re
from typing import Dict, List, NamedTuple

from ..errors import ImageDamaged
from . import format as fmt

_LINE = re.compile(
    r"([0-9a-f]{64})  (?:\.\./packs/([0-9a-f]{2})/([0-9a-f]{64})|(keys/[0-9a-f]{64}\.json|[a-z0-9][a-z0-9.]{0,63}))"
)


class Sums(NamedTuple):
    """The parsed list: files by name below the image's directory, and pack names."""

    files: Dict[str, str]
    packs: List[str]


def encode(files: Dict[str, str], packs: List[str]) -> bytes:
    """Lines in a fixed order; paths relative to the image's directory."""
    lines = ["%s  %s\n" % (digest, name) for name, digest in sorted(files.items())]
    lines += ["%s  ../%s/%s/%s\n" % (name, fmt.PACKS, name[:2], name) for name in sorted(packs)]
    return "".join(lines).encode("ascii")


def decode(data: bytes, image: str) -> Sums:
    """:raises ImageDamaged: for a line that names anything but our own files."""
    if len(data) > fmt.MAX_SUMS_BYTES:
        raise ImageDamaged(image=image, reason="its SHA256SUMS is too large")
    result = Sums({}, [])
    for line in data.decode("ascii", "replace").split("\n")[:-1]:
        match = _LINE.fullmatch(line)
        if match is None or (match.group(3) and not match.group(1) == match.group(3)):
            raise ImageDamaged(image=image, reason="its SHA256SUMS holds a line of another form")
        if match.group(3):
            if match.group(2) != match.group(3)[:2]:
                raise ImageDamaged(image=image, reason="its SHA256SUMS names a pack at a wrong place")
            result.packs.append(match.group(3))
            if len(result.packs) > fmt.MAX_PACKS:
                raise ImageDamaged(image=image, reason="its SHA256SUMS names too many packs")
        else:
            if match.group(4) in result.files:
                raise ImageDamaged(image=image, reason="its SHA256SUMS names a file twice")
            result.files[match.group(4)] = match.group(1)
    if len(set(result.packs)) != len(result.packs):
        raise ImageDamaged(image=image, reason="its SHA256SUMS names a pack twice")
    if not data.endswith(b"\n"):
        raise ImageDamaged(image=image, reason="its SHA256SUMS is cut off")
    return result
