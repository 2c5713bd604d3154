# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is fuzzed: each target takes bytes, feeds a parser or reader, and lets through only what breaks the rules.

The rules: errors of the catalogue only, extents inside the volume, and (watched by whoever runs a target) bounded time
and memory. A reader that documents ``ValueError`` or ``BlobDamaged`` may raise those.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
from functools import partial
from typing import Callable, Dict, Iterator, List, Optional
from unittest import mock

from engine.device.identity import stored_identity
from engine.disk.exclusions import leave_out
from engine.disk.extents import ExtentSet
from engine.disk.filesystems import exfat, exfat_tree, xfs_btree, xfs_geometry, xfs_tree
from engine.disk.filesystems.contract import FileSystem, VolumeState
from engine.disk.filesystems.registry import PROBES
from engine.disk.layout import read_layout
from engine.disk.patterns import Pattern
from engine.disk.source import BlockSource, MemorySource
from engine.disk.used import plan_disk
from engine.entries import Entry, EntryKind
from engine.errors import EngineError, StorageNotFound
from engine.image import records
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format import documents, manifest, packs, sums
from engine.image.format.index import Place, Root, Segment, SegmentReference
from engine.image.format.keys import MasterKey, parse_slot
from engine.image.format.seal import BlobDamaged, Decompressor, FileCipher
from engine.image.format.sealed_files import HEAD_BYTES, open_file
from engine.image.segments import PackReader
from engine.storage.contract import Storage
from engine.storage.lease import Lease
from fuzz import agent_targets
from fuzz.rules import BrokenRule
from fuzz.volumes import PatchedSource, flags_of, names, patched

Target = Callable[[bytes], None]
IMAGE = "2026-11-24_05-30-00"
DEVICE = "pc"
KEY = MasterKey(bytes(range(32)))
_FAMILIES = ("ntfs", "ext", "fat", "swap", "xfs", "exfat")


class Files(Storage):
    """A storage that can only be read: names and their bytes."""

    description = "memory"

    def __init__(self, files: Dict[str, bytes]) -> None:
        self.files = files

    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        if path not in self.files:
            raise StorageNotFound(path=path, storage=self.description)
        data = self.files[path][offset_bytes:]
        yield data if length_bytes is None else data[:length_bytes]

    def list(self, path: str) -> List[Entry]:
        found = []
        for name, data in self.files.items():
            folder, dummy, last = name.rpartition("/")
            if folder == path:
                found.append(Entry(last, EntryKind.FILE, len(data)))
        return found

    def _refuse(self, *dummy: object, **dummy_more: object) -> None:
        raise BrokenRule("a reader writes to the storage")

    put = stat = rename = delete = make_directory = remove_directory = space = _refuse  # type: ignore[assignment]


Files.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]


def _inside(extents: ExtentSet, source: BlockSource) -> None:
    if extents.end_bytes > source.size_bytes or any(extent.start_bytes < 0 for extent in extents):
        raise BrokenRule("extents lie outside the volume")


# -- disks ------------------------------------------------------------------------------------------------------------


def file_system(family: str, data: bytes) -> None:
    """Every probe of the registry sees every volume, not only the one that it was made for."""
    source = PatchedSource(family, data)
    with _checksums_are_right() if flags_of(data) & 4 else contextlib.nullcontext():
        for probe in PROBES:
            with contextlib.suppress(EngineError):
                found = probe(source)
                if found is not None:
                    _read_volume(found, source)


@contextlib.contextmanager
def _checksums_are_right() -> Iterator[None]:
    """An attacker computes checksums; flipped bits of a fuzzer do not, and would test nothing behind them."""
    with contextlib.ExitStack() as stack:
        for module in (xfs_btree, xfs_geometry, xfs_tree):
            stack.enter_context(mock.patch.object(module, "sum_is_right", return_value=True))
        stack.enter_context(mock.patch.object(exfat.Exfat, "_check_boot_region", return_value=None))
        stack.enter_context(mock.patch.object(exfat_tree, "set_is_whole", return_value=True))
        yield


