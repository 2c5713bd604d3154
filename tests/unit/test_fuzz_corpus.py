# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every input that fuzzing started from or found is replayed, in a process with bounded time and memory."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from engine.disk.filesystems.fat import Fat
from engine.disk.source import MemorySource
from engine.errors import FileSystemInvalid
from fuzz import run
from fuzz.volumes import base
from support.paths import MODULE_UTILS, TESTS

CORPUS = TESTS / "fuzz" / "corpus"
_ADDRESS_SPACE_BYTES = 2 << 30
_SECONDS_PER_TARGET = 300  # a hang that takes no processor time is what this is for, not speed
_REPLAY = """
import resource, signal, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
sys.path[:0] = sys.argv[2:4]
from fuzz.targets import TARGETS
for path in sorted(Path(sys.argv[4]).iterdir()):
    print(path.name, flush=True)
    signal.setitimer(signal.ITIMER_PROF, 10)
    TARGETS[Path(sys.argv[4]).name](path.read_bytes())
"""


@pytest.mark.parametrize("target", sorted(path.name for path in CORPUS.iterdir()))
def test_every_input_ends_in_time_with_errors_of_the_catalogue_only(target: str) -> None:
    words = [sys.executable, "-c", _REPLAY, _ADDRESS_SPACE_BYTES, MODULE_UTILS, TESTS, CORPUS / target]
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=_SECONDS_PER_TARGET, check=False
    )
    assert done.returncode == 0, "the last of these inputs breaks a rule:\n%s%s" % (done.stdout, done.stderr)
    assert len(done.stdout.splitlines()) == len(list((CORPUS / target).iterdir()))


def test_an_input_is_slow_by_its_processor_time_alone(tmp_path: Path) -> None:
    """The fuzzer goes by the clock: where the machine is busy it calls an input slow that takes no time."""
    for name in ("timeout-1", "crash-1"):
        (tmp_path / name).write_bytes(next((CORPUS / "swap").iterdir()).read_bytes())
    found = [name for name in sorted(os.listdir(tmp_path)) if run.is_finding("swap", tmp_path / name)]
    assert found == ["crash-1"]
    assert run.processor_seconds("swap", tmp_path / "timeout-1") > 0
    assert run.is_finding("no such target", tmp_path / "timeout-1")


def test_every_target_has_inputs() -> None:
    from fuzz.targets import TARGETS

    assert set(TARGETS) == {path.name for path in CORPUS.iterdir()}


def test_files_that_share_one_long_chain_end_the_walk() -> None:
    """Too large for an input of patches: 500 names in a folder, each of a chain through the whole volume."""
    volume = bytearray(base("fat-16.zst")[0])
    sector_bytes, per_cluster, reserved, copies, entries, sectors = struct.unpack_from("<HBHBHH", volume, 11)
    table_sectors = struct.unpack_from("<H", volume, 22)[0]
    root = (reserved + copies * table_sectors) * sector_bytes
    clusters = (sectors - root // sector_bytes - entries * 32 // sector_bytes) // per_cluster
    for copy in range(copies):
        place = (reserved + copy * table_sectors) * sector_bytes
        struct.pack_into("<%dH" % (clusters - 1), volume, place + 4, *range(3, clusters + 2))
        struct.pack_into("<H", volume, place + 2 * (clusters + 1), 0xFFFF)
    for number in range(entries):
        name = b"F%-10d" % number
        volume[root + 32 * number : root + 32 * number + 32] = name + b"\x20" + bytes(14) + b"\2\0" + bytes(4)
    found = Fat.probe(MemorySource(bytes(volume)))
    assert found is not None
    tree = found.tree()
    assert tree is not None
    with pytest.raises(FileSystemInvalid, match="same clusters"):
        [tree.content(entry.node) for entry in tree.children(tree.root())]
