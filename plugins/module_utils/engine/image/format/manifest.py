# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of an image, ``image.json``: writing it is the commit point.

Readable without the password are sizes, times, disks, key id and sequence number; everything else about the device
is in ``device.json``. The manifest authenticates the index roots and the list of packs by their SHA-256.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from ...errors import ImageDamaged, ImageFormatUnknown, KeyMissing, PasswordMissing
from . import constants as fmt
from . import contents, documents, job_name
from .contents import DiskContents
from .keys import MasterKey
from .pack_names import PackNames

_FORMAT = "plantops.imaging image"
MAX_LISTED_CHANGES = 512  # names of packs, 64 bytes each, in a file that every listing reads
_SNAPSHOTS = frozenset(["vss", "vss-crash", "lvm", "frozen", "stable", "offline", "live"])


class DiskEntry(NamedTuple):
    """A disk of an image, as its manifest tells."""

    name: str  # "disk0", ...
    stable_id: str
    size_bytes: int
    sector_bytes: int
    in_use_bytes: int
    index_sha256: str
    index_bytes: int
    contents: DiskContents = DiskContents()

    def as_dict(self) -> Dict[str, Any]:
        """The entry as the manifest has it."""
        fields = self._asdict()
        fields.pop("contents")
        return dict(fields, **self.contents.as_dict())


class PackChanges(NamedTuple):
    """How the packs that an image needs differ from those of the earlier image ``since``; names in order."""

    since: str
    added: List[str]
    dropped: List[str]


class Manifest(NamedTuple):
    """A parsed manifest. ``authentic`` only after :func:`authenticate`."""

    image: str
    device: str
    sequence: int
    created: str
    snapshot: str
    key_id: str  # "" for an unencrypted image
    slots: List[str]
    disks: List[DiskEntry]
    files: Dict[str, str]  # name in the image's directory -> SHA-256
    pack_count: int
    pack_bytes: int
    packs_sha256: str
    seconds: int
    warnings_count: int
    changes: Optional[PackChanges] = None
    job: str = job_name.DEFAULT

    @property
    def in_use_bytes(self) -> int:
        return sum(disk.in_use_bytes for disk in self.disks)

    @property
    def size_bytes(self) -> int:
        return sum(disk.size_bytes for disk in self.disks)


def packs_digest(names: Iterable[str]) -> str:
    """SHA-256 over the sorted names of the packs, one a line."""
    if isinstance(names, PackNames):  # in order already, and too many for one string
        digest = hashlib.sha256()
        for name in names:
            digest.update(b"%s\n" % name.encode("ascii"))
        return digest.hexdigest()
    return hashlib.sha256("".join(name + "\n" for name in sorted(names)).encode("ascii")).hexdigest()


def encode(manifest: Manifest, key: Optional[MasterKey]) -> bytes:
    document: Dict[str, Any] = {
        "format": _FORMAT,
        "version": fmt.FORMAT_VERSION,
        "image": manifest.image,
        "device": manifest.device,
        "sequence": manifest.sequence,
        "created": manifest.created,
        "snapshot": manifest.snapshot,
        "key_id": manifest.key_id,
        "slots": sorted(manifest.slots),
        "disks": [disk.as_dict() for disk in manifest.disks],
        "files": manifest.files,
        "packs": {"count": manifest.pack_count, "bytes": manifest.pack_bytes, "sha256": manifest.packs_sha256},
        "seconds": manifest.seconds,
        "warnings_count": manifest.warnings_count,
        "size_bytes": manifest.size_bytes,
        "in_use_bytes": manifest.in_use_bytes,
    }
    if manifest.job != job_name.DEFAULT:
        document["job"] = manifest.job
    if manifest.changes is not None:
        document["packs"]["changes"] = manifest.changes._asdict()
    document["authentication"] = _mac(document, key)
    return documents.pretty(document)


def decode(data: bytes, image: str) -> Manifest:
    """Parse the manifest of the directory ``image``; checks the plain checksum of an unencrypted image, not the MAC.

    :raises ImageDamaged: when it is not a manifest of this directory, or contradicts itself.
    :raises ImageFormatUnknown: when a newer version wrote it.
    """
    try:
        if len(data) > fmt.MAX_MANIFEST_BYTES:
            raise ValueError("it is larger than the limit of a manifest")
        document = documents.parse(data, fmt.MAX_MANIFEST_VALUES)
        if document.get("format") != _FORMAT:
            raise ValueError("it is not a manifest")
        if document.get("version") not in fmt.READABLE_VERSIONS:
            raise ImageFormatUnknown(path="%s/%s" % (image, fmt.MANIFEST_NAME), version=document.get("version"))
        manifest = _parse(document)
        if manifest.image != image:
            raise ValueError("it belongs to the image %s" % manifest.image)
        sums = (document.get("size_bytes"), document.get("in_use_bytes"))
        if sums != (manifest.size_bytes, manifest.in_use_bytes):
            raise ValueError("its totals are wrong")
        if not manifest.key_id and document.get("authentication") != _mac(_body(document), None):
            raise ValueError("its checksum is wrong")
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ImageDamaged(image=image, reason="its manifest image.json is not valid: %s" % error) from None
    return manifest


