# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Constants of the image format, version 1: sizes, magics, bounds. ``docs/image-format.md`` explains each."""

from __future__ import annotations

FORMAT_VERSION = 1
READABLE_VERSIONS = frozenset([1])

CHUNK_BYTES = 64 * 1024
SEGMENT_CHUNKS = 4096
SEGMENT_BYTES = CHUNK_BYTES * SEGMENT_CHUNKS  # 256 MiB of disk

ID_BYTES = 32
HOLE_ID = b"\x00" * ID_BYTES  # not in use: a restore need not write it
ZERO_ID = b"\xff" * ID_BYTES  # in use and all zero: nothing is stored

KIND_CHUNK = 1
KIND_SEGMENT = 2
KIND_FILE = 3

CODEC_RAW = 0
CODEC_ZSTD = 1

TAG_BYTES = 16
SALT_BYTES = 32
KEY_BYTES = 32

PACK_MAGIC = b"PLANTOPS-PACK\x00\x00\x01"
PACK_END_MAGIC = b"PLANTOPS-PACKEND"
SEALED_MAGIC = b"PLANTOPS-FILE\x00\x00\x01"
SEGMENT_MAGIC = b"PLOPSEG\x01"
ROOT_MAGIC = b"PLOPROOT"

# Upper bounds on reading: all bytes from a storage are hostile.
MAX_PACK_BYTES = 1 << 30
MAX_PACK_BLOBS = 1 << 20
MAX_UNPROVED_BLOBS = 1 << 18  # of a pack from an unknown writer: more than the engine puts into one
MAX_BLOB_PLAIN_BYTES = 8 << 20
MAX_BLOB_STORED_BYTES = MAX_BLOB_PLAIN_BYTES + TAG_BYTES  # raw where it does not compress
MAX_SEALED_PLAIN_BYTES = 128 << 20  # a root of MAX_DISK_BYTES with MAX_PACKS
MAX_CLEAR_ROOT_BYTES = 48 << 20  # of an unencrypted image, which any writer may have made
MAX_DOCUMENT_BYTES = 32 << 20
MAX_JSON_BYTES = 8 << 20
MAX_MANIFEST_BYTES = 1 << 20
MAX_JSON_VALUES = 1 << 18  # of one document
MAX_MANIFEST_VALUES = 1 << 14
MAX_RECORD_BYTES = 64 << 10
MAX_RECORD_VALUES = 1 << 10
MAX_RECORDS = 256  # of one image that are read
MAX_RECORDS_LISTED = 1 << 14  # of one image that are looked for by name, and deleted at a time
MAX_KEY_SLOT_BYTES = 16 << 10
MAX_KEY_SLOTS = 32  # of one image
MAX_SLOTS_READ = 1 << 12  # of one device, false ones included
MAX_IMAGES = 100_000  # directories of images of one device
MAX_PACKS = 1 << 20  # of one image
MAX_SUMS_BYTES = 160 << 20  # that lists them
MAX_DISKS = 256
MAX_DISK_BYTES = 1 << 48
MAX_IN_USE_BYTES = 1 << 45  # half of what MAX_PACKS hold, since packs get holes
MAX_VERSIONS = 1 << 14  # of a device in an archive
MAX_NUMBER = 1 << 60  # any other in a document
MAX_SEQUENCE = 999_999_999_999  # twelve digits, as many as a name in the trash has room for
MAX_SCRYPT_MEMORY_BYTES = 256 << 20

# A pack grows with the disk, so that the list of packs of a very large image stays small.
PACK_TARGETS = ((64 << 30, 8 << 20), (256 << 30, 16 << 20), (1 << 40, 32 << 20), (1 << 62, 64 << 20))

MANIFEST_NAME = "image.json"
SUMS_NAME = "SHA256SUMS"
DEVICE_ID_NAME = "device-id.json"
DEVICE_INFORMATION_NAME = "device.json"
LOG_NAME = "job.log"
RESULT_NAME = "result.json"  # comes after the manifest, which does not name it
README_NAME = "README.txt"  # for a person; no program reads it
RUN_STATUS_NAME = "run.json"  # of a run in progress, in the device's directory; agent/mirror.py writes it
NAMES_NAME = "names.json"  # the names that the directory had before; image/former_names.py
COPIES_NAME = "copies.tar"  # second copies of small files; lists nothing, and nothing lists it
PACKS = "packs"
KEYS = "keys"
ENCRYPTED_NAME = "encrypted"  # found by its name where a listing lags
ENCRYPTED_TEXT = b"The images of this device are encrypted.\n"
RECORDS = "records"
TRASH = "trash"
VERSIONS = "versions"  # of an archive: a directory for each number


def pack_target_bytes(in_use_bytes: int) -> int:
    """Return how large packs shall become for an image of ``in_use_bytes`` bytes."""
    for limit, target in PACK_TARGETS:
        if in_use_bytes <= limit:
            return target
    raise AssertionError("it is larger than any supported disk")


def pack_path(device: str, name: str) -> str:
    return "%s/%s/%s/%s" % (device, PACKS, name[:2], name)


def index_name(disk: int) -> str:
    return "disk%d.index" % disk


def checkpoint_name(disk: int) -> str:
    return "disk%d.checkpoint" % disk
