# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage that release 0.1.0 made, as every later version must be able to use it: ``tests/data/storage-0.1.0.tar.xz``.

It holds three devices:

* ``press-07``: encrypted, four images. The password was changed before the second of them; the first is pinned, the second was
  pinned and unpinned; a rollover put one image's packs into the trash.
* ``gate-01``: not encrypted, two images. A pack of the first was damaged, found by a verify, and healed by the second run.
* ``mill-03``: encrypted, a first image that was killed after its first checkpoint.

``expected.json`` beside them says, for each image, the SHA-256 of the disk as 0.1.0 restored it. The archive was made once,
by ``make_archive`` under 0.1.0's engine, and never changes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List

ARCHIVE = Path(__file__).resolve().parent.parent / "data" / "storage-0.1.0.tar.xz"
FIRST_PASSWORD = "first-password-of-the-press-31"
SECOND_PASSWORD = "second-password-of-the-press-32"
MILL_PASSWORD = "password-of-the-mill-33"
MIB = 1 << 20
MILL_BYTES = 4608 * MIB


def unpack(folder: Path) -> Dict[str, Any]:
    """Unpack the storage into ``folder``/storage and return what is expected of it."""
    with tarfile.open(ARCHIVE, "r:xz") as archive:
        for member in archive:
            assert member.isreg() or member.isdir(), member.name
            archive.extract(member, folder, set_attrs=False)
    answer: Dict[str, Any] = json.loads((folder / "expected.json").read_text(encoding="ascii"))
    return answer


def noise(seed: str, length_bytes: int) -> bytes:
    """Bytes that do not compress, the same under every Python."""
    return hashlib.shake_256(seed.encode()).digest(length_bytes)


def write_press_disk(path: Path, state: int) -> None:
    """An MBR and one partition that no file system claims; each ``state`` rewrites a piece of it."""
    disk = bytearray(4 * MIB)
    disk[440:444] = b"\x07\x01\x02\x03"
    disk[446:462] = bytes.fromhex("00feffff83feffff") + (2048).to_bytes(4, "little") + (6144).to_bytes(4, "little")
    disk[510:512] = b"\x55\xaa"
    disk[MIB : MIB + 384 * 1024] = noise("press", 384 * 1024)
    disk[MIB + 128 * 1024 : MIB + 256 * 1024] = noise("press, state %d" % state, 128 * 1024)
    path.write_bytes(disk)


def write_gate_disk(path: Path) -> None:
    path.write_bytes(noise("gate", 192 * 1024) + bytes(MIB - 192 * 1024))


def write_mill_disk(path: Path) -> None:
    """Eighteen segments, so that a run stores a checkpoint before its end."""
    with open(path, "wb") as file:
        file.truncate(MILL_BYTES)
        for segment in range(18):
            file.seek(segment * 256 * MIB + 64 * 1024)
            file.write(noise("mill %d" % segment, 16 * 1024))


def sha256_of(path: Path) -> str:
    result = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(MIB), b""):
            result.update(piece)
    return result.hexdigest()


