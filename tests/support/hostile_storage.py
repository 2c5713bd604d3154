# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account that may only create files can put into a device's directory, and what the engine's verbs take of memory then."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional, Tuple

from engine.image.format import constants as fmt
from engine.image.format.contents import DiskContents, VolumeEntry
from engine.image.format.keys import MasterKey
from engine.image.format.manifest import Manifest, decode, encode, packs_digest
from engine.image.format.sealed_files import seal_file

from . import imaging
from .paths import MODULE_UTILS
from .samba_server import samba
from .sftp_server import SftpServer

PASSWORD = "a password for this test"
DEVICE = "pc"
FUTURE = "9999-12-31_23-59-59"
CROWD = 200_000
SOON = "2026-01-02_00-00-00"  # plausible whenever this runs
_MEASURE = (
    "import json,resource,subprocess,sys;"
    "p=subprocess.run([sys.executable,'-m','engine.agent.command'],input=sys.stdin.buffer.read(),stdout=subprocess.PIPE,"
    "stderr=subprocess.DEVNULL);"
    "lines=p.stdout.splitlines();"
    "print(json.dumps([p.returncode,resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,"
    "json.loads(lines[-1]) if lines else None]))"
)


class Measured(NamedTuple):
    """How a verb of the engine's command line ended, and the most memory that its process had."""

    status: int
    peak_bytes: int
    last: Dict[str, Any]


@contextlib.contextmanager
def reached(kind: str, folder: Path) -> Iterator[Tuple[Path, Optional[Dict[str, Any]]]]:
    """A new storage below ``folder``: where it lies, and how the engine reaches it where that is another way."""
    if kind == "directory":
        (folder / "storage").mkdir(parents=True)
        yield folder / "storage", None
    elif kind == "SFTP":
        with SftpServer(folder) as server:
            yield server.root, server.settings()
    else:
        with samba(folder) as share:
            yield share.root / share.below, share.settings


def measure(
    storage: Path, verb: str, password: str = PASSWORD, reach: Optional[Dict[str, Any]] = None, **settings: Any
) -> Measured:
    job = imaging.job(storage, verb, device=DEVICE, **settings)
    job["storage"] = reach or job["storage"]
    job["secrets"] = {"password": password} if password else {}
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE],
        cwd=MODULE_UTILS,
        input=json.dumps(job).encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=900,
    )
    status, kilobytes, last = json.loads(done.stdout)
    return Measured(status, kilobytes << 10, last or {})


