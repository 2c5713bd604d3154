# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Coverage-guided fuzzing of every parser and every reader of stored bytes (libFuzzer through Atheris).

``run.py --minutes 5 [--target ntfs]`` shares the minutes among the targets. What is found goes to
``build/fuzz/findings``, and from there, when it is fixed, by hand to ``tests/fuzz/corpus/<target>``, which is the
seed of the next run and what ``tests/unit/test_fuzz_corpus.py`` replays. Exit status 1: something was found.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, Dict, List, Optional, Set, Tuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CORPUS = HERE / "corpus"
BUILD = ROOT / "build" / "fuzz"
sys.path[:0] = [str(ROOT / "plugins" / "module_utils"), str(HERE.parent)]
SECONDS_PER_INPUT = 10
MEMORY_MIB = 1024
_INSTRUMENTS_FACTOR = 4  # by which an input takes longer while the fuzzer counts its branches
_PATIENCE_SECONDS = 60 * SECONDS_PER_INPUT  # on a busy machine
MEMORY = "/dev/shm"


def worker(target: str, arguments: List[str]) -> None:
    """Become the fuzzer of one target; returns only through the end of the process."""
    import atheris

    with atheris.instrument_imports(include=["engine", "ansible_collections.plantops.imaging"]):
        from fuzz.targets import TARGETS

    def run_one(data: bytes) -> None:
        TARGETS[target](data)

    atheris.Setup([sys.argv[0], *arguments], run_one)
    atheris.Fuzz()


def processor_seconds(target: str, path: Path) -> float:
    """The processor time of one input, in a process of its own; infinite where it does not end well."""
    command = [sys.executable, __file__, "--time", target, str(path)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=_PATIENCE_SECONDS)
        return float(done.stdout.split()[-1])
    except (subprocess.SubprocessError, IndexError, ValueError):
        return float("inf")


def time_one(target: str, path: Path) -> float:
    """The processor time of one input, without the fuzzer's instruments."""
    from fuzz.targets import TARGETS

    started = time.process_time()
    TARGETS[target](path.read_bytes())
    return time.process_time() - started


def is_finding(target: str, path: Path) -> bool:
    """Whether an artifact broke a rule. libFuzzer measures time by the clock, so on a busy machine, or while a target
    imports its packages, it calls an input slow that takes no time."""
    if not path.name.startswith(("timeout-", "slow-unit-")):
        return True
    return processor_seconds(target, path) * _INSTRUMENTS_FACTOR >= SECONDS_PER_INPUT


def fuzz(target: str, seconds: float) -> Tuple[int, List[str]]:
    """Return the number of executions and the paths of inputs that broke a rule."""
    executed, left_seconds = 0, seconds
    while True:
        started = time.monotonic()
        count, found, status = _fuzz(target, max(1, int(left_seconds)))
        executed += count
        left_seconds -= time.monotonic() - started
        proved = [path for path in found if is_finding(target, path)]
        for path in set(found) - set(proved):
            path.unlink()
        if proved or (status and not found):
            return executed, [str(path) for path in proved] or [str(BUILD / (target + ".log"))]
        if not status or left_seconds <= 0:
            return executed, []


def _fuzz(target: str, seconds: int) -> Tuple[int, List[Path], int]:
    """Run the fuzzer once: the number of executions, the artifacts that it left, and its exit status."""
    grown, findings = BUILD / "corpus" / target, BUILD / "findings" / target
    for folder in (grown, findings, CORPUS / target):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    limits = ["-timeout=%d" % SECONDS_PER_INPUT, "-rss_limit_mb=%d" % MEMORY_MIB, "-max_len=16384", "-len_control=0"]
    options = ["-max_total_time=%d" % seconds, "-artifact_prefix=%s/" % findings, "-print_final_stats=1"]
    command = [sys.executable, __file__, "--worker", target, *limits, *options, str(grown), str(CORPUS / target)]
    log = BUILD / (target + ".log")
    # libFuzzer ends the process on the spot: what its targets write is this one's to delete.
    memory = MEMORY if os.path.isdir(MEMORY) else None
    with open(log, "wb") as file, tempfile.TemporaryDirectory(prefix="plantops-fuzz-", dir=memory) as folder:
        environment = dict(os.environ, PLANTOPS_FUZZ_FOLDER=folder)
        status = subprocess.run(command, stdout=file, stderr=file, check=False, env=environment).returncode
    text = log.read_text("utf-8", "replace")
    count = re.search(r"number_of_executed_units: (\d+)", text) or re.findall(r"#(\d+)\s", text)
    executed = int(count.group(1)) if isinstance(count, re.Match) else int(count[-1]) if count else 0
    return executed, sorted(set(findings.iterdir()) - before), status


def replay(target: str, inputs: List[Path]) -> Dict[str, Set[int]]:
    """Run inputs through a target; returns the lines of the collection that they reached, by file."""
    from fuzz.targets import TARGETS

    lines: Dict[str, Set[int]] = {}

    def trace(frame: FrameType, event: str, dummy: Any) -> Any:
        name = frame.f_code.co_filename
        if "/plugins/" not in name:
            return None
        if event == "line":
            lines.setdefault(name.rsplit("/plugins/", 1)[1], set()).add(frame.f_lineno)
        return trace

    threading.settrace(trace)
    sys.settrace(trace)
    try:
        for path in inputs:
            TARGETS[target](path.read_bytes())
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
    return lines


def coverage(targets: List[str]) -> None:
    """Print for each target and file the lines reached by its corpus, of those that hold code."""
    for target in targets:
        folders = [CORPUS / target, BUILD / "corpus" / target]
        inputs = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]
        reached = replay(target, inputs)
        for name in sorted(reached):
            all_lines = _lines_with_code(ROOT / "plugins" / name)
            shown = name.replace("module_utils/engine/", "")
            print("%-15s %-40s %4d of %4d lines" % (target, shown, len(reached[name] & all_lines), len(all_lines)))


def _lines_with_code(path: Path) -> Set[int]:
    """Lines inside functions: those of modules and classes run on import."""
    pending = [compile(path.read_text("utf-8"), str(path), "exec")]
    found: Set[int] = set()
    while pending:
        code = pending.pop()
        pending += [part for part in code.co_consts if hasattr(part, "co_code")]
        if code.co_flags & 2:  # CO_NEWLOCALS and so a function
            found |= {line for dummy, dummy_end, line in code.co_lines() if line and line != code.co_firstlineno}
    return found


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--target", action="append")
    parser.add_argument("--coverage", action="store_true", help="lines reached by the corpora, no fuzzing")
    chosen = parser.parse_args(arguments)
    from fuzz.targets import TARGETS

    targets = chosen.target or list(TARGETS)
    if chosen.coverage:
        coverage(targets)
        return 0
    seconds = max(2, int(chosen.minutes * 60 / len(targets)))
    failed = False
    for target in targets:
        started = time.monotonic()
        executed, found = fuzz(target, seconds)
        took = time.monotonic() - started
        print("%-15s %8d executions in %4.0f s" % (target, executed, took), *found, sep="\n  ", flush=True)
        failed = failed or bool(found)
    return int(failed)


if __name__ == "__main__":
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], sys.argv[3:])
    if sys.argv[1:2] == ["--time"]:
        print(time_one(sys.argv[2], Path(sys.argv[3])))
        sys.exit(0)
    sys.exit(main())