def authenticate(data: bytes, manifest: Manifest, key: Optional[MasterKey]) -> None:
    """Prove that ``manifest`` is what ``data`` says, and that a holder of the key made it.

    :raises PasswordMissing, KeyMissing: when the image needs a key, or another one.
    :raises ImageDamaged: when it was changed, its key id alone included.
    """
    # The bytes may have been fetched a second time: a storage must not get one parsed and another one proved.
    if decode(data, manifest.image) != manifest:
        raise ImageDamaged(image=manifest.image, reason="its manifest image.json changed while it was read")
    if not manifest.key_id:
        return
    if key is None:
        raise PasswordMissing(device=manifest.device)
    if key.key_id != manifest.key_id:
        check_key_id(data, manifest, key)
        raise KeyMissing(device=manifest.device, key_id=manifest.key_id[:16])
    if not _has_mac(documents.parse(data), key):
        raise ImageDamaged(image=manifest.image, reason="its manifest image.json is not authentic")


def check_key_id(data: bytes, manifest: Manifest, key: MasterKey) -> None:
    """Tell an image of another key from an image of ``key`` whose key id was damaged: only a holder of the key makes
    its authentication.

    :raises ImageDamaged: for the latter.
    """
    if manifest.key_id != key.key_id and _has_mac(dict(documents.parse(data), key_id=key.key_id), key):
        raise ImageDamaged(image=manifest.image, reason="the key id in its manifest image.json was changed")


def _has_mac(document: Dict[str, Any], key: MasterKey) -> bool:
    expected = str(document.get("authentication")).encode("utf-8", "surrogatepass")
    return hmac.compare_digest(expected, _mac(_body(document), key).encode("ascii"))


def _body(document: Dict[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in document.items() if name != "authentication"}


def _mac(document: Dict[str, Any], key: Optional[MasterKey]) -> str:
    data = documents.canonical(document)
    if key is None:
        return hashlib.sha256(data).hexdigest()
    return hmac.new(key.manifest_key, data, hashlib.sha256).hexdigest()


def _parse(document: Dict[str, Any]) -> Manifest:
    packs = document["packs"]
    disks = document["disks"]
    if not isinstance(disks, list) or not 0 < len(disks) <= fmt.MAX_DISKS:
        raise ValueError("it lists no disks, or too many")
    files = document["files"]
    if set(files) != {fmt.DEVICE_INFORMATION_NAME, fmt.LOG_NAME}:
        raise ValueError("it lists files that are not part of an image")
    slots = document["slots"]
    if not isinstance(slots, list) or len(slots) > fmt.MAX_KEY_SLOTS:
        raise ValueError("it has too many key slots")
    if any(not slot.endswith(".json") for slot in slots):
        raise ValueError("a key slot has an impossible name")
    key_id = documents.text(document, "key_id", 64)
    if key_id:
        documents.digest(document, "key_id")
    snapshot = documents.text(document, "snapshot", 16)
    if snapshot not in _SNAPSHOTS:
        raise ValueError("its kind of snapshot is unknown")
    return Manifest(
        image=documents.text(document, "image", 32),
        device=documents.text(document, "device"),
        sequence=documents.number(document, "sequence", fmt.MAX_SEQUENCE),
        created=documents.text(document, "created", 40),
        snapshot=snapshot,
        key_id=key_id,
        slots=[documents.digest({"slot": slot[:-5]}, "slot") + ".json" for slot in slots],
        disks=[_parse_disk(disk, number) for number, disk in enumerate(disks)],
        files={name: documents.digest(files, name) for name in files},
        pack_count=documents.number(packs, "count"),
        pack_bytes=documents.number(packs, "bytes"),
        packs_sha256=documents.digest(packs, "sha256"),
        seconds=documents.number(document, "seconds"),
        warnings_count=documents.number(document, "warnings_count"),
        changes=_parse_changes(packs["changes"]) if "changes" in packs else None,
        job=_parse_job(document["job"]) if "job" in document else job_name.DEFAULT,
    )


def _parse_job(job: Any) -> str:
    reason = "a name is text" if not isinstance(job, str) else job_name.why_invalid(job)
    if reason:
        raise ValueError("its job has an impossible name: %s" % reason)
    return str(job)


def _parse_changes(changes: Dict[str, Any]) -> PackChanges:
    added, dropped = changes["added"], changes["dropped"]
    if not isinstance(added, list) or not isinstance(dropped, list) or len(added) + len(dropped) > MAX_LISTED_CHANGES:
        raise ValueError("it lists too many changed packs")
    names = [[documents.digest({"pack": name}, "pack") for name in listed] for listed in (added, dropped)]
    return PackChanges(documents.text(changes, "since", 32), *names)


def _parse_disk(disk: Dict[str, Any], number: int) -> DiskEntry:
    if disk.get("name") != "disk%d" % number:
        raise ValueError("its disks are out of order")
    return DiskEntry(
        name=disk["name"],
        stable_id=documents.text(disk, "stable_id"),
        size_bytes=documents.number(disk, "size_bytes", fmt.MAX_DISK_BYTES),
        sector_bytes=documents.number(disk, "sector_bytes", 4096),
        in_use_bytes=documents.number(disk, "in_use_bytes"),
        index_sha256=documents.digest(disk, "index_sha256"),
        index_bytes=documents.number(disk, "index_bytes", fmt.MAX_SEALED_PLAIN_BYTES),
        contents=contents.parse(disk),
    )
