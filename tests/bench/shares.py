# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a run's processor time goes (samples of perf), what it costs on one core and without SHA instructions, and zstd alone."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Tuple

from measure import MIB, compile_engine, engine, measured, shell, table
from racers import PASSWORD
from volumes import change, fill

_PERF = ("perf", "record", "-q", "-e", "cpu-clock", "-F", "999", "-g")
_WITHOUT_SHA = "OPENSSL_ia32cap=:~0x20000000"
# What a sample counts as: the first of these that fits its symbol or its library, innermost frame first.
_LIBRARIES = (
    ("zstd", re.compile(r"zstandard|libzstd")),
    ("BLAKE3: ids of chunks, packs read back", re.compile(r"blake3")),
    # Its assembler has no names: the packs' SHA-256 and, some 0.15 s a run, the key's scrypt. AES is not done in it.
    ("SHA-256: names of packs; scrypt: the key", re.compile(r"libcrypto")),
)
_SYMBOLS = (
    ("AES-256-GCM", re.compile(r"aes|gcm|ghash", re.I)),
    ("zstd", re.compile(r"^(ZSTD|HUF|FSE|HIST)_")),
    ("copying in memory", re.compile(r"^_*mem(cpy|move|set|cmp)")),
)
# Kernel samples by the call that they belong to.
_CALLS = (
    ("kernel: reading", re.compile(r"(sys|do|vfs)_p?read")),
    ("kernel: writing", re.compile(r"(sys|do|vfs)_(p?write|f(data)?sync|fallocate|ftruncate|rename|unlink|mkdir)")),
    ("kernel: page faults", re.compile(r"page_fault|sys_(mmap|munmap|madvise|brk)")),
)
_REST = "kernel: threads and the rest"
_PYTHON = "Python, its start and imports included"
_FRAME = re.compile(r"\s*([0-9a-f]+) (\S.*?)(?:\+0x[0-9a-f]+)? \((.*)\)$")


def main(folder: Path, gib: float, rounds: int) -> str:
    """Return both tables."""
    place = folder / "shares"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    compile_engine()
    volume = place / "volume"
    fill(volume, place / "mnt", "ntfs", int(gib * (1 << 30)))
    changed = place / "changed"
    shutil.copyfile(volume, changed)
    change(changed, place / "mnt", "ntfs", 0.01)
    text = "%s\n\n%s" % (_shares(place, volume, changed), _costs(place, volume, changed, rounds))
    shutil.rmtree(place)
    return text


def _job(verb: str, storage: Path, **more: Any) -> Dict[str, Any]:
    storage.mkdir(exist_ok=True)
    document = {"verb": verb, "device": "bench", "storage": {"url": str(storage)}, "secrets": {"password": PASSWORD}}
    return dict(document, **more)


def _image(storage: Path, volume: Path, **more: Any) -> Dict[str, Any]:
    return _job("image", storage, drives=[str(volume)], limit_read_rate=0, **more)


def _shares(place: Path, volume: Path, changed: Path) -> str:
    one, three = place / "level1", place / "level3"
    kept = place / "kept"
    columns: List[Tuple[str, Counter[str]]] = []
    columns.append(("first image, level 1", _profile(_image(one, volume))))
    columns.append(("first image, level 3", _profile(_image(three, volume, compression_level=3))))
    os.replace(volume, kept)
    os.replace(changed, volume)
    columns.append(("second image, 1 % rewritten", _profile(_image(one, volume))))
    columns.append(("third, unchanged", _profile(_image(one, volume))))
    columns.append(("restore", _profile(_job("restore", one, map={"disk0": str(place / "restored")}))))
    os.replace(volume, changed)
    os.replace(kept, volume)
    shutil.rmtree(one)
    shutil.rmtree(three)
    (place / "restored").unlink()
    kinds = sorted({kind for dummy, found in columns for kind in found}, key=lambda kind: -columns[0][1][kind])
    rows = [
        [kind, *("%.0f %%" % (100 * found[kind] / sum(found.values())) for dummy, found in columns)] for kind in kinds
    ]
    return table(["share of the processor time", *(name for name, dummy in columns)], rows)


def _profile(job: Dict[str, Any]) -> Counter[str]:
    with tempfile.NamedTemporaryFile(prefix="plantops-perf-") as file:
        engine(job, prefix=(*_PERF, "-o", file.name, "--"))()
        told = subprocess.run(
            ["perf", "script", "-i", file.name, "-F", "ip,sym,dso"], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
    return Counter(_kind_of(sample.splitlines()) for sample in told.split("\n\n") if sample.strip())


def _kind_of(lines: List[str]) -> str:
    """What a sample counts as; its frames come innermost first."""
    frames = [match.groups() for match in map(_FRAME.match, lines) if match]
    if not frames:
        return _PYTHON
    dummy, symbol, library = frames[0]
    if "kernel" in library:
        symbols = [name for dummy_place, name, where in frames if "kernel" in where]
        return next((kind for kind, form in _CALLS if any(form.search(name) for name in symbols)), _REST)
    for kind, form in _LIBRARIES:
        if form.search(library):
            return kind
    return next((kind for kind, form in _SYMBOLS if form.search(symbol)), _PYTHON)


def _costs(place: Path, volume: Path, changed: Path, rounds: int) -> str:
    ways: List[Tuple[str, Tuple[str, ...]]] = [
        ("two cores", ()),
        ("one core (`taskset -c 0`)", ("taskset", "-c", "0")),
        ("SHA instructions masked (`%s`)" % _WITHOUT_SHA, ("env", _WITHOUT_SHA)),
        ("one core, SHA instructions masked", ("taskset", "-c", "0", "env", _WITHOUT_SHA)),
    ]
    rows = []
    for name, prefix in ways:
        found: Dict[str, List[Any]] = {}
        for dummy in range(rounds):
            storage, kept = place / "costs", place / "kept"
            found.setdefault("first", []).append(measured(engine(_image(storage, volume), prefix=prefix)))
            os.replace(volume, kept)
            os.replace(changed, volume)
            found.setdefault("second", []).append(measured(engine(_image(storage, volume), prefix=prefix)))
            os.replace(volume, changed)
            os.replace(kept, volume)
            restored = place / "restored"
            job = _job("restore", storage, map={"disk0": str(restored)})
            found.setdefault("restore", []).append(measured(engine(job, prefix=prefix)))
            restored.unlink()
            shutil.rmtree(storage)
        rows.append([name, *(cell for step in ("first", "second", "restore") for cell in _cells(found[step]))])
    saved = place / "saved"
    shell("ntfsclone -q -f --save-image -o - %s > %s" % (volume, saved))()
    for level in (1, 3):
        alone = [
            measured(shell("zstd -q -%d -T2 -f %s -o %s" % (level, saved, place / "alone"))) for dummy in range(rounds)
        ]
        size_mib = (place / "alone").stat().st_size / MIB
        rows.append(
            [
                "`zstd -%d -T2` alone, hashing and sealing nothing: %.0f MiB" % (level, size_mib),
                *_cells(alone),
                "",
                "",
                "",
                "",
            ]
        )
    return table(
        ["median of %d" % rounds, "first image s", "CPU s", "second image s", "CPU s", "restore s", "CPU s"], rows
    )


def _cells(results: List[Any]) -> List[str]:
    return [
        "%.1f" % statistics.median(one.seconds for one in results),
        "%.1f" % statistics.median(one.cpu_seconds for one in results),
    ]
