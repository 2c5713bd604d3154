# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs in the race, each as commands of its own: first image, second image, restore."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from measure import ROOT, compile_engine, engine, shell

PASSWORD = "benchmark"
_SEAL = "openssl enc -e -aes-256-ctr -pbkdf2 -pass env:BENCH_PASSWORD"
_OPEN = "openssl enc -d -aes-256-ctr -pbkdf2 -pass env:BENCH_PASSWORD"
_CLONE = {
    "ntfs": ("ntfsclone -q -f --save-image -o - {volume}", "ntfsclone -q --restore-image --overwrite {target} -"),
    "ext4": (
        "partclone.ext4 -q -c -s {volume} -o - -L /dev/null",
        "partclone.ext4 -q -r -s - -O {target} -L /dev/null -C",
    ),
}
_PARTCLONE = (
    "partclone.ntfs -q -c -s {volume} -o - -L /dev/null",
    "partclone.ntfs -q -r -s - -O {target} -L /dev/null -C",
)
Work = Callable[[], Any]


class Racer(ABC):
    """One program. ``folder`` is its storage; ``image`` is called once for every image of the volume."""

    encrypts = True

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.images = 0

    def prepare(self) -> None:
        """What a user does once, not measured."""
        self.folder.mkdir(parents=True)

    @abstractmethod
    def image(self, volume: Path) -> Work:
        """Make an image of the volume."""

    @abstractmethod
    def restore(self, target: Path) -> Work:
        """Restore the newest image into an empty file."""


class Pipe(Racer):
    """A cloning tool, zstd and, where it encrypts, openssl: every image is a whole file."""

    def __init__(self, name: str, folder: Path, clone: str, restore: str, encrypts: bool) -> None:
        super().__init__(name, folder)
        self._clone, self._restore, self.encrypts = clone, restore, encrypts

    def image(self, volume: Path) -> Work:
        self.images += 1
        seal = " | " + _SEAL if self.encrypts else ""
        command = self._clone.format(volume=volume) + " | zstd -q -3 -T2%s > %s/%d" % (seal, self.folder, self.images)
        return shell(command)

    def restore(self, target: Path) -> Work:
        unseal = _OPEN if self.encrypts else "cat"
        stored = "%s/%d" % (self.folder, self.images)
        return shell("%s < %s | zstd -q -d -T2 | %s" % (unseal, stored, self._restore.format(target=target)))


class Borg(Racer):
    """borg reads the volume's file as it is: fixed chunks need its real offsets."""

    def __init__(self, folder: Path, chunk_bytes: int) -> None:
        super().__init__("borg, fixed %d KiB" % (chunk_bytes // 1024), folder)
        self._chunk_bytes = chunk_bytes

    def _borg(self, rest: str) -> str:
        return "BORG_BASE_DIR=%s/base BORG_PASSPHRASE=$BENCH_PASSWORD borg %s" % (self.folder, rest)

    def prepare(self) -> None:
        super().prepare()
        shell(self._borg("init -e repokey %s/repo" % self.folder))()

    def image(self, volume: Path) -> Work:
        self.images += 1
        options = "--files-cache disabled --chunker-params fixed,%d -C zstd,3" % self._chunk_bytes
        return shell(self._borg("create %s %s/repo::%d %s" % (options, self.folder, self.images, volume)))

    def restore(self, target: Path) -> Work:
        inner = self._borg("extract --sparse %s/repo::%d" % (self.folder, self.images))
        return shell('mkdir -p %s.d && cd %s.d && %s && mv "$(find . -type f)" %s' % (target, target, inner, target))


class Restic(Racer):
    """restic reads the clone's stream, which leaves out what is not in use: from the volume's file it would read all."""

    def __init__(self, folder: Path, clone: str, restore: str) -> None:
        super().__init__("restic --stdin", folder)
        self._clone, self._restore = clone, restore

    def _restic(self, rest: str) -> str:
        return "RESTIC_PASSWORD=$BENCH_PASSWORD restic -q --cache-dir %s/cache -r %s/repo %s" % (
            self.folder,
            self.folder,
            rest,
        )

    def prepare(self) -> None:
        super().prepare()
        shell(self._restic("init"))()

    def image(self, volume: Path) -> Work:
        self.images += 1
        return shell(self._clone.format(volume=volume) + " | " + self._restic("backup --stdin --stdin-filename image"))

    def restore(self, target: Path) -> Work:
        return shell(self._restic("dump latest image") + " | " + self._restore.format(target=target))


class Ours(Racer):
    """The engine's command line, as a playbook starts it, without a limit on reading."""

    def __init__(self, folder: Path, checkout: Path = ROOT, **more: Any) -> None:
        where = "" if checkout == ROOT else " in %s" % checkout.name
        super().__init__("plantops.imaging%s%s" % (where, "".join(", %s %s" % item for item in more.items())), folder)
        self._checkout = checkout
        self._more = {key.replace(" ", "_"): value for key, value in more.items()}
        self._volume = Path()

    def prepare(self) -> None:
        super().prepare()
        compile_engine(self._checkout)

    def _job(self, verb: str) -> Dict[str, Any]:
        secrets = {"password": PASSWORD}
        return {"verb": verb, "device": "bench", "storage": {"url": str(self.folder)}, "secrets": secrets}

    def image(self, volume: Path) -> Work:
        job = dict(self._job("image"), drives=[str(volume)], limit_read_rate=0, **self._more)
        return engine(job, checkout=self._checkout)

    def restore(self, target: Path) -> Work:
        """Not read back, as no peer does; a checkout of a time before that does not know the setting."""
        job = dict(self._job("restore"), map={"disk0": str(target)})
        return engine(dict(job, read_back=False) if self._checkout == ROOT else job, checkout=self._checkout)


def racers(folder: Path, file_system: str, against: Optional[Path] = None) -> List[Racer]:
    """All of them, each with a storage below ``folder``; with ``against`` only the engine here and the one of that checkout."""
    os.environ["BENCH_PASSWORD"] = PASSWORD
    if against is not None:
        return [Ours(folder / "against", against.resolve()), Ours(folder / "ours")]
    clone, restore = _CLONE[file_system]
    tool = clone.split()[0]
    found: List[Racer] = [
        Pipe("%s, zstd" % tool, folder / "clear", clone, restore, False),
        Pipe("%s, zstd, openssl" % tool, folder / "sealed", clone, restore, True),
    ]
    if file_system == "ntfs":
        found.append(Pipe("partclone.ntfs, zstd, openssl", folder / "partclone", *_PARTCLONE, True))
    found += [Borg(folder / "borg64", 64 << 10), Borg(folder / "borg1024", 1 << 20)]
    found += [Restic(folder / "restic", clone, restore), Ours(folder / "ours")]
    found += [Ours(folder / ("level%d" % level), **{"compression level": level}) for level in (3,)]
    return found