def _read_volume(found: FileSystem, source: BlockSource) -> None:
    """What is asked of a volume; its tree once, which does not depend on how the volume stands."""
    is_understood = False
    for state in VolumeState:
        with contextlib.suppress(EngineError):
            used = found.used(state)
            _inside(used.extents, source)
            if used.trusted and state is not VolumeState.LIVE and not is_understood:
                is_understood = True
                _read_tree(found, used.extents, source)


def _read_tree(found: FileSystem, used: ExtentSet, source: BlockSource) -> None:
    tree = found.tree()
    if tree is None:
        return
    pattern = Pattern.parse("/**").below((), tree.case_sensitive)
    outcome = leave_out(used, tree, [pattern])
    _inside(tree.protected(), source)
    if outcome.kept.difference(used):
        raise BrokenRule("more is kept than was in use")


def disk(family: str, data: bytes) -> None:
    """A whole disk, as plain file of 512 and of 4096-byte sectors: layout, then the plan of all volumes."""
    content, flags = patched(family, data)
    source = MemorySource(content, 4096 if flags & 2 else 512)
    layout = read_layout(source)
    _inside(layout.structures, source)
    for partition in layout.partitions:
        if partition.start_bytes < 0 or partition.start_bytes + partition.length_bytes > source.size_bytes:
            raise BrokenRule("a partition lies outside the disk")
    with contextlib.suppress(EngineError):
        plan = plan_disk(source, layout, lambda partition: VolumeState.OFFLINE)
        _inside(plan.used, source)


# -- images -----------------------------------------------------------------------------------------------------------


def pack(data: bytes) -> None:
    """As it is, and with a table and digest that fit."""
    _pack(data)
    if len(data) > packs.HEADER_BYTES + 64:
        offset, count = struct.unpack_from(">QI", data, len(data) - 60)
        count = (len(data) - 60 - min(offset, len(data) - 60)) // packs.ENTRY_BYTES
        start = len(data) - 60 - count * packs.ENTRY_BYTES
        table = data[start : len(data) - 60]
        trailer = struct.pack(">QI32s16s", start, count, hashlib.sha256(table).digest(), fmt.PACK_END_MAGIC)
        _pack(data[:start] + table + trailer)


def _pack(data: bytes) -> None:
    name = hashlib.sha256(data).hexdigest()
    path = fmt.pack_path(DEVICE, name)
    storage = Files({path: data})
    with contextlib.suppress(EngineError):
        packs.read_salt(data[: packs.HEADER_BYTES], name)
    with contextlib.suppress(EngineError):
        for entry in packs.read_table(storage, path, len(data))[:64]:
            place = Place(name, entry.offset, entry.stored_bytes, entry.codec)
            for key in (None, KEY):
                reader = PackReader(storage, DEVICE, key)
                with contextlib.suppress(EngineError):
                    sealed = reader.fetch(name, entry.offset, entry.stored_bytes, IMAGE)
                    reader.open(place, entry.kind, entry.blob_id, entry.plain_bytes, sealed, IMAGE)


def seal(data: bytes) -> None:
    head = data[:8].ljust(8, b"\0")
    codec, dummy_kind, plain_bytes = struct.unpack_from("<BBI", head)
    with contextlib.suppress(BlobDamaged):
        Decompressor().decompress(codec % 3, data[8:], plain_bytes % (fmt.MAX_BLOB_PLAIN_BYTES + 1))
    with contextlib.suppress(BlobDamaged):
        FileCipher(KEY, bytes(32)).open(0, fmt.KIND_CHUNK, codec, bytes(32), plain_bytes, data[8:])


def segment(data: bytes) -> None:
    with contextlib.suppress(EngineError):
        for dummy_position, dummy_id, place in Segment.decode(data, IMAGE).stored():
            _plausible(place)


