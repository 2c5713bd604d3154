# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is fuzzed of the agent and of who talks to it: bundles, answers, sealed secrets, the spool, tools, servers.

The rules are those of ``targets.py``. Readers that document ``ValueError`` or ``PacketInvalid`` may raise those.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple
from unittest import mock

from ansible_collections.plantops.imaging.plugins.plugin_utils._device import answers as _answers
from engine._libraries import aead
from engine.agent import sealing
from engine.agent.spool import RunFolder, Spool
from engine.agent.status import current_status
from engine.device import discovery
from engine.device.compare.compare import compare
from engine.device.compare.earlier import document_of
from engine.device.compare.words import lines
from engine.device.document.collect import collect
from engine.disk.patterns import Pattern, fold
from engine.errors import EngineError
from engine.host.linux_mountinfo import read_mounts
from engine.image.format import documents
from engine.install.bundle_document import Part, read_document
from engine.install.bundle_format import Bundle
from engine.install.unpacking import Unpacker
from engine.snapshot.lvm import map as lvm_map
from engine.snapshot.lvm import report as lvm_report
from engine.storage.sftp import hostkey as sftp_hostkey
from engine.storage.sftp.packets import PacketInvalid, Reply
from fuzz.rules import BrokenRule

RUN = "nightly-1"
_PARTS = b"\0\n"  # between the parts of an input that stands for several texts


@lru_cache(maxsize=None)
def _folder() -> Path:
    """A folder of this process, in memory where the machine has one."""
    memory = "/dev/shm"
    given = os.environ.get("PLANTOPS_FUZZ_FOLDER")  # of a fuzzer, which does not come to what is registered below
    made = tempfile.mkdtemp(prefix="plantops-fuzz-", dir=given or (memory if os.path.isdir(memory) else None))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


# -- bundles ----------------------------------------------------------------------------------------------------------


def bundle_document(data: bytes) -> None:
    with contextlib.suppress(EngineError):
        if len(read_document(data, "bundle.json").identity) > 100:
            raise BrokenRule("an installation has an endless name")


def bundle(data: bytes) -> None:
    path = _folder() / "bundle"
    path.write_bytes(data)
    with contextlib.suppress(EngineError), Bundle(str(path)) as opened:
        for part in opened.document.parts[:3]:
            with contextlib.suppress(EngineError):
                opened.read_part(part)
        opened.installer()


def unpack(data: bytes) -> None:
    path, folder = _folder() / "part", _folder() / "unpacked"
    path.write_bytes(data)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    before = set(os.listdir(_folder()))
    with contextlib.suppress(EngineError):
        Unpacker().unpack(str(path), Part("engine.zip", hashlib.sha256(data).hexdigest(), len(data)), str(folder))
    if set(os.listdir(_folder())) != before or any(os.path.islink(one) for one in folder.rglob("*")):
        raise BrokenRule("an archive reaches out of its folder")


# -- what a device says -----------------------------------------------------------------------------------------------


def answer(data: bytes) -> None:
    """Whatever comes through is printable and of the documented names only."""
    text = data.decode("utf-8", "surrogateescape")
    _answers.said(text)
    try:
        document = _answers.parse(text)
    except ValueError:
        return
    for read in (_answers.answer_of, _answers.result_of):
        known = _answers.RESULTS if read is _answers.result_of else _answers._ANSWERS
        for verb in known:
            with contextlib.suppress(ValueError):
                _is_tame(read(verb, document), known[verb], verb)
    for other in (_answers.error_of, _answers.progress_of):
        with contextlib.suppress(ValueError):
            other(document)


def _is_tame(found: Dict[str, object], known: Dict[str, Callable[[object], bool]], verb: str) -> None:
    if set(found) - set(known):
        raise BrokenRule("the answer to %s brings names of its own" % verb)
    if any(ord(one) < 32 and one not in "\n\t" for one in json.dumps(found, ensure_ascii=False).replace("\\n", "")):
        raise BrokenRule("the answer to %s would steer a terminal" % verb)


# -- sealed secrets ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=None)
def _recipient() -> sealing.Recipient:
    """The same in every process, so that what was found is found again."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    one = sealing.Recipient(RUN)
    one._private_key = X25519PrivateKey.from_private_bytes(bytes(range(32)))
    one._nonce = bytes(range(100, 132))
    return one


def sealed(data: bytes) -> None:
    """As a message; as what a sender who knows the run's key sealed; as what a runner says hello with."""
    with contextlib.suppress(EngineError):
        _recipient().open(data)
    hello = _recipient().hello()
    sender = _recipient()._private_key
    key = sealing._key(sender, sealing._public_bytes(sender), _recipient()._nonce, RUN)
    inside = aead().AESGCM(key).encrypt(sealing._ZERO_NONCE, data, RUN.encode("ascii"))
    message = dict(hello, public_key=sealing._text(sealing._public_bytes(sender)), sealed=sealing._text(inside))
    with contextlib.suppress(EngineError):
        secrets = _recipient().open(documents.pretty(message))
        if not all(isinstance(value, dict) for value in secrets.values()):
            raise BrokenRule("secrets are no mapping of mappings")
    text = data.decode("latin-1")
    for name in ("public_key", "nonce"):
        with contextlib.suppress(EngineError):
            sealing.seal(dict(hello, **{name: text}), {"secrets": {}})


