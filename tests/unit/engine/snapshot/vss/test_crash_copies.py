# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadow copies without writers: on record until they are deleted, whatever PowerShell answers, or when."""

from __future__ import annotations

import re
import uuid
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import pytest
from engine.snapshot.vss import crash_copies, record, stale
from engine.snapshot.vss.crash_copies import CopyRefused, CrashCopies

FIRST, SECOND = ("\\\\?\\Volume{00000000-0000-0000-0000-00000000000%d}\\" % number for number in (1, 2))


class FakeMarks(NamedTuple):
    """A key of the registry."""

    values: Dict[str, str]
    key: str = r"SOFTWARE\marks"

    def all(self) -> Dict[str, str]:
        return dict(self.values)

    def set(self, name: str, value: str) -> None:
        self.values[name] = value

    def remove(self, name: str) -> None:
        self.values.pop(name, None)


class PowerShell:
    """Win32_ShadowCopy, as far as the scripts use it. ``codes``: what Create returns, one after the other."""

    def __init__(self, codes: Optional[List[int]] = None) -> None:
        self.codes = codes or []
        self.copies: Dict[str, str] = {}
        self.asked: List[str] = []
        self.answers: Dict[str, Callable[[], List[str]]] = {}  # instead of the true ones, by a part of the script
        self.now = 0.0

    def run(self, script: str, dummy_seconds: float) -> List[str]:
        self.asked.append(script)
        found = re.search(r"\.Create\('(.*?)'", script)
        answer = self._create(found.group(1)) if found else self._of(script)
        for part, other in self.answers.items():
            if part in script:
                return other()
        return answer

    def _create(self, volume: str) -> List[str]:
        code = self.codes.pop(0) if self.codes else 0
        if code:
            return ["code=%d" % code]
        made = str(uuid.UUID(int=len(self.asked)))
        self.copies[made] = volume
        return ["id=" + made]

    def _of(self, script: str) -> List[str]:
        asked = re.search(r"ID=''\{(.*?)\}''", script)
        assert asked is not None, script
        if ".Delete()" in script:
            self.copies.pop(asked.group(1), None)
            return ["deleted="]
        device = [r"device=\\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy7"] if asked.group(1) in self.copies else []
        return [*device, "listed="]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def take(self, *volumes: str) -> CrashCopies:
        return CrashCopies(volumes, run=self.run, sleep=self.sleep, clock=lambda: self.now)


@pytest.fixture(name="marks")
def the_marks(monkeypatch: pytest.MonkeyPatch) -> FakeMarks:
    """Process 1 of the moment 5 is this one; no other runs."""
    marks = FakeMarks({})
    monkeypatch.setattr(record, "COPIES", marks)
    monkeypatch.setattr(record, "SETS", FakeMarks({}))
    monkeypatch.setattr(record, "owner", lambda: "1:5")
    monkeypatch.setattr(record, "process_created", lambda pid: 5 if pid == 1 else 0)
    return marks


def test_copies_are_on_record_until_they_are_deleted(marks: FakeMarks) -> None:
    shell = PowerShell()
    made = shell.take(FIRST, SECOND)
    assert {one.volume for one in made.shadows.values()} == {FIRST, SECOND}
    assert marks.values == dict.fromkeys(shell.copies, "1:5")
    assert [one for one in made.remarks if "one moment" in one], "they are not of one moment"
    assert made.close() == []
    assert (shell.copies, marks.values) == ({}, {})


@pytest.mark.usefixtures("marks")
def test_one_volume_is_of_one_moment() -> None:
    assert PowerShell().take(FIRST).remarks == []


@pytest.mark.usefixtures("marks")
def test_another_program_is_waited_for() -> None:
    shell = PowerShell([9, 9])
    assert list(shell.take(FIRST).shadows) == [FIRST]
    assert shell.now > 0


def test_one_that_never_ends_is_named(marks: FakeMarks) -> None:
    with pytest.raises(CopyRefused) as caught:
        PowerShell([9] * 1000).take(FIRST)
    assert (caught.value.volume, caught.value.code) == (FIRST, 9)
    assert marks.values == {}


