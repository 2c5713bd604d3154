# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores of an unencrypted NTFS volume from a directory by the recovery program, next to `zstd -d | ntfsclone` of the same volume, one after the
other in each round. ntfsclone does not read back what it wrote, so that the restore takes part with and without that."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional

from measure import Measured, compile_engine, engine, measured, program, shell, table
from volumes import fill


def main(folder: Path, gib: float, rounds: int, caches: List[str], against: Optional[Path] = None) -> str:
    """Return the table: seconds and CPU seconds, medians of ``rounds``, and the smallest of each.

    :param against: a checkout of another commit, which races too.
    """
    folder = folder / "local-restores"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    volume, saved, storage, target = (folder / name for name in ("volume", "saved", "storage", "restored"))
    storage.mkdir()
    found: Dict[str, List[Measured]] = {}
    try:
        compile_engine()
        fill(volume, folder / "mnt", "ntfs", int(gib * (1 << 30)))
        shell("ntfsclone -q -f --save-image -o - %s | zstd -q -3 -T2 > %s" % (volume, saved))()
        job: Dict[str, Any] = {"device": "bench", "storage": {"url": str(storage)}}
        engine(dict(job, verb="image", drives=[str(volume)], limit_read_rate=0))()
        clone = "zstd -q -d -T2 < %s | ntfsclone -q --restore-image --overwrite %s -" % (saved, target)
        words = ("restore", str(storage), "bench", "--to", "disk0=%s" % target, "--yes", "--json")
        racers = {
            "zstd -d, ntfsclone": shell(clone),
            "restore, not read back": program((*words, "--no-read-back")),
            "restore": program(words),
        }
        if against is not None:
            compile_engine(against.resolve())
            racers["restore in %s" % against.resolve().name] = program(words, against.resolve())
        for cache in caches:
            for dummy in range(rounds):
                for who, work in racers.items():
                    if who.startswith("zstd"):
                        with open(target, "wb") as file:
                            file.truncate(volume.stat().st_size)
                    _settle(cache, [saved, *(path for path in storage.rglob("*") if path.is_file())])
                    found.setdefault("%s, %s" % (who, cache), []).append(measured(work))
                    print(
                        "bench: %s, %s: %.2f s, cpu %.2f s" % (who, cache, *found["%s, %s" % (who, cache)][-1][:2]),
                        flush=True,
                    )
                    if dummy == 0 and who.startswith("restore"):
                        subprocess.run(["cmp", str(volume), str(target)], check=False)
                    if dummy == 0:
                        _check(volume, target)
                    target.unlink()
    finally:
        shutil.rmtree(folder)
    rows = [
        [
            who,
            "%.2f" % statistics.median(one.seconds for one in runs),
            "%.2f" % min(one.seconds for one in runs),
            "%.2f" % statistics.median(one.cpu_seconds for one in runs),
            "%.2f" % min(one.cpu_seconds for one in runs),
        ]
        for who, runs in found.items()
    ]
    head = "An NTFS volume with %.1f GiB in use, median of %d rounds" % (gib, rounds)
    return head + "\n\n" + table(["who, cache", "seconds", "least", "CPU seconds", "least"], rows)


def _check(volume: Path, target: Path) -> None:
    """What is in use came back: both read alike to the tool that saves it."""
    sums = []
    for path in (volume, target):
        save = "ntfsclone -q -f --save-image -o - %s 2>/dev/null | sha256sum" % path
        sums.append(subprocess.run(["bash", "-o", "pipefail", "-c", save], check=True, capture_output=True).stdout)
    if sums[0] != sums[1]:
        raise AssertionError("the restored volume differs")


def _settle(cache: str, reads: List[Path]) -> None:
    subprocess.run(["sync"], check=True)
    if cache == "cold":
        Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="ascii")
        return
    for path in reads:
        with open(path, "rb", buffering=0) as file:
            while file.read(1 << 20):
                continue
