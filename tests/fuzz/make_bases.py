# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the volumes and documents that fuzzing starts from. Run by hand when a kind of volume is added.

An input of the corpus names lines of its base: keep the bases that are there, or what was found there is lost.

Volumes go to ``bases/`` (zstd, small), seeds to ``corpus/<target>/``.
"""

from __future__ import annotations

import random
import struct
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent.parent / "plugins" / "module_utils"), str(HERE.parent)]

from engine._libraries import zstandard  # noqa: E402
from engine.image.format import constants as fmt  # noqa: E402
from engine.image.format import documents, manifest, packs, sums  # noqa: E402
from engine.image.format.index import PackNeed, Place, Root, Segment, SegmentReference  # noqa: E402
from engine.image.format.seal import Compressor, Identifier  # noqa: E402
from engine.image.format.sealed_files import HEAD_BYTES, seal_file  # noqa: E402
from fuzz.agent_targets import seeds  # noqa: E402
from fuzz.targets import DEVICE, IMAGE, KEY  # noqa: E402
from support.exfat_volumes import mounted as mounted_exfat  # noqa: E402
from support.filled import empty, run  # noqa: E402
from support.xfs_volumes import make_from_tree  # noqa: E402

MIB = 1 << 20


def _save(name: str, path: Path) -> None:
    content = path.read_bytes()
    table = content.find(struct.pack("<97H", *range(97)))
    if name.startswith("ntfs") and table >= 0:  # $UpCase, which nobody parses, would draw most of the patches
        content = content[:table] + bytes(128 << 10) + content[table + (128 << 10) :]
    data = zstandard().ZstdCompressor(level=19).compress(content)
    (HERE / "bases" / (name + ".zst")).write_bytes(data)


def _seed(target: str, name: str, data: bytes) -> None:
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def _tree(folder: Path, *, links: bool = True) -> Path:
    for name in ("a", "a/b", "many"):
        (folder / name).mkdir(parents=True)
    for number in range(60):
        (folder / "many" / ("a file with a long name %d.txt" % number)).write_bytes(b"")
    for name, size in (("a/b/one", 5000), ("a/two", 40000), ("pagefile.sys", 20000), ("tiny", 30)):
        (folder / name).write_bytes(b"x" * size)
    if links:
        (folder / "link").hardlink_to(folder / "tiny")
    return folder


def ext(work: Path) -> None:
    tree = _tree(work / "tree")
    kinds = {
        "ext2": ["-t", "ext2", "-b", "1024"],
        "ext4": ["-t", "ext4", "-b", "1024", "-g", "1024"],
        "4096": ["-t", "ext4", "-b", "4096"],
        "meta": ["-t", "ext4", "-b", "1024", "-g", "256", "-O", "meta_bg,^resize_inode,64bit"],
        "bigalloc": ["-t", "ext4", "-O", "bigalloc,inline_data", "-C", "8192"],
    }
    for name, options in kinds.items():
        path = empty(work / name, 4 * MIB)
        run("mke2fs", "-q", "-F", "-d", tree, "-E", "lazy_itable_init=0", *options, path)
        _save("ext-" + name, path)


def ntfs(work: Path) -> None:
    for cluster in (512, 4096, 65536):
        path = empty(work / ("ntfs%d" % cluster), 3 * MIB)
        run("mkntfs", "-F", "-q", "-Q", "-c", cluster, "-p", "0", "-H", "0", "-S", "0", path)
        content = empty(work / "content", 30000)
        for name in ["pagefile.sys", "hiberfil.sys"] + ["a file with a long name %d" % n for n in range(20)]:
            run("ntfscp", "-f", path, content, name)
        _save("ntfs-%d" % cluster, path)


def fat(work: Path) -> None:
    tree = _tree(work / "fat tree")
    for bits, options in ((12, ["-s", "4"]), (16, ["-s", "1"]), (32, ["-s", "1"])):
        path = empty(work / ("fat%d" % bits), 4 * MIB)
        run("mkfs.fat", "-F", bits, *options, path)
        if bits != 32:  # mtools refuse a FAT32 volume as small as this
            run("mcopy", "-s", "-i", path, tree / "a", tree / "many", tree / "pagefile.sys", "::/")
        _save("fat-%d" % bits, path)


def xfs(work: Path) -> None:
    """Filled by mkfs.xfs itself: kernels may not mount the old version, whose metadata no checksum guards."""
    kinds = {
        "v4": ["-m", "crc=0", "-b", "size=1024"],
        "v5": ["-m", "crc=1,reflink=1,rmapbt=1", "-b", "size=1024"],
        "4096": ["-b", "size=4096"],
    }
    for name, options in kinds.items():
        tree = work / name
        for number in range(60):
            folder = tree / "line" / ("f%d" % (number % 3))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ("a-recipe-with-a-long-name-%03d.txt" % number)).write_bytes(b"x" * (number * 90))
        (tree / "pagefile.sys").write_bytes(b"x" * 20000)
        volume = work / ("volume-" + name)
        make_from_tree(volume, tree, work / ("prototype-" + name), 32 * MIB, "-d", "agcount=2", *options)
        _save("xfs-" + name, volume)


def others(work: Path) -> None:
    swap = empty(work / "swap", MIB)
    run("mkswap", swap)
    _save("swap-4096", swap)
    bare = empty(work / "bare", 4 * MIB)
    run("mkfs.exfat", bare)
    _save("exfat-4096", bare)
    exfat = empty(work / "exfat", 4 * MIB)
    run("mkfs.exfat", "-c", "4K", exfat)
    with mounted_exfat(exfat, work / "mnt") as folder:
        _tree(folder / "tree", links=False)
        for name in ("pagefile.sys", "many.bin"):
            (folder / name).write_bytes(b"x" * 30000)
    _save("exfat-files", exfat)


def disks(work: Path) -> None:
    scripts = {
        "mbr-plain": "label: dos\n2048,1000,83,*\n4096,1000,7\n",
        "mbr-logical": "label: dos\n2048,500,83\n2600,5000,5\n2700,500,83\n3300,500,82\n",
    }
    for name, script in scripts.items():
        path = empty(work / name, 4 * MIB)
        run("sfdisk", "-q", path, input=script.encode())
        _save(name, path)
    for name, more in (("plain", []), ("hybrid", ["-h", "1"])):
        path = empty(work / name, 4 * MIB)
        run("sgdisk", "-a", "1", "-n", "1:64:1000", "-n", "2:2048:4000", *more, path)
        _save("gpt-" + name, path)


def images() -> None:
    compressor = Compressor(3)
    for name, key in (("clear", None), ("sealed", KEY)):
        builder, identifier = packs.PackBuilder(key), Identifier(key)
        for data in (bytes(range(256)), b"text " * 500):
            codec, packed = compressor.compress(data)
            builder.add(fmt.KIND_CHUNK, identifier.chunk(data), len(data), codec, packed)
        _seed("pack", name, b"".join(builder.finish().parts))
    _seed("seal", "zstd", b"\1\1" + (2500).to_bytes(4, "little") + b"\0\0" + compressor.compress(b"text " * 500)[1])
    for name, key in (("clear", None), ("sealed", KEY)):
        content = seal_file(key, IMAGE, fmt.LOG_NAME, b"Left out by **/*.tmp: 3 files, 4096 bytes.\n" * 20)
        _seed("sealed_file", name, content)
        _seed("sealed_file", name + "-without-sum", content[:HEAD_BYTES] + content[HEAD_BYTES + 32 :])
    segment = Segment(20)
    place = Place("ab" * 32, 48, 1000, fmt.CODEC_ZSTD)
    for number in range(10):
        segment.set_ids(number, bytes([number + 1]) * 32)
        segment.set_place(number, place)
    _seed("segment", "small", segment.encode())
    root = Root(fmt.SEGMENT_BYTES * 3, 512)
    root.packs["ab" * 32] = PackNeed(100000, 2000)
    root.segments = [SegmentReference(b"\7" * 32, place, 4000), SegmentReference(fmt.HOLE_ID, None, 0)] * 2
    root.segments.pop()
    _seed("root", "small", root.encode())


def small_documents() -> None:
    disk = manifest.DiskEntry("disk0", "serial:1", 1 << 30, 512, 1 << 20, "ab" * 32, 1000)
    for name, key in (("clear", None), ("sealed", KEY)):
        slots = ["cd" * 32 + ".json"] if key else []
        one = manifest.Manifest(
            *(IMAGE, DEVICE, 3, "2026-11-24T05:30:00Z", "offline", key.key_id if key else "", slots, [disk]),
            *(
                {fmt.DEVICE_INFORMATION_NAME: "ab" * 32, fmt.LOG_NAME: "ef" * 32},
                1,
                1000,
                manifest.packs_digest(["ab" * 32]),
                5,
                0,
            ),
        )
        _seed("manifest", name, manifest.encode(one, key))
    _seed("slot", "small", KEY.new_slot("secret", n=16)[1])
    _seed("sums", "small", sums.encode({"image.json": "ab" * 32, "keys/%s.json" % ("cd" * 32): "ef" * 32}, ["ab" * 32]))
    _seed("document", "small", documents.pretty({"a": [1, {"b": "text"}], "c": None}))
    _seed("record", "small", documents.pretty({"kind": "pinned", "image": IMAGE}))
    identity = {"smbios_uuid": "1-2", "machine_id": "3"}
    _seed("device_id", "small", documents.pretty(dict(identity, format="plantops.imaging device", device=DEVICE)))
    _seed("lease", "small", documents.pretty({"holder": "ab", "host": "h", "boot": "b", "pid": 1, "process": "2"}))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for make in (ext, ntfs, fat, xfs, others, disks):
            work = Path(folder) / make.__name__
            work.mkdir()
            make(work)
    images()
    small_documents()
    for target, inputs in seeds().items():
        for number, data in enumerate(inputs):
            _seed(target, "seed%d" % number, data)
    for path in (HERE / "bases").glob("*.zst"):
        family = path.name.split("-")[0]
        for number in range(len(list((HERE / "bases").glob(family + "-*.zst")))):
            _seed(family, "base%d" % number, bytes([number, 0]))
            # Some patches to begin with: from two bytes a slow fuzzer takes hours to find out what a patch is.
            for flags in (0, 4):
                chance = random.Random(family + str(number + flags))
                _seed(family, "patches%d-%d" % (number, flags), bytes([number, flags]) + chance.randbytes(119) + b"\0")


if __name__ == "__main__":
    main()