@pytest.mark.parametrize("code", [*range(1, 9), 10, 11, 12, 13, 4711])
def test_each_refusal_has_its_words_and_leaves_nothing(marks: FakeMarks, code: int) -> None:
    shell = PowerShell([0, code])
    with pytest.raises(CopyRefused) as caught:
        shell.take(FIRST, SECOND)
    assert (caught.value.volume, caught.value.code) == (SECOND, code)
    assert "(%d)" % code in caught.value.reason
    assert (shell.copies, marks.values) == ({}, {})


def raising(error: BaseException) -> Callable[[], List[str]]:
    def answer() -> List[str]:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (raising(FileNotFoundError(2, "not found")), "not found"),
        (raising(TimeoutError("did not end")), "did not end"),
        (list, "nothing"),
        (lambda: ["failed=Access \x1b[2J denied."], "Access \\x1b[2J denied"),
        (lambda: ["At line:1 char:5", "id=no id"], "At line:1"),
        (lambda: ["code=" + "9" * 5000], "nothing"),
    ],
    ids=["missing", "endless", "nothing", "escapes", "garbage", "long"],
)
@pytest.mark.usefixtures("marks")
def test_an_answer_that_is_none_is_a_refusal(answer: Any, words: str) -> None:
    shell = PowerShell([1])
    shell.answers[".Create("] = answer
    with pytest.raises(CopyRefused) as caught:
        shell.take(FIRST)
    assert words in caught.value.reason
    assert "\x1b" not in caught.value.reason


@pytest.mark.parametrize("name", ["C:\\", "\\\\?\\Volume{1}\\", FIRST[:-1], FIRST + "');Remove-Item('C:\\"])
@pytest.mark.usefixtures("marks")
def test_a_name_that_is_no_volume_reaches_no_script(name: str) -> None:
    shell = PowerShell()
    with pytest.raises(CopyRefused):
        shell.take(name)
    assert shell.asked == []


def test_a_copy_whose_place_is_not_told_is_deleted(marks: FakeMarks) -> None:
    shell = PowerShell()
    shell.answers["device="] = lambda: ["device=C:\\pagefile.sys", "listed="]
    with pytest.raises(CopyRefused):
        shell.take(FIRST)
    assert (shell.copies, marks.values) == ({}, {})


def test_a_mark_that_the_script_could_not_write_is_written_here(marks: FakeMarks) -> None:
    shell = PowerShell()
    shell.answers[".Create("] = lambda: ["id=" + next(iter(shell.copies)), "failed=no access"]
    made = shell.take(FIRST)
    assert marks.values == dict.fromkeys(shell.copies, "1:5")
    assert made.close() == []
    assert shell.copies == {}


def test_a_copy_that_can_not_be_deleted_stays_on_record(marks: FakeMarks) -> None:
    shell = PowerShell()
    made = shell.take(FIRST)
    copy = made.shadows[FIRST].shadow_id
    shell.answers[".Delete()"] = lambda: ["failed=it is in use"]
    assert [one for one in made.close() if "in use" in one]
    assert list(marks.values) == [str(copy)]


@pytest.mark.usefixtures("marks")
def test_a_copy_is_lost_when_windows_lists_it_no_more() -> None:
    shell = PowerShell()
    made = shell.take(FIRST)
    assert made.is_lost(made.shadows[FIRST]) == ""
    shell.copies.clear()
    assert made.is_lost(made.shadows[FIRST])


def test_the_next_run_deletes_what_a_killed_one_left_and_tells_what_it_does_not_know(
    marks: FakeMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = PowerShell()
    monkeypatch.setattr(crash_copies, "run_script", shell.run)
    left, others, running = (str(uuid.UUID(int=number)) for number in (901, 902, 903))
    shell.copies = {left: FIRST, others: FIRST, running: SECOND}
    marks.values.update({left: "2:7", running: "1:5", "coming-x": "2:7:" + SECOND, "coming-y": "1:5:" + FIRST})
    removed, stays = stale.remove_stale_shadow_copies()
    assert removed == [left]
    assert set(shell.copies) == {others, running}
    assert [SECOND in one for one in stays] == [True]
    assert set(marks.values) == {running, "coming-y"}


@pytest.mark.usefixtures("marks")
def test_no_script_would_end_its_argument() -> None:
    shell = PowerShell()
    made = shell.take(FIRST)
    made.is_lost(made.shadows[FIRST])
    made.close()
    assert len(shell.asked) == 4
    assert not [one for one in shell.asked if '"' in one or "\n" in one]
