# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The race: the engine next to its peers on the same volumes, interleaved, the median of some rounds."""

from __future__ import annotations

import os
import shutil
import statistics
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from measure import MIB, ROOT, Measured, measured, table, tree_bytes
from plot import draw
from racers import Racer, racers
from volumes import change, fill

STEPS = ("first image", "second image", "third, unchanged", "restore")
Runs = Dict[Tuple[str, str], List[Measured]]


def main(
    folder: Path,
    gib: float,
    rounds: int,
    file_systems: List[str],
    caches: List[str],
    against: Optional[Path] = None,
) -> str:
    """Return the tables of every file system and cache state; plots are written to the folder ``build``.

    :param against: a checkout of another commit, which races alone with this one.
    """
    texts = []
    (ROOT / "build").mkdir(exist_ok=True)
    for file_system in file_systems:
        place = folder / file_system
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        volume, changed = place / "volume", place / "changed"
        fill(volume, place / "mnt", file_system, int(gib * (1 << 30)))
        shutil.copyfile(volume, changed)
        rewritten = change(changed, place / "mnt", file_system, 0.01)
        for cache in caches:
            runs: Runs = {}
            added: Dict[Tuple[str, str], int] = {}
            for dummy in range(rounds):
                field = racers(place / "stores", file_system, against)
                _round(field, place, volume, changed, cache, runs, added)
            head = "%s, %.1f GiB in use, %s cache, median of %d; %.0f MiB rewritten before the second image" % (
                file_system,
                gib,
                cache,
                rounds,
                rewritten / MIB,
            )
            draw(ROOT / "build" / ("race-%s-%s.svg" % (file_system, cache)), head, runs, STEPS)
            texts.append("### %s\n\n%s" % (head, _rows(runs, added)))
        shutil.rmtree(place)
    return "\n".join(texts)


def _round(
    field: List[Racer],
    place: Path,
    volume: Path,
    changed: Path,
    cache: str,
    runs: Runs,
    added: Dict[Tuple[str, str], int],
) -> None:
    """One round, step by step and within a step one after the other, so that the machine's moods meet all."""
    shutil.rmtree(place / "stores", ignore_errors=True)
    for racer in field:
        racer.prepare()
    for step in STEPS[:3]:
        if step == "second image":  # the same disk by name, with what changed since
            os.replace(volume, place / "kept")
            os.replace(changed, volume)
        for racer in field:
            before = tree_bytes(racer.folder)
            _note(runs, racer, step, cache, racer.image(volume), volume)
            added[racer.name, step] = tree_bytes(racer.folder) - before
    for racer in field:
        target = place / "restored"
        with open(target, "wb") as file:
            if not racer.name.startswith(("plantops", "borg")):
                file.truncate(volume.stat().st_size)
        if racer.name.startswith(("plantops", "borg")):
            target.unlink()
        _note(runs, racer, "restore", cache, racer.restore(target), racer.folder)
        target.unlink()
        shutil.rmtree(str(target) + ".d", ignore_errors=True)
    os.replace(volume, changed)
    os.replace(place / "kept", volume)


def _note(runs: Runs, racer: Racer, step: str, cache: str, work: Callable[[], Any], reads: Path) -> None:
    """``reads``: the file or folder that the work reads, which a warm cache holds whatever ran before."""
    os.sync()
    if cache == "cold":
        Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="ascii")
    else:
        for path in reads.rglob("*") if reads.is_dir() else [reads]:
            if path.is_file():
                _read_through(path)
    what = measured(work)
    runs.setdefault((racer.name, step), []).append(what)
    line = "bench: %-32s %-18s %6.1f s  cpu %6.1f s  %5.0f MiB"
    print(line % (racer.name, step, what.seconds, what.cpu_seconds, what.peak_mib), flush=True)


def _read_through(path: Path) -> None:
    with open(path, "rb", buffering=0) as file:
        while file.read(MIB):
            continue


def _rows(runs: Runs, added: Dict[Tuple[str, str], int]) -> str:
    names = list(dict.fromkeys(name for name, dummy in runs))
    rows = []
    for name in names:
        row = [name]
        for step in STEPS:
            results = runs[name, step]
            row.append("%.2f" % statistics.median(one.seconds for one in results))
            row.append("%.2f" % statistics.median(one.cpu_seconds for one in results))
            if step != "restore":
                row.append("%.0f" % (added[name, step] / MIB))
        row.append("%.0f" % max(one.peak_mib for step in STEPS for one in runs[name, step]))
        rows.append(row)
    head = ["who"]
    for step in STEPS:
        head += ["%s s" % step, "CPU s"] + ([] if step == "restore" else ["MiB stored"])
    return table([*head, "peak MiB (largest process)"], rows)