def make_archive(engine: Path) -> None:
    """Make the archive anew with the engine whose package lies in ``engine``. Done once, with 0.1.0."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        (top / "storage").mkdir()
        expected = {
            "press-07": _make_press(engine, top),
            "gate-01": _make_gate(engine, top),
        }
        _make_mill(engine, top)
        (top / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True), encoding="ascii")
        ARCHIVE.parent.mkdir(exist_ok=True)
        with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
            for path in sorted([top / "expected.json", *(top / "storage").rglob("*")]):
                member = tarfile.TarInfo(str(path.relative_to(top)))
                if path.is_dir():
                    member.type = tarfile.DIRTYPE
                    archive.addfile(member)
                else:
                    data = path.read_bytes()
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))


def _make_press(engine: Path, top: Path) -> Dict[str, str]:
    disk, device, found = top / "press.raw", "press-07", {}
    passwords: List[Dict[str, str]] = [
        {"password": FIRST_PASSWORD},
        {"password": FIRST_PASSWORD},
        {"password": SECOND_PASSWORD, "password_previous": FIRST_PASSWORD},
        {"password": SECOND_PASSWORD},
        {"password": SECOND_PASSWORD},
    ]
    for state, secrets in enumerate(passwords):
        write_press_disk(disk, state)
        stamp = "2026-11-%02d_22-00-00" % (10 + state)
        made = _run(engine, top, "image", device, secrets, drives=[str(disk)], timestamp=stamp, keep=9)["image"]
        if state == 0:
            _run(engine, top, "pin", device, secrets, image=made)
        if state == 2:
            _run(engine, top, "pin", device, secrets, image=made)
            _run(engine, top, "pin", device, secrets, image=made, state="unpinned")
        if state != 1:
            found[made] = _restored(engine, top, device, secrets, made)
    _run(engine, top, "rollover", device, passwords[-1], keep=3)
    assert any(".bad" not in path.name for path in (top / "storage" / device / "trash").iterdir())
    return found


def _make_gate(engine: Path, top: Path) -> Dict[str, str]:
    disk, device, found = top / "gate.raw", "gate-01", {}
    write_gate_disk(disk)
    first = _run(engine, top, "image", device, {}, drives=[str(disk)], timestamp="2026-11-10_23-00-00")["image"]
    pack = max((top / "storage" / device / "packs").glob("*/*"), key=lambda path: path.stat().st_size)
    whole = bytearray(pack.read_bytes())
    whole[len(whole) // 2] ^= 1
    pack.write_bytes(whole)
    assert not _run(engine, top, "verify", device, {}, image=first)["ok"]
    second = _run(engine, top, "image", device, {}, drives=[str(disk)], timestamp="2026-11-11_23-00-00")["image"]
    for image in (first, second):
        found[image] = _restored(engine, top, device, {}, image)
    return found


def _make_mill(engine: Path, top: Path) -> None:
    disk, device = top / "mill.raw", "mill-03"
    write_mill_disk(disk)
    request = _request(top, "image", device, {"password": MILL_PASSWORD}, drives=[str(disk)], limit_read_rate=300)
    request["timestamp"] = "2026-11-12_21-00-00"
    run = subprocess.Popen(_command(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=_environment(engine))
    assert run.stdin is not None
    run.stdin.write(json.dumps(request).encode())
    run.stdin.close()
    while not list((top / "storage" / device).glob("20*/disk0.checkpoint")):
        assert run.poll() is None, "the run ended before its first checkpoint"
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not list((top / "storage" / device).glob("20*/image.json"))


def _restored(engine: Path, top: Path, device: str, secrets: Dict[str, str], image: str) -> str:
    target = top / "restored.raw"
    target.unlink(missing_ok=True)
    _run(engine, top, "restore", device, secrets, image=image, map={"disk0": str(target)})
    return sha256_of(target)


def _request(top: Path, verb: str, device: str, secrets: Dict[str, str], **settings: Any) -> Dict[str, Any]:
    storage = {"url": str(top / "storage")}
    return dict({"verb": verb, "device": device, "storage": storage, "secrets": secrets}, **settings)


def _command() -> List[str]:
    return [sys.executable, "-m", "engine.agent.command"]


def _environment(engine: Path) -> Dict[str, str]:
    return dict(os.environ, PYTHONPATH=str(engine), PYTHONDONTWRITEBYTECODE="1")


def _run(engine: Path, top: Path, verb: str, device: str, secrets: Dict[str, str], **settings: Any) -> Dict[str, Any]:
    request = _request(top, verb, device, secrets, **settings)
    if verb == "image":
        request["limit_read_rate"] = 0
    done = subprocess.run(
        _command(), input=json.dumps(request).encode(), stdout=subprocess.PIPE, env=_environment(engine), check=False
    )
    answer: Dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert answer["event"] == "result", answer
    return answer


if __name__ == "__main__":
    make_archive(Path(sys.argv[1]))
