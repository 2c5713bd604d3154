# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine next to ntfsclone | zstd, with and without openssl: one NTFS volume, interleaved, the median of some rounds."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Dict, List

from measure import MIB, Measured, engine, measured, shell, table, tree_bytes

PASSWORD = "benchmark"
KDF = "openssl enc %s -aes-256-ctr -pbkdf2 -pass env:BENCH_PASSWORD"


def fill(volume: Path, mount: Path, wanted_bytes: int) -> None:
    """An NTFS volume of twice ``wanted_bytes`` with copies of this system's files."""
    with open(volume, "wb") as file:
        file.truncate(2 * wanted_bytes)
    subprocess.run(["mkntfs", "-F", "-Q", "-q", str(volume)], check=True)
    mount.mkdir(exist_ok=True)
    subprocess.run(["ntfs-3g", str(volume), str(mount)], check=True)
    try:
        left = wanted_bytes
        for source in ("/usr", "/opt", "/root/.pyenv"):
            for folder, dummy_folders, names in os.walk(source):
                for name in names:
                    path = Path(folder) / name
                    if left <= 0:
                        return
                    if path.is_symlink() or not path.is_file():
                        continue
                    target = mount / str(path).lstrip("/").replace(":", "_")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, target)
                    left -= path.stat().st_size
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def change(volume: Path, mount: Path, share: float) -> None:
    """Rewrite a share of the bytes of the larger files in place, in scattered pieces of 64 KiB."""
    chance = random.Random(1)
    subprocess.run(["ntfs-3g", str(volume), str(mount)], check=True)
    try:
        for path in sorted(mount.rglob("*")):
            if path.is_symlink() or not path.is_file() or path.stat().st_size < MIB:
                continue
            size = path.stat().st_size
            with open(path, "r+b") as file:
                for dummy in range(max(1, int(size * share / 65536)) if chance.random() < 0.9 else 0):
                    file.seek(chance.randrange(0, size - 65536))
                    file.write(chance.randbytes(65536))
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def job(verb: str, storage: Path, volume: Path, **more: object) -> dict:
    document = {"verb": verb, "device": "bench", "storage": {"url": str(storage)}, "secrets": {"password": PASSWORD}}
    document.update({"drives": [str(volume)], "limit_read_rate": 0} if verb == "image" else {})
    document.update(more)
    return document


def main(folder: Path, gib: float = 4.0, rounds: int = 3) -> str:
    os.environ["BENCH_PASSWORD"] = PASSWORD
    folder.mkdir(parents=True, exist_ok=True)
    volume, changed, mount = folder / "volume", folder / "changed", folder / "mnt"
    fill(volume, mount, int(gib * (1 << 30)))
    shutil.copyfile(volume, changed)
    change(changed, mount, 0.01)
    runs: Dict[str, List[Measured]] = {}
    sizes: Dict[str, float] = {}

    def note(name: str, what: Measured) -> None:
        runs.setdefault(name, []).append(what)
        print(
            "bench: %-40s %6.1f s  cpu %6.1f s  %5.0f MiB" % (name, what.seconds, what.cpu_seconds, what.peak_mib),
            flush=True,
        )

    for dummy in range(rounds):
        storage, out = folder / "storage", folder / "clone"
        for path in (storage, out):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        clone = "ntfsclone -q -f --save-image -o - %s | zstd -q -3 -T2"
        seal = " | " + KDF % "-e"
        restore = "ntfsclone -q --restore-image --overwrite %s -"
        note("ntfsclone, zstd: first image", measured(shell(clone % volume + " > %s/a" % out)))
        note("ntfsclone, zstd, openssl: first image", measured(shell(clone % volume + seal + " > %s/b" % out)))
        note("plantops.imaging: first image", measured(engine(job("image", storage, volume))))
        sizes["first"] = tree_bytes(storage)
        sizes["clone"] = (out / "b").stat().st_size
        # The same disk by name: what changed since the first image.
        os.replace(volume, folder / "kept")
        os.replace(changed, volume)
        note("ntfsclone, zstd, openssl: second image", measured(shell(clone % volume + seal + " > %s/c" % out)))
        note("plantops.imaging: second image", measured(engine(job("image", storage, volume))))
        sizes["second"] = tree_bytes(storage) - sizes["first"]
        note("plantops.imaging: third, unchanged", measured(engine(job("image", storage, volume))))
        for name, command in (
            (
                "ntfsclone, zstd, openssl: restore",
                "%s < %s/c | zstd -q -d -T2 | %s" % (KDF % "-d", out, restore % (folder / "r1")),
            ),
            ("ntfsclone, zstd: restore", "zstd -q -d -T2 < %s/a | %s" % (out, restore % (folder / "r2"))),
        ):
            for target in ("r1", "r2"):
                with open(folder / target, "wb") as file:
                    file.truncate(volume.stat().st_size)
            note(name, measured(shell(command)))
        (folder / "r3").unlink(missing_ok=True)
        note(
            "plantops.imaging: restore",
            measured(engine(job("restore", storage, volume, map={"disk0": str(folder / "r3")}))),
        )
        os.replace(volume, changed)
        os.replace(folder / "kept", volume)
    rows = []
    for name, all_runs in runs.items():
        seconds = [run.seconds for run in all_runs]
        rows.append(
            [
                name,
                "%.1f" % statistics.median(seconds),
                "%.1f to %.1f" % (min(seconds), max(seconds)),
                "%.1f" % statistics.median(run.cpu_seconds for run in all_runs),
                "%.0f" % max(run.peak_mib for run in all_runs),
            ]
        )
    text = table(["who and what", "seconds (median)", "range", "CPU seconds", "peak MiB (largest process)"], rows)
    stored = (
        "Stored by the first image: %.0f MiB (ntfsclone, zstd, openssl: %.0f MiB). Added by the second: %.0f MiB.\n"
        % (
            sizes["first"] / MIB,
            sizes["clone"] / MIB,
            sizes["second"] / MIB,
        )
    )
    shutil.rmtree(folder)
    return text + "\n" + stored