# -- the device's own files -------------------------------------------------------------------------------------------


class _NobodyLives(Spool):
    def living(self) -> str:
        return ""


def spool(data: bytes) -> None:
    """Status, runner and hello of a run that is gone; read twice, since the first look may write a last word."""
    base = _folder() / "agent"
    folder = RunFolder(RUN, str(base / "spool" / RUN))
    shutil.rmtree(base, ignore_errors=True)
    os.makedirs(folder.path, mode=0o700)
    for name, content in zip(("status.json", "runner.json", "hello.json"), data.split(_PARTS)):
        Path(folder.file(name)).write_bytes(content)
    with contextlib.suppress(EngineError):
        for dummy in range(2):
            status = current_status(_NobodyLives(str(base)), folder)
            if status["state"] not in ("done", "failed", "cancelled", "lost"):
                raise BrokenRule("a run whose process is gone is %r" % status["state"])
        folder.read("hello.json")


def machine(data: bytes) -> None:
    """The files of /proc, /sys and /etc that describe a machine."""
    root = _folder() / "root"
    names = ("proc/self/mountinfo", "proc/swaps", "etc/os-release", "proc/meminfo", "proc/cpuinfo", "etc/machine-id")
    for name, content in zip(names, [*data.split(_PARTS), *[b""] * len(names)]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    for mount in read_mounts(str(root)):
        if "\n" in mount.kind:
            raise BrokenRule("a mount of two lines")
    discovery.discover(str(root))
    if "\n" in str(collect(str(root))):
        raise BrokenRule("a document with a line end in a text")


def lvm(data: bytes) -> None:
    """What the tools of LVM answer: three reports, or anything else."""
    reports = [part.decode("utf-8", "replace") for part in data.split(_PARTS)] + ["", "", ""]

    def run_tool(arguments: Sequence[str], dummy_timeout_seconds: Optional[float] = None) -> Tuple[int, str, str]:
        return 0, reports[("pvs", "vgs", "lvs").index(arguments[0])], ""

    with contextlib.suppress(EngineError), mock.patch.object(lvm_report, "run_tool", run_tool):
        report = lvm_report.read_report()
        for volume in report.logical[:8]:
            if volume.group not in report.groups or lvm_map.why_not_mapped(report, volume):
                continue
            total = sum(count for one in volume.segments for dummy, dummy_first, count in one.runs)
            if total * report.groups[volume.group].extent_bytes != volume.size_bytes:
                raise BrokenRule("a volume is not as long as its segments")


def device_information(data: bytes) -> None:
    """What an image says of its machine, compared with what another one says."""
    found = []
    for part in data.split(_PARTS)[:2]:
        with contextlib.suppress(ValueError):
            found.append(documents.parse(part))
    for one in found:
        earlier, later = document_of(one), document_of(found[0])
        if compare(earlier, earlier)["count"]:
            raise BrokenRule("a machine differs from itself")
        there, back = compare(earlier, later), compare(later, earlier)
        lines(there)
        if not earlier.get("partial") and not later.get("partial") and there["count"] != back["count"]:
            raise BrokenRule("the way back has another number of differences")


def pattern(data: bytes) -> None:
    """A pattern, and names that a volume holds."""
    texts = [part.decode("utf-8", "surrogateescape") for part in data.split(_PARTS)]
    with contextlib.suppress(EngineError):
        segments = Pattern.parse(texts[0]).below(texts[2:4], False)
        for segment in segments:
            for name in texts[1:2]:
                if not segment.crosses:
                    segment.matches(fold(name))


# -- servers ----------------------------------------------------------------------------------------------------------


def sftp_packet(data: bytes) -> None:
    for read in (Reply.names, Reply.attributes, Reply.status, Reply.string, Reply.long):
        reply = Reply(data[0] if data else 0, data, 1)
        with contextlib.suppress(PacketInvalid):
            read(reply)  # type: ignore[operator]


def host_key(data: bytes) -> None:
    """What a user gives, and a file of known hosts."""
    path = _folder() / "known_hosts"
    path.write_bytes(data)
    for settings in ({"host_key": data.decode("utf-8", "replace")}, {"known_hosts_file": str(path)}):
        with contextlib.suppress(EngineError):
            keys = sftp_hostkey.HostKeys("server", 22, "server", settings, lambda text: None)
            keys.is_known(data)
            keys.types()


TARGETS: Dict[str, Callable[[bytes], None]] = {
    "bundle_document": bundle_document,
    "bundle": bundle,
    "unpack": unpack,
    "answer": answer,
    "sealed": sealed,
    "spool": spool,
    "machine": machine,
    "lvm": lvm,
    "information": device_information,
    "pattern": pattern,
    "sftp_packet": sftp_packet,
    "host_key": host_key,
}


# -- what they begin with ---------------------------------------------------------------------------------------------


def seeds() -> Dict[str, List[bytes]]:
    """For each target inputs that are right, from which a fuzzer goes on."""
    from support.fake_lvm import FakeLvm

    content, digest = b"print('engine')\n", hashlib.sha256(b"print('engine')\n").hexdigest()
    part = {"name": "engine.zip", "sha256": digest, "size_bytes": len(content)}
    platform, requires = "linux-x86_64-glibc-cp311", {"libc": "2.17", "python": "3.8"}
    document = {"format": 1, "version": "0.1.0", "platform": platform, "requires": requires, "parts": [part]}
    raw = json.dumps(document).encode("ascii")
    status = {"run": RUN, "state": "running", "number": 4, "warnings": ["a"], "phase": "reading", "bytes_done": 7}
    done = {"ok": True, "run": RUN, "status": dict(status, state="done", result={"changed": True}), "changed": True}
    failed = dict(status, state="failed", error={"code": "X000", "message": "m", "hint": "h"})
    fake = FakeLvm(_folder())
    tables = [fake.run([verb, "-o", ",".join(_LVM_FIELDS[verb])])[1].encode() for verb in ("pvs", "vgs", "lvs")]
    mounts = b"22 1 8:1 / /a\\040b rw,relatime shared:1 - ext4 /dev/sda1 rw\n23 1 0:5 /s /mnt ro - btrfs /dev/sdb ro\n"
    files = [mounts, b"Filename Type\n/dev/sda2 partition 1 0 -2\n", b'NAME="x"\nVERSION_ID=1\n', b"MemTotal: 8 kB\n"]
    name = b"\0\0\0\1\0\0\0\1a\0\0\0\5-rw a\0\0\0\x0d\0\0\0\0\0\0\0\7\0\0\x81\xa4\0\0\0\1\0\0\0\2"
    known = b"server ssh-ed25519 " + b"A" * 68 + b"\n|1|c2FsdA==|aGFzaA== ssh-rsa AAAA\n"
    return {
        "bundle_document": [raw],
        "bundle": [_zip({"bundle.json": raw, "parts/" + digest: content, "engine/a.py": b"1"}, zipfile.ZIP_STORED)],
        "unpack": [_zip({"a/b.py": b"x = 1\n" * 50, "c.py": b"1"}, kind) for kind in (0, zipfile.ZIP_DEFLATED)],
        "answer": [json.dumps(one).encode() for one in (done, {"ok": True, "status": failed}, failed["error"])],
        "sealed": [documents.pretty({"secrets": {"password": "p"}, "storage": {"password": "q"}}), b"AAAA" * 11],
        "spool": [_PARTS.join(json.dumps(one).encode() for one in (status, {"boot_id": "b"}, {"nonce": "n"}))],
        "machine": [_PARTS.join([*files, b"model name : cpu\n", b"0" * 32])],
        "lvm": [_PARTS.join(tables)],
        "information": [_PARTS.join([documents.pretty({"a": {"b": [1, 2]}}), documents.pretty({"a": {"b": [1, 3]}})])],
        "pattern": [_PARTS.join([rb"C:\Temp\**\*.t?p", b"a.tmp", b"C:\\", b"/var"]), b"/var/*/x/**"],
        "sftp_packet": [b"\x68" + name, b"\x65\0\0\0\4\0\0\0\7Failure"],
        "host_key": [known, b"SHA256:" + b"a" * 43],
    }


_LVM_FIELDS = {
    "pvs": ("pv_name", "vg_name", "pe_start", "pv_pe_count", "pvseg_start", "pvseg_size", "lv_name"),
    "vgs": ("vg_name", "vg_attr", "vg_extent_size", "vg_free_count"),
    "lvs": (
        *("vg_name", "lv_name", "lv_uuid", "lv_dm_path", "lv_size", "lv_device_open", "lv_snapshot_invalid", "origin"),
        *("lv_tags", "lv_attr", "segtype", "seg_start", "seg_size", "stripe_size", "seg_pe_ranges"),
    ),
}


def _zip(files: Dict[str, bytes], kind: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, kind)
    return made.getvalue()