def root(data: bytes) -> None:
    for is_partial in (False, True):
        with contextlib.suppress(EngineError):
            decoded = Root.decode(data, IMAGE, partial=is_partial)
            for reference in decoded.segments:
                if reference.place is not None:
                    _plausible(reference.place)
            _load(decoded.segments[:4])


def _load(references: List[SegmentReference]) -> None:
    reader = PackReader(Files({}), DEVICE, None)
    for reference in references:
        with contextlib.suppress(EngineError):
            reader.segment(reference, 1, IMAGE)


def _plausible(place: Place) -> None:
    if place.stored_bytes > fmt.MAX_BLOB_PLAIN_BYTES + fmt.TAG_BYTES:
        raise BrokenRule("a blob may ask for %d bytes of memory" % place.stored_bytes)


def image_manifest(data: bytes) -> None:
    """As it is, and with the checksum of an image in clear that fits."""
    _manifest(data)
    with contextlib.suppress(ValueError, RecursionError, TypeError):
        document = json.loads(data)
        body = (
            {name: value for name, value in document.items() if name != "authentication"}
            if isinstance(document, dict)
            else {}
        )
        body["authentication"] = hashlib.sha256(documents.canonical(body)).hexdigest()
        _manifest(documents.pretty(body))


def _manifest(data: bytes) -> None:
    with contextlib.suppress(EngineError):
        decoded = manifest.decode(data, IMAGE)
        for key in (None, KEY):
            with contextlib.suppress(EngineError):
                manifest.authenticate(data, decoded, key)


def slot(data: bytes) -> None:
    with contextlib.suppress(EngineError):
        parse_slot(hashlib.sha256(data).hexdigest() + ".json", data).open("secret")


def sealed_file(data: bytes) -> None:
    """As it is; and, of an image in clear, with a checksum that fits."""
    checked = data[:HEAD_BYTES] + hashlib.sha256(data[HEAD_BYTES:]).digest() + data[HEAD_BYTES:]
    for content in (data, checked):
        for key in (None, KEY):
            with contextlib.suppress(EngineError):
                open_file(key, IMAGE, fmt.LOG_NAME, content)


def sha256sums(data: bytes) -> None:
    with contextlib.suppress(EngineError):
        sums.decode(data, IMAGE)


def document(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        documents.canonical(documents.parse(data))


def record(data: bytes) -> None:
    name = "pinned-%s.json" % hashlib.sha256(data).hexdigest()
    directory = DeviceDirectory(Files({"%s/%s/%s/%s" % (DEVICE, fmt.RECORDS, IMAGE, name): data}), DEVICE)
    with contextlib.suppress(EngineError):
        records.read(directory, IMAGE, KEY)
        records.has_authentic_pin(directory, IMAGE, KEY)
        records.kept(directory, IMAGE)


def device_id(data: bytes) -> None:
    with contextlib.suppress(EngineError):
        stored_identity(Files({"%s/%s" % (DEVICE, fmt.DEVICE_ID_NAME): data}), DEVICE)


def lease(data: bytes) -> None:
    held = Lease(Files({"%s/lease.json" % DEVICE: data}), DEVICE, clock=lambda: 0.0)
    held._is_dead(data[:4096])
    with contextlib.suppress(EngineError):
        held.check()


TARGETS: Dict[str, Target] = {
    **{family: partial(file_system, family) for family in _FAMILIES if names(family)},
    "mbr": partial(disk, "mbr"),
    "gpt": partial(disk, "gpt"),
    "pack": pack,
    "seal": seal,
    "segment": segment,
    "root": root,
    "manifest": image_manifest,
    "slot": slot,
    "sealed_file": sealed_file,
    "sums": sha256sums,
    "document": document,
    "record": record,
    "device_id": device_id,
    "lease": lease,
    **agent_targets.TARGETS,
}
