# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes made by their own tools and filled with files of every kind; what is in them; what their checkers say.

Volumes are plain files. Linux file systems are mounted by the kernel (root), NTFS by ntfs-3g, FAT is filled by mtools.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Dict, Iterator, List, Sequence

MIB = 1 << 20


def run(*command: object, **options: object) -> str:
    """Run a program and return what it printed; fail with its output when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)  # type: ignore[call-overload]
    text: str = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        raise AssertionError("%s failed with %d:\n%s" % (" ".join(words), done.returncode, text[-3000:]))
    return text


def empty(path: Path, size_bytes: int) -> Path:
    """A sparse file of zeros."""
    with open(path, "wb") as file:
        file.truncate(size_bytes)
    return path


def sync(folder: Path) -> None:
    """Write out the file system of ``folder``; ``os.sync`` would wait for what all other tests have written just then."""
    descriptor = os.open(str(folder), os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), "syncfs failed", str(folder))
    finally:
        os.close(descriptor)


def make_tree(folder: Path, *, files: int = 1200, seed: int = 1, links: bool = True) -> Path:
    """Write files of every kind below ``folder``: tiny, large, sparse, hard-linked, with names of every sort."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        sub = folder / ("line %d" % (number % 12))
        sub.mkdir(exist_ok=True)
        size = chance.choice((0, 1, 17, 500, 700, 3000, 4096, 5000, 12_000, 40_000))
        (sub / ("recipe-%04d.txt" % number)).write_bytes((b"%06d;" % number * (size // 7 + 1))[:size])
    odd = folder / "Förderband – Übersicht"  # noqa: RUF001
    odd.mkdir()
    (odd / "日本語のファイル名.dat").write_bytes(chance.randbytes(9999))
    (odd / ("l" * 180 + ".log")).write_bytes(b"long name\n")
    (odd / "with space and (brackets) [1].csv").write_bytes(b"a;b\n" * 3000)
    (folder / "large.bin").write_bytes(chance.randbytes(3 * MIB + 123))
    with open(folder / "sparse.img", "wb") as file:
        file.truncate(4 * MIB)
        file.seek(MIB + 5)
        file.write(b"island" * 100)
    if links:
        os.link(str(folder / "large.bin"), str(odd / "second name of large.bin"))
    return folder


def churn(folder: Path, *, seed: int = 2, fills: bool = False) -> None:
    """Fragment: delete every second of many files, then write files that go into the gaps.

    :param fills: leave no other room than the gaps meanwhile; on volumes of more than a gigabyte there is too much of it.
    """
    chance = random.Random(seed)
    crumbs = folder / "crumbs"
    crumbs.mkdir()
    for number in range(400):
        (crumbs / ("%03d" % number)).write_bytes(chance.randbytes(chance.randrange(1, 24_000)))
    sync(folder)
    if fills and shutil.disk_usage(str(folder)).free < 1 << 30:
        fill(folder / "filler")
    for number in range(0, 400, 2):
        (crumbs / ("%03d" % number)).unlink()
    sync(folder)
    status = os.statvfs(str(folder))
    room = int(status.f_bfree * status.f_frsize * 0.6)  # root may use what is reserved for it
    (folder / "fragmented.bin").write_bytes(chance.randbytes(min(2 * MIB, room)))
    sync(folder)
    with contextlib.suppress(FileNotFoundError):
        (folder / "filler").unlink()
    if fills:
        with open(folder / "islands.bin", "wb") as file:
            for number in range(400):  # hundreds of extents, whatever room there is
                file.seek(number * 16_384)
                file.write(b"island %03d" % number)
    with open(folder / "grown.bin", "ab") as file:
        for number in range(40):
            file.write(chance.randbytes(16_384))
            file.flush()
            os.fsync(file.fileno())
            (crumbs / ("between-%d" % number)).write_bytes(b"x" * 5000)
    for number in range(0, 40, 2):
        (crumbs / ("between-%d" % number)).unlink()


def fill(path: Path) -> None:
    """Write a file until there is no room for a byte more."""
    descriptor = os.open(str(path), os.O_WRONLY | os.O_CREAT, 0o600)
    size = MIB
    try:
        while size >= 512:
            try:
                os.write(descriptor, b"deleted soon" * (size // 12))
                os.fsync(descriptor)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 4
    finally:
        os.close(descriptor)


def contents(folder: Path, *, facts: bool = False) -> Dict[str, str]:
    """Return the SHA-256 of every file below ``folder`` by its path; directories and links by what they are.

    :param facts: also what the file system says of it: number, names, mode, owner, times, blocks, extended attributes
        (of NTFS: alternate streams). Blocks tell of sparse and compressed files, numbers of hard links.
    """
    found: Dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.split("/", maxsplit=1)[0] == "lost+found":
            continue
        if path.is_symlink():
            found[name] = "link to " + os.readlink(str(path))
        elif path.is_dir():
            found[name] = "directory"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        if facts:
            found[name] += " " + _facts(path)
    return found


def _facts(path: Path) -> str:
    status = os.lstat(str(path))
    names = ("st_ino", "st_nlink", "st_mode", "st_uid", "st_gid", "st_size", "st_blocks", "st_mtime_ns", "st_ctime_ns")
    said = ["%s=%d" % (name, getattr(status, name)) for name in names]
    for name in sorted(os.listxattr(str(path), follow_symlinks=False)):
        said.append("%s=%r" % (name, os.getxattr(str(path), name, follow_symlinks=False)[:4000]))
    return " ".join(said)


@contextlib.contextmanager
def mounted(
    volume: Path,
    folder: Path,
    kind: str,
    *,
    offset: int = 0,
    size: int = 0,
    read_only: bool = False,
    options: Sequence[str] = (),
) -> Iterator[Path]:
    """Mount a volume (a file, or a part of one) and unmount it at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    flags = ["ro" if read_only else "rw", *options]
    loop = ""
    command = ["losetup", "-f", "--show", "-o", str(offset)] + (["--sizelimit", str(size)] if size else [])
    loop = run(*command, *(["-r"] if read_only else []), volume).strip()
    try:
        if kind == "ntfs":
            run("ntfs-3g", "-o", ",".join([*flags, "streams_interface=xattr"]), loop, folder)
        else:
            run("mount", "-t", kind, "-o", ",".join(flags), loop, folder)
        try:
            yield folder
        finally:
            sync(folder)
            run("umount", folder)
    finally:
        detach(loop)


def detach(loop: str) -> None:
    """Detach a loop device and wait until it is: a process that took over our mounts (a new namespace) may hold it a while.

    Other tests run beside this one and may be given the same device at once: then it has another file behind it.
    """
    backing = Path("/sys/block", Path(loop).name, "loop", "backing_file")
    ours = _file_behind(backing)
    run("losetup", "-d", loop)
    for dummy in range(600):
        if _file_behind(backing) != ours:
            return
        time.sleep(0.05)
    raise AssertionError("%s stays in use: the volume on it is still mounted somewhere" % loop)


def _file_behind(backing: Path) -> str:
    """Return the file that a loop device stands on; "" for a device that is free."""
    try:
        return backing.read_text(encoding="utf-8").strip()
    except OSError:  # no such file, or no such device while it is detached
        return ""


# -- makers -----------------------------------------------------------------------------------------------------------


def make_ext(volume: Path, work: Path, size_bytes: int, *options: str, files: int = 1200) -> Path:
    """An ext2, ext3 or ext4 volume, filled and churned."""
    run("mke2fs", "-q", "-F", *options, empty(volume, size_bytes))
    with mounted(volume, work / "mnt", "ext4") as folder:
        make_tree(folder, files=files)
        os.symlink("large.bin", str(folder / "a link"))
        churn(folder, fills=True)
    return volume


def make_ntfs(volume: Path, work: Path, size_bytes: int, *options: str, files: int = 1200) -> Path:
    """An NTFS volume, filled and churned, with compressed files and alternate streams."""
    run("mkntfs", "-F", "-Q", "-q", "-L", "data", *options, empty(volume, size_bytes))
    with mounted(volume, work / "mnt", "ntfs", options=["compression"]) as folder:
        make_tree(folder, files=files)
        packed = folder / "compressed"
        packed.mkdir()
        with contextlib.suppress(OSError):  # clusters above 4 KiB can't hold compressed files
            os.setxattr(str(packed), "system.ntfs_attrib_be", (0x810).to_bytes(4, "big"))
        for number in range(20):
            (packed / ("log-%d.txt" % number)).write_bytes(b"the same line again and again\n" * 3000)
        os.setxattr(str(folder / "large.bin"), "user.stream", b"an alternate stream " * 400)
        churn(folder, fills=True)
    return volume


def make_fat(volume: Path, work: Path, size_bytes: int, *options: str, files: int = 400) -> Path:
    """A FAT volume, filled by mtools; every third file of a folder is deleted again, and a large one put into the gaps."""
    run("mkfs.fat", *options, empty(volume, size_bytes))
    tree = make_tree(work / "tree", files=files, links=False)
    (tree / "sparse.img").unlink()
    if size_bytes < 16 * MIB:
        (tree / "large.bin").unlink()
    run("mcopy", "-i", volume, "-s", *sorted(tree.iterdir()), "::/")
    for path in sorted((tree / "line 3").iterdir())[::3]:
        run("mdel", "-i", volume, "::/line 3/%s" % path.name)
    shutil.rmtree(tree)
    _forget_last_cluster(volume)
    scattered = work / "fragmented.bin"
    scattered.write_bytes(random.Random(4).randbytes(min(size_bytes // 40, 400_000)))
    run("mcopy", "-i", volume, scattered, "::/")
    scattered.unlink()
    return volume


def _forget_last_cluster(volume: Path) -> None:
    """Let mtools look for free clusters from the first one on, where the gaps are: the hint in FAT32's second sector goes."""
    with open(volume, "r+b") as file:
        boot = file.read(512)
        if boot[82:87] == b"FAT32":
            file.seek(int.from_bytes(boot[48:50], "little") * int.from_bytes(boot[11:13], "little") + 492)
            file.write((2).to_bytes(4, "little"))


def fat_contents(volume: Path, work: Path) -> Dict[str, str]:
    """What is in a FAT volume, read by mtools."""
    folder = work / ("read-%s" % volume.name)
    folder.mkdir()
    run("mcopy", "-i", volume, "-s", "-n", "::/", folder)
    found = contents(folder)
    shutil.rmtree(folder)
    return found


def check_volume(kind: str, volume: Path) -> None:
    """Run the file system's own checker, changing nothing."""
    commands: Dict[str, List[str]] = {
        "ext": ["e2fsck", "-f", "-n"],
        "fat": ["fsck.fat", "-n"],
        "ntfs": ["ntfsfix", "-n"],
        "xfs": ["xfs_repair", "-n", "-f"],
    }
    run(*commands[kind], volume)
