# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranges are discarded and zeroed by the kernel: of files by holes, of devices by requests; what the system does not tell is a reason."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from engine.host import free_ranges, linux_free_ranges, windows_free_ranges
from engine.host.linux_stack import BlockTree

KIB = 1 << 10


def test_a_hole_in_a_file_reads_as_zeros_and_gives_its_blocks_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 512 * KIB)
    os.sync()
    before = path.stat().st_blocks
    with open(path, "r+b") as file:
        free_ranges.discard(file.fileno(), False, 64 * KIB, 256 * KIB)
        file.flush()
    data = path.read_bytes()
    assert data == b"x" * 64 * KIB + bytes(256 * KIB) + b"x" * 192 * KIB
    assert (before - path.stat().st_blocks) * 512 >= 252 * KIB
    assert free_ranges.discarding_of_file(str(tmp_path)) == (1, "")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]  # what it was tried on has no name


def test_what_can_not_be_opened_or_punched_is_an_error_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 64)
    with open(path, "rb") as file, pytest.raises(OSError) as caught:
        free_ranges.discard(file.fileno(), False, 0, 64)
    assert caught.value.errno == errno.EBADF
    assert free_ranges.discarding_of_file(str(tmp_path / "missing")).why_not

    def refuse(*dummy: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(linux_free_ranges, "discard", refuse)
    assert linux_free_ranges.discarding_of_file(str(tmp_path)).why_not


@pytest.mark.parametrize(
    ("granularity", "most", "is_partition", "expected"),
    [
        ("4096", "2147450880", False, 4096),
        ("4096", "2147450880", True, 4096),
        ("0", "2147450880", False, 0),
        ("4096", "0", False, 0),
        ("", "", False, 0),
        ("junk", "1", False, 0),
    ],
)
def test_a_device_says_how_it_discards(
    granularity: str, most: str, is_partition: bool, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "sys/devices/sda"
    (disk / "queue").mkdir(parents=True)
    (disk / "dev").write_text("8:0")
    (disk / "queue/discard_granularity").write_text(granularity)
    (disk / "queue/discard_max_bytes").write_text(most)
    (disk / "sda1").mkdir()
    (disk / "sda1/partition").write_text("1")
    (disk / "sda1/dev").write_text("8:1")
    names = tmp_path / "sys/class/block"
    names.mkdir(parents=True)
    (names / "sda").symlink_to(disk)
    (names / "sda1").symlink_to(disk / "sda1")
    tree = BlockTree(str(tmp_path))
    number = os.makedev(8, 1 if is_partition else 0)
    system = SimpleNamespace(stat=lambda path: SimpleNamespace(st_rdev=number), major=os.major, minor=os.minor)
    monkeypatch.setattr(linux_free_ranges, "os", system)
    found = linux_free_ranges.discarding_of_device("/dev/sda", tree)
    assert found.unit_bytes == expected
    assert bool(found.why_not) == (not expected)


@pytest.mark.parametrize(
    ("number", "answer"),
    [(errno.EOPNOTSUPP, False), (errno.ENOTTY, False), (errno.EINVAL, False), (errno.EIO, None), (0, True)],
)
def test_a_device_that_does_not_know_how_to_zero_is_no_failure(
    number: int, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def ioctl(descriptor: int, request: int, argument: bytes) -> None:
        calls.append((descriptor, request, argument))
        if number:
            raise OSError(number, os.strerror(number))

    monkeypatch.setitem(sys.modules, "fcntl", SimpleNamespace(ioctl=ioctl))
    if answer is None:
        with pytest.raises(OSError):
            linux_free_ranges.zero(5, 4096, 8192)
    else:
        assert linux_free_ranges.zero(5, 4096, 8192) is answer
    assert calls == [(5, 0x127F, (4096).to_bytes(8, sys.byteorder) + (8192).to_bytes(8, sys.byteorder))]


def test_windows_discards_nothing_and_says_so() -> None:
    assert windows_free_ranges.discarding_of_file("C:\\images").why_not
    assert windows_free_ranges.discarding_of_device("x", BlockTree()).why_not
    assert windows_free_ranges.zero(1, 0, 512) is False
    with pytest.raises(OSError):
        windows_free_ranges.discard(1, False, 0, 512)
