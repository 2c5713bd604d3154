# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wait of this process for a processor, from what the kernel counts for its threads."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.host.linux_processor_wait import ProcessorWait
from engine.host.windows_processor_wait import ProcessorWait as WindowsProcessorWait


def threads(root: Path, **waited: float) -> None:
    for name, seconds in waited.items():
        folder = root / "proc" / "self" / "task" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "schedstat").write_text("123 %d 9\n" % (seconds * 1e9), encoding="ascii")


def test_the_longest_wait_of_a_thread_counts_from_look_to_look(tmp_path: Path) -> None:
    threads(tmp_path, a=100, b=50)
    wait = ProcessorWait(str(tmp_path))
    assert wait.seconds() == 0
    threads(tmp_path, a=101, b=54)
    assert wait.seconds() == pytest.approx(4)
    threads(tmp_path, a=103, b=55, c=1)
    assert wait.seconds() == pytest.approx(6)
    assert wait.seconds() == pytest.approx(6)


def test_a_thread_that_ended_takes_nothing_back(tmp_path: Path) -> None:
    threads(tmp_path, a=100, b=50)
    wait = ProcessorWait(str(tmp_path))
    threads(tmp_path, a=102)
    (tmp_path / "proc/self/task/b/schedstat").unlink()
    assert wait.seconds() == pytest.approx(2)


@pytest.mark.parametrize("text", ["", "1 2", "1 x 3", "0 -5 1", "0 0 0\n", "\xff"])
def test_a_kernel_that_does_not_count_is_not_a_wait_of_zero(tmp_path: Path, text: str) -> None:
    threads(tmp_path, a=1)
    (tmp_path / "proc/self/task/a/schedstat").write_text(text, encoding="latin-1")
    assert ProcessorWait(str(tmp_path)).seconds() is None
    assert ProcessorWait(str(tmp_path / "none")).seconds() is None


def test_windows_does_not_count() -> None:
    assert WindowsProcessorWait().seconds() is None