class Attacker:
    """Adds files below ``<storage>/pc``. ``scale`` is 1 for the table of the documentation, less in tests; ``crowd`` is how many
    names an attack by names alone heaps up."""

    def __init__(self, storage: Path, image: str, scale: float = 1.0, crowd: int = CROWD) -> None:
        self.root = storage / DEVICE
        self.image = image
        self.scale = scale
        self.crowd = crowd

    def many(self, count: int) -> int:
        return max(1, int(count * self.scale))

    def put(self, path: str, data: bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def put_empty(self, path: str, size_bytes: int) -> None:
        """A file of zeros that takes no room."""
        self.put(path, b"")
        os.truncate(self.root / path, size_bytes)

    def model(self, **changes: Any) -> Manifest:
        data = (self.root / self.image / fmt.MANIFEST_NAME).read_bytes()
        return decode(data, self.image)._replace(**changes)

    def plant(self, name: str, **changes: Any) -> None:
        """An unencrypted image with a checksum that is right."""
        manifest = self.model(image=name, key_id="", slots=[], changes=None, **changes)
        self.put("%s/%s" % (name, fmt.MANIFEST_NAME), encode(manifest, None))

    def names(self, count: int, tail: str = "") -> Iterator[str]:
        for number in range(count):
            yield hashlib.sha256(b"%d" % number).hexdigest() + tail


def sums_of_bad_lines(attacker: Attacker) -> None:
    attacker.plant(SOON, sequence=1)
    attacker.put("%s/%s" % (SOON, fmt.SUMS_NAME), b"ab\n" * attacker.many(fmt.MAX_SUMS_BYTES // 3))


def sums_of_packs(attacker: Attacker) -> None:
    names = list(attacker.names(attacker.many(1_000_000)))
    sums = "".join("%s  ../packs/%s/%s\n" % (name, name[:2], name) for name in sorted(names)).encode()
    for number in range(3):
        name = "2026-01-02_00-00-0%d" % number
        attacker.plant(name, sequence=1, pack_count=len(names))
        attacker.put("%s/%s" % (name, fmt.SUMS_NAME), sums)
    attacker.put("%s/%s" % (FUTURE, fmt.MANIFEST_NAME), b"{")
    attacker.put("%s/%s" % (FUTURE, fmt.SUMS_NAME), sums)


def packs_that_are_listed(attacker: Attacker) -> None:
    """An unencrypted image with a list of packs of which half are missing and half are there under false names."""
    names_in("packs", "")(attacker)
    there = list(attacker.names(attacker.crowd))[::2]
    names = sorted(there + [name[::-1] for name in there])
    sums = "".join("%s  ../packs/%s/%s\n" % (name, name[:2], name) for name in names).encode()
    changes = {"pack_count": len(names), "pack_bytes": 0, "packs_sha256": packs_digest(names)}
    attacker.plant(SOON, sequence=1, **changes)
    attacker.put("%s/%s" % (SOON, fmt.SUMS_NAME), sums)


def records_of_values(attacker: Attacker) -> None:
    body = {"kind": "verified", "image": attacker.image, "ok": True, "x": [[]] * attacker.many(2_000_000)}
    for number in range(max(2, attacker.many(200))):
        data = json.dumps(dict(body, number=number), separators=(",", ":")).encode()
        attacker.put("records/%s/verified-%s.json" % (attacker.image, hashlib.sha256(data).hexdigest()), data)


def manifests_of_values(attacker: Attacker) -> None:
    junk = b'{"a":[' + b"[]," * attacker.many(2_700_000) + b"[]]}"
    for number in range(attacker.many(60)):
        attacker.put("%s/%s" % ("2026-01-02_00-%02d-00" % number, fmt.MANIFEST_NAME), junk)


def images_by_the_thousand(attacker: Attacker) -> None:
    for number in range(attacker.many(5000)):
        attacker.plant(
            "9998-01-%02d_%02d-%02d-%02d" % (number // 3600 + 1, 1, number // 60 % 60, number % 60), sequence=900
        )


def root_of_an_unencrypted_image(attacker: Attacker) -> None:
    count = attacker.many((1 << 20) - 64)
    size = count << 28
    head = struct.pack(">8sHQIIIII", fmt.ROOT_MAGIC, 1, size, 512, fmt.CHUNK_BYTES, fmt.SEGMENT_CHUNKS, 1, count)
    packs = struct.pack(">32sQQ", b"\1" * 32, 1000, 1000)
    segments = b"".join(
        struct.pack(">32sIIII", b"\1" * 24 + struct.pack(">Q", n), 0, 48, 100, 100) for n in range(count)
    )
    data = seal_file(None, SOON, "disk0.index", head + packs + segments)
    attacker.put("%s/disk0.index" % SOON, data)
    disk = (
        attacker.model()
        .disks[0]
        ._replace(size_bytes=size, index_sha256=hashlib.sha256(data).hexdigest(), index_bytes=len(data))
    )
    attacker.plant(SOON, sequence=1, disks=[disk], pack_count=1)


def checkpoints(attacker: Attacker) -> None:
    for number in range(3):
        attacker.put("2026-01-02_00-00-0%d/disk0.checkpoint" % number, os.urandom(1 << 20) * attacker.many(127))


def names_in(folder: str, tail: str) -> Callable[[Attacker], None]:
    def plant(attacker: Attacker) -> None:
        for name in attacker.names(attacker.crowd, tail):
            path = attacker.root / folder / (name[:2] if folder == "packs" else "") / name
            path.parent.mkdir(exist_ok=True)
            path.touch()

    return plant


def slots(attacker: Attacker) -> None:
    dummy_name, data = MasterKey.new().new_slot("x", n=2)
    header = json.loads(data)
    absurd = [
        (1 << 15, 64, 1),
        (1 << 60, 64, 16),
        (1 << 11, 64, 16),
        (1 << 20, 1, 1),
        (1 << 24, 8, 1),
        (-2, 8, 1),
        (3, 8, 1),
    ]
    for number in range(attacker.many(4000)):
        n, r, p = absurd[0] if number % 2 else absurd[number // 2 % len(absurd)]
        header["kdf"].update(salt=hashlib.sha256(b"%d" % number).hexdigest(), n=n, r=r, p=p)
        body = json.dumps(header, sort_keys=True, indent=1).encode() + b"\n"
        attacker.put("keys/%s.json" % hashlib.sha256(body).hexdigest(), body)


def table_of_a_pack(attacker: Attacker) -> None:
    """An orphan pack of a million blobs of one byte."""
    count = attacker.many(1 << 20)
    head = fmt.PACK_MAGIC + bytes(32)
    table = b"".join(
        struct.pack(">32sQIIBB", hashlib.sha256(b"%d" % n).digest(), len(head) + n, 1, 1, fmt.KIND_CHUNK, 0)
        for n in range(count)
    )
    trailer = struct.pack(">QI", len(head) + count, count) + hashlib.sha256(table).digest() + fmt.PACK_END_MAGIC
    data = head + bytes(count) + table + trailer
    name = hashlib.sha256(data).hexdigest()
    attacker.put("packs/%s/%s" % (name[:2], name), data)


def documents_of_values(attacker: Attacker) -> None:
    """Small files of one device, each far too large and, where it can be, a bomb of compression."""
    junk = b'{"a":[' + b"[]," * attacker.many(40_000_000) + b"[]]}"
    for name in ("lease.json", "run.json", "%s/copies.tar" % SOON, "%s/device-id.json" % SOON):
        attacker.put(name, junk)
    packed = {name: seal_file(None, SOON, name, bytes(attacker.many(128 << 20))) for name in ("device.json", "job.log")}
    for name, data in packed.items():
        attacker.put("%s/%s" % (SOON, name), data)
    files = {name: hashlib.sha256(data).hexdigest() for name, data in packed.items()}
    attacker.plant(SOON, sequence=1, files=files)


def identity_of_values(attacker: Attacker) -> None:
    """What says whose directory it is and that its images are encrypted, where an account may replace it."""
    junk = b'{"a":[' + b"[]," * attacker.many(40_000_000) + b"[]]}"
    for name in ("device-id.json", "encrypted"):
        attacker.put(name, junk)


def odd_documents(attacker: Attacker) -> None:
    """JSON that other readers stumble over, in the place of each small document, and by the hundred where there may be many."""
    deep, fields, digits = attacker.many(400_000), attacker.many(60_000), attacker.many(1_000_000)
    odd = [
        b'{"a":' * deep + b"1" + b"}" * deep,
        b'{"a":' + b"[" * deep + b"]" * deep + b"}",
        b"{" + b",".join(b'"%d":%d' % (n, n) for n in range(fields)) + b"}",
        b'{"sequence":' + b"9" * digits + b"}",
        b"{" + b",".join([b'"sequence":1'] * fields) + b"}",
        b'{"image":"\xff\xfe\xc0\x80\xed\xa0\x80"}',
        b'{"sequence":NaN,"a":Infinity,"b":1e999999999}',
        b'{"image":"' + b"\\ud800" * fields + b'"}',
        b"\xef\xbb\xbf{}",
        b"",
    ]
    for number, data in enumerate(odd * 10):
        image = "2026-01-02_00-%02d-%02d" % divmod(number, 60)
        for name in (fmt.MANIFEST_NAME, fmt.SUMS_NAME, fmt.COPIES_NAME, "disk0.checkpoint", "device.json"):
            attacker.put("%s/%s" % (image, name), data)
        digest = hashlib.sha256(data + b"%d" % number).hexdigest()
        attacker.put("records/%s/pinned-%s.json" % (attacker.image, digest), data + b"%d" % number)
        attacker.put("keys/%s.json" % hashlib.sha256(data).hexdigest(), data)
        attacker.put("trash/%s.bad.1700000000" % digest, data)
        attacker.put("lease.json", data)
        attacker.put("run.json", data)


def files_of_a_gibibyte(attacker: Attacker) -> None:
    names = (
        fmt.MANIFEST_NAME,
        fmt.SUMS_NAME,
        fmt.COPIES_NAME,
        "disk0.checkpoint",
        "disk0.index",
        "device.json",
        "job.log",
    )
    for name in ("lease.json", "run.json", *("%s/%s" % (SOON, name) for name in names)):
        attacker.put_empty(name, 1 << 30)
    for name in attacker.names(attacker.many(200)):
        attacker.put_empty("keys/%s.json" % name, 1 << 30)
        attacker.put_empty("records/%s/verified-%s.json" % (attacker.image, name), 1 << 30)
        attacker.put_empty("packs/%s/%s" % (name[:2], name), 1 << 30)
        attacker.put_empty("trash/%s.bad.1700000000" % name, 79 << 20)


def records_by_the_thousand(attacker: Attacker) -> None:
    for number in range(attacker.many(50_000)):
        body = {"kind": "pinned", "image": attacker.image, "order": number}
        data = json.dumps(body, sort_keys=True, indent=1).encode() + b"\n"
        attacker.put("records/%s/pinned-%s.json" % (attacker.image, hashlib.sha256(data).hexdigest()), data)


def manifests_that_are_full(attacker: Attacker) -> None:
    """Unencrypted images with as many disks and volumes as a manifest may list."""
    disk = attacker.model().disks[0]
    for number in range(attacker.many(1000)):
        volumes = [VolumeEntry(n % 4096, "%036d" % (number * 10_000 + n), 1 << 30) for n in range(256)]
        disks = [
            disk._replace(name="disk%d" % n, stable_id="%d-%d" % (number, n), contents=DiskContents("m", "t", volumes))
            for n in range(12)
        ]
        attacker.plant(
            "2026-01-02_%02d-%02d-%02d" % (number // 3600, number // 60 % 60, number % 60), sequence=1, disks=disks
        )


def frames_of_zstd(attacker: Attacker) -> None:
    """An unencrypted image whose index is a small frame that says it holds as much as one may."""
    data = seal_file(None, SOON, "disk0.index", bytes(attacker.many(fmt.MAX_CLEAR_ROOT_BYTES)))
    attacker.put("%s/disk0.index" % SOON, data)
    disk = attacker.model().disks[0]._replace(index_sha256=hashlib.sha256(data).hexdigest(), index_bytes=len(data))
    attacker.plant(SOON, sequence=1, disks=[disk])


LISTINGS = (
    "a crowd of names beside the images",
    "a crowd of records",
    "a crowd of names in keys",
    "a crowd of names in the trash",
    "a crowd of packs",
)
ATTACKS: Dict[str, Callable[[Attacker], None]] = {
    "nothing": lambda attacker: None,
    "SHA256SUMS of 160 MiB, no line of ours": sums_of_bad_lines,
    "SHA256SUMS with a million packs": sums_of_packs,
    "a crowd of packs that an image lists": packs_that_are_listed,
    "records of 8 MiB, millions of values": records_of_values,
    "manifests of 8 MiB, millions of values": manifests_of_values,
    "5,000 images of next millennium": images_by_the_thousand,
    "the root of an unencrypted image": root_of_an_unencrypted_image,
    "checkpoints of 127 MiB": checkpoints,
    "an orphan pack of a million blobs": table_of_a_pack,
    "documents of 120 MiB, bombs of zstd": documents_of_values,
    "identity and mark of 120 MiB": identity_of_values,
    "odd JSON in every place": odd_documents,
    "files of 1 GiB in every place": files_of_a_gibibyte,
    "50,000 pins of one image": records_by_the_thousand,
    "1,000 manifests as full as they may be": manifests_that_are_full,
    "an index that is a bomb of zstd": frames_of_zstd,
    "4,000 key slots of 256 MiB": slots,
    "a crowd of names beside the images": names_in("", ".json"),
    "a crowd of records": names_in("records", ".json"),
    "a crowd of names in keys": names_in("keys", ".json"),
    "a crowd of names in the trash": names_in("trash", ".5.1700000000"),
    "a crowd of packs": names_in("packs", ""),
}
