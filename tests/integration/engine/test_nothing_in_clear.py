# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of the password and nothing that is known to be on the disk stands in an encrypted image, in any spelling.

The same search finds the content in a clear image: what is searched for does not compress, so only encryption can hide it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from pathlib import Path
from typing import Any, Dict, List

from engine.verbs.dispatch import run_job
from support import imaging
from support.filled import MIB

PASSWORD = imaging.PASSWORD


def spellings(password: str) -> List[bytes]:
    raw = [password.encode("utf-8"), password.encode("utf-16-le")]
    texts = [base64.b64encode(one) for one in raw] + [one.hex().encode() for one in raw]
    hashes = [hashlib.new(name, raw[0]) for name in ("md5", "sha1", "sha256", "sha512")]
    texts += [one.hexdigest().encode() for one in hashes]
    # The last characters of base64 depend on what follows.
    return raw + [text.rstrip(b"=")[:-2] for text in texts] + [one.digest() for one in hashes]


def found_in(folder: Path, needles: List[bytes]) -> List[str]:
    return [
        "%s: %r" % (path.relative_to(folder), needle)
        for path in folder.rglob("*")
        if path.is_file()
        for needle in needles
        if needle in path.read_bytes() or needle in str(path).encode()
    ]


def test_nothing_in_clear(tmp_path: Path) -> None:
    needles = [secrets.token_bytes(24) for dummy in range(6)]
    drive = tmp_path / "drive"
    content = bytearray(secrets.token_bytes(3 * MIB) + b"recipe of the paint shop; " * 40_000)
    for number, needle in enumerate(needles):
        content[number * 500_000 + 100 : number * 500_000 + 124] = needle
    drive.write_bytes(content)
    clear, encrypted = tmp_path / "clear", tmp_path / "encrypted"
    events: List[Dict[str, Any]] = []
    imaging.image(clear, drive, secrets={})
    assert len(found_in(clear, needles)) == len(needles)
    for dummy in range(2):
        events.append(run_job(imaging.job(encrypted, "image", drives=[str(drive)]), events.append, lambda: False))
    job = imaging.job(encrypted, "image", drives=[str(drive)])
    job["secrets"] = {"password": "word-of-before-83", "password_previous": PASSWORD}
    events.append(run_job(job, events.append, lambda: False))
    events.append(imaging.verify(encrypted))
    words = spellings(PASSWORD) + spellings("word-of-before-83")
    assert found_in(encrypted, needles + words + [b"recipe of the paint"]) == []
    said = json.dumps(events)
    assert PASSWORD not in said
    assert "recipe of the paint" not in said
