# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes under a write filter: whether a shadow copy shows the changes that the filter drops is asked of the shadow copy itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
from engine.errors import WriteFilterProtects, WriteFilterSilent
from engine.host.windows_write_filters import WriteFilter
from engine.snapshot.vss import filtered
from engine.snapshot.vss.filtered import FilteredVolumes, active, letter_of

UWF, OFF, SILENT = WriteFilter("UWF", True), WriteFilter("EWF", False), WriteFilter("FBWF", None)
SHADOW = "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy7"


class Files:
    """The files that are created in roots, and what a shadow copy answers for them."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = tmp_path
        self.answer: Optional[OSError] = None
        self.asked: List[str] = []
        self.may_create = True
        monkeypatch.setattr(filtered, "open", self._open, raising=False)
        monkeypatch.setattr(filtered.os, "remove", lambda path: Path.unlink(tmp_path / path[3:]))
        monkeypatch.setattr(filtered.os, "stat", self._stat)

    def _open(self, path: str, mode: str) -> Any:
        assert path.startswith(("C:\\", "D:\\"))
        if not self.may_create:
            raise PermissionError(13, "Access is denied")
        return (self.folder / path[3:]).open(mode)

    def _stat(self, path: str) -> None:
        self.asked.append(path)
        if self.answer is not None:
            raise self.answer

    def names(self) -> List[str]:
        return os.listdir(self.folder)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    return Files(tmp_path, monkeypatch)


def volumes(*filters: WriteFilter, **more: Any) -> FilteredVolumes:
    return FilteredVolumes({"V1": ("C:\\",), "V2": ("C:\\mounted\\",)}, ask=lambda volume: filters, **more)


@pytest.mark.parametrize(
    ("points", "letter"),
    [((), ""), (("C:\\mounted\\",), ""), (("C:\\mounted\\", "d:\\"), "D:"), (("C:\\",), "C:"), (("CC:\\",), "")],
)
def test_filters_know_a_volume_by_its_letter(points: Tuple[str, ...], letter: str) -> None:
    assert letter_of(points) == letter


def test_only_filters_that_protect_or_do_not_tell_count() -> None:
    assert active("C:", lambda volume: [UWF, OFF, SILENT]) == [UWF, SILENT]
    assert active("", lambda volume: [UWF]) == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, filtered._WITH),
        (FileNotFoundError(2, "missing"), filtered._WITHOUT),
        (PermissionError(13, "denied"), filtered._UNKNOWN),
        (OSError(22, "bad name"), filtered._UNKNOWN),
    ],
)
def test_the_shadow_copy_answers(answer: Optional[OSError], words: str, files: Files) -> None:
    found = volumes(UWF, OFF)
    assert len(files.names()) == 1
    files.answer = answer
    warnings = found.warnings("V1", SHADOW)
    assert len(warnings) == 1
    assert words in warnings[0]
    assert WriteFilterProtects.code in warnings[0]
    assert files.asked == ["%s\\%s" % (SHADOW, files.names()[0])]
    found.close()
    assert files.names() == []


def test_a_filter_that_does_not_tell_has_a_warning_with_another_code(files: Files) -> None:
    found = volumes(UWF, SILENT)
    warnings = found.warnings("V1", SHADOW)
    found.close()
    assert [code in one for code, one in zip((WriteFilterProtects.code, WriteFilterSilent.code), warnings)] == [
        True
    ] * 2
    assert files.names() == []


def test_a_volume_without_a_filter_gets_no_file_and_no_warning(files: Files) -> None:
    found = volumes(OFF)
    assert (files.names(), found.warnings("V1", SHADOW)) == ([], [])
    assert volumes().warnings("V1", SHADOW) == []
    assert volumes(UWF, creates=False).warnings("V2", SHADOW) == [], "it has no letter"


def test_a_root_that_takes_no_file_leaves_the_question_open(files: Files) -> None:
    files.may_create = False
    found = volumes(UWF)
    assert filtered._UNKNOWN in found.warnings("V1", SHADOW)[0]
    assert files.asked == []
    found.close()


def test_without_a_shadow_copy_nothing_is_guessed(files: Files) -> None:
    found = volumes(UWF)
    assert filtered._UNKNOWN in found.warnings("V1", "")[0]
    found.close()
    assert files.names() == []


def test_check_mode_creates_nothing_and_says_that_a_run_can_tell(files: Files) -> None:
    found = volumes(UWF, creates=False)
    assert files.names() == []
    assert filtered._NOT_YET in found.warnings("V1", None)[0]


def test_a_file_that_can_not_be_deleted_stays_for_the_filter(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    found = volumes(UWF)
    calls: Dict[str, int] = {}

    def refuse(path: str) -> None:
        calls[path] = calls.get(path, 0) + 1
        raise PermissionError(13, "denied")

    monkeypatch.setattr(filtered.os, "remove", refuse)
    found.close()
    found.close()
    assert list(calls.values()) == [1]
    assert len(files.names()) == 1
