# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The question of the field test to our own parser, asked on a volume that ntfs-3g answers for in the place of Windows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest
from engine.agent.field_test import of_file_system
from engine.agent.field_test.catalogue import BY_NAME
from engine.disk.source import FileSource
from support.filled import make_ntfs, mounted

pytestmark = pytest.mark.root
RULES = BY_NAME["shadow_file_system"].rules
MIB = 1 << 20


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volume")
    made: Path = make_ntfs(folder / "ntfs.raw", folder, 64 * MIB, files=80)
    return made


@pytest.fixture
def live(volume: Path, tmp_path: Path) -> Iterator[Tuple[Path, int, List[str]]]:
    """The mounted volume, its bytes in use, and the names of plain files with clusters."""
    with mounted(volume, tmp_path / "mount", "ntfs", read_only=True) as point:
        status = os.statvfs(point)
        used = (status.f_blocks - status.f_bfree) * status.f_frsize
        plain = [
            "\\".join(path.relative_to(point).parts)
            for path in sorted(Path(point).rglob("*"))
            if path.is_file() and not path.is_symlink() and path.stat().st_size > 16384
        ]
        yield Path(point), used, plain


def broken(volume: Path, point: Path, used: int) -> List[str]:
    with FileSource(str(volume)) as source:
        found = of_file_system._compared(source, str(point), used)
    return [rule.field for rule in RULES if not rule.holds(found)]


def test_a_right_answer_satisfies_every_rule(
    volume: Path, live: Tuple[Path, int, List[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    point, used, plain = live
    assert len(plain) >= 3
    monkeypatch.setattr(of_file_system, "FILES", (*plain[:5], "Missing\\file", plain[0].upper()))
    assert broken(volume, point, used) == []


def test_another_count_and_another_content_are_told(
    volume: Path, live: Tuple[Path, int, List[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dummy_point, used, plain = live
    other = tmp_path / "other" / Path(*plain[0].split("\\"))
    other.parent.mkdir(parents=True)
    other.write_bytes(b"x" * 20_000)
    monkeypatch.setattr(of_file_system, "FILES", (plain[0],))
    assert broken(volume, tmp_path / "other", used + 5 * MIB) == ["percent_apart", "files_equal", "files_different"]


def test_a_volume_of_another_kind_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.raw").write_bytes(bytes(4 * MIB))
    assert "kind" in broken(tmp_path / "empty.raw", tmp_path, 0)
