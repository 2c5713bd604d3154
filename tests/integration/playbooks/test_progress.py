# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress as a user sees it: bars in a real terminal (tmux) with several devices at once, lines under a pipe."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest
from support import plain_disks
from support.paths import ROOT
from support.playbooks import Played, Site
from support.tmux import Tmux

DEVICES = ["press-%d" % number for number in range(1, 6)]
_LINE = re.compile(
    r"(press-\d): image, reading (\d+) % of [0-9.]+ MB(?:, [0-9.]+ MB/s)(?:, [0-9.]+ (?:bytes|[kM]B) stored)?(?:, about \d+ s left)?$"
)
_DONE = re.compile(r"image: 5 done; \d[0-9.]* MB in use, [0-9.]+ MB stored; .*")


class Plant(Site):
    """Five local devices, read at a limit so that there is something to see."""

    def __init__(self, folder: Path, missing: str = "") -> None:
        super().__init__(folder, imaging_limit_read_rate="4", imaging_device_alias="")
        self._missing = missing
        for number, device in enumerate(DEVICES):
            plain_disks.make_disk(folder / ("%s.raw" % device), 24, noise_mib=20, seed=number)

    def inventory(self) -> Dict[str, Any]:
        hosts = {
            device: {
                "ansible_connection": "local",
                "imaging_drives": ["%s/%s.raw%s" % (self.folder, device, "-gone" if device == self._missing else "")],
            }
            for device in DEVICES
        }
        return {"all": {"hosts": hosts, "vars": self.settings}}

    def bars(self, *arguments: str, rows: int = 40, columns: int = 110, **more: str) -> Tmux:
        """Start the main job in a terminal, with the callback."""
        wanted = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "LC_ALL": "C.UTF-8",
            "TERM": "screen-256color",
            "ANSIBLE_HOME": str(self.folder / "ansible-home"),
            "ANSIBLE_CALLBACKS_ENABLED": "plantops.imaging.progress",
        }
        command = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(ROOT), *self.command("image", *arguments)]
        return Tmux(self.folder, command, dict(wanted, **more), columns=columns, rows=rows)


@pytest.fixture
def plant(memory_path: Path, need: Any) -> Plant:
    need("tmux")
    return Plant(memory_path)


def row_of(screen: List[str], device: str) -> str:
    rows = [line for line in screen if line.startswith(device + " ")]
    assert len(rows) == 1, "\n".join(screen)
    return rows[0]


def bars_of(screen: List[str]) -> List[str]:
    return [line for line in screen if re.match(r"press-\d ", line) and ("━" in line or "waiting" in line)]


def test_bars_for_every_device_below_the_default_output(plant: Plant) -> None:
    with plant.bars("--forks", "3") as terminal:
        screen = terminal.wait_for(lambda screen: sum("MB/s" in row for row in bars_of(screen)) >= 3)
        assert [row.split()[0] for row in bars_of(screen)] == DEVICES
        assert all("reading" in row_of(screen, device) and "%" in row_of(screen, device) for device in DEVICES[:3])
        assert all(row_of(screen, device).startswith(device + " waiting") for device in DEVICES[3:])
        used = [line for line in screen if line]
        assert re.match(r"3 running, 2 waiting; .* MB of [0-9.]+ MB, .* MB/s(, .* stored)?; .* so far", used[-1])
        assert any(line.startswith("TASK [plantops.imaging.imaging : Make an image]") for line in screen)
        assert terminal.cursor() == {"visible": 1, "column": 0, "wraps": 1}

        screen = terminal.wait_for(lambda screen: any(re.search(r"\d done", line) for line in screen))
        finished = [row.split()[0] for row in bars_of(screen) if " done" in row and "100 %" in row]
        assert finished, "\n".join(screen)

        assert terminal.wait_for_end() == 0
        shown = terminal.everything()
        assert terminal.cursor() == {"visible": 1, "column": 0, "wraps": 1}
    assert not any("━" in line for line in shown), "the bars are gone, on the screen and in what scrolled away"
    assert sum(bool(_DONE.fullmatch(line)) for line in shown) == 1
    assert not any(_LINE.match(line) for line in shown), "bars stand in for lines"
    for device in DEVICES:
        assert shown.count("changed: [%s]" % device) == 1
        assert sum(line.startswith("%s: created image 2" % device) for line in shown) == 1
        recap = [line for line in shown if re.match(r"%s +: ok=\d+ +changed=1 " % device, line)]
        assert len(recap) == 1, "\n".join(shown[-30:])
        assert len(list((plant.storage / device).glob("*/image.json"))) == 1
    without = plant.play("image", env={"ANSIBLE_CALLBACKS_ENABLED": "record_results"})
    assert default_output(shown) == default_output(without.output.splitlines())


def default_output(lines: List[str]) -> List[str]:
    """What the default callback printed, without figures of this run and in an order of its own."""
    headers = [line.rstrip(" *") for line in lines if line.startswith(("PLAY", "TASK"))]
    states = [line for line in lines if re.match(r"(ok|changed): \[press-\d\]$", line)]
    recap = [re.sub(" +", " ", line).strip() for line in lines if re.match(r"press-\d +: ok=", line)]
    assert len(headers) > 8
    assert len(states) >= 30
    return headers + sorted(states) + sorted(recap)


def test_a_failed_device_is_seen_among_those_that_run_and_a_resized_window_stays_whole(memory_path: Path) -> None:
    plant = Plant(memory_path, missing="press-2")
    plant.settings["imaging_limit_read_rate"] = "2"
    with plant.bars() as terminal:
        screen = terminal.wait_for(lambda screen: any("press-2 failed D100" in line for line in screen))
        assert any(line.startswith("fatal: [press-2]: FAILED!") for line in screen)
        time.sleep(1.5)  # what is printed in the moment of a change leaves rows behind; docs/progress.md says so
        for columns, rows in ((75, 40), (110, 40), (90, 30)):
            terminal.resize(columns, rows)
            terminal.wait_for(lambda screen, columns=columns: fits(screen, columns))
            assert [row.split()[0] for row in bars_of(terminal.everything())] == DEVICES
        for columns, rows in ((35, 20), (110, 40), (80, 12)):
            terminal.resize(columns, rows)
            terminal.wait_for(lambda screen, columns=columns: fits(screen, columns))
        assert terminal.wait_for_end() == 2
        shown = terminal.everything()
        assert terminal.cursor() == {"visible": 1, "column": 0, "wraps": 1}
    assert any(re.fullmatch(r"image: 4 done, 1 failed; [0-9.]+ MB in use, .*", line) for line in shown)
    assert sum("fatal: [press-2]: FAILED!" in line for line in shown) == 1
    assert [line.split()[0] for line in shown if " : ok=" in re.sub(" +", " ", line)] == DEVICES
    ended = next(number for number, line in enumerate(shown) if line.startswith("image: 4 done"))
    assert not bars_of(shown[ended:])


def fits(screen: List[str], columns: int) -> bool:
    """Whether the last rows of the screen are the sums below rows of devices, all of them drawn for this width."""
    rows = [line for line in screen if line]
    names = [row.split()[0] for row in rows[-5:-1]]
    return names == sorted(set(names) & set(DEVICES)) and all(len(row) < columns for row in rows[-5:])


def test_an_interrupt_leaves_a_clean_terminal_and_earlier_images(plant: Plant) -> None:
    with plant.bars(NO_COLOR="1") as terminal:
        terminal.wait_for(lambda screen: sum("MB/s" in row for row in screen) >= 5)
        terminal.press("C-c")
        assert terminal.wait_for_end() == 99
        shown = terminal.everything()
        assert terminal.cursor() == {"visible": 1, "column": 0, "wraps": 1}
    assert any("User interrupted execution" in line for line in shown)
    assert any(re.fullmatch(r"image: 5 not ended; [0-9.]+ MB in use, .* stored; .*", line) for line in shown)
    assert not bars_of(shown)
    assert not any(re.match(r"press-\d+ ", line) for line in shown[-3:]), (
        "no row of a bar; what became of the runs has a colon"
    )
    plant.settings["imaging_limit_read_rate"] = "0"
    assert plant.play("image").status == 0


def lines_of(played: Played) -> Dict[str, List[int]]:
    steps: Dict[str, List[int]] = {device: [] for device in DEVICES}
    for line in played.output.splitlines():
        found = _LINE.fullmatch(line)
        if found:
            steps[found.group(1)].append(int(found.group(2)))
    return steps


@pytest.mark.parametrize(
    "callback", [pytest.param("plantops.imaging.progress,record_results", marks=pytest.mark.long), "record_results"]
)
def test_lines_in_ten_percent_steps_under_a_pipe(plant: Plant, callback: str) -> None:
    played = plant.play("image", "--forks", "3", env={"ANSIBLE_CALLBACKS_ENABLED": callback, "TERM": "xterm"})
    assert played.status == 0, played.output
    for device, steps in lines_of(played).items():
        assert len(steps) >= 4, played.output
        assert steps == sorted(set(steps)), "each step once, and none back"
        assert all(step % 10 == 0 for step in steps)
        assert steps[-1] == 100
        started = [line for line in played.output.splitlines() if line.startswith(device + ": image, reading")]
        assert all("MB/s" in line for line in started)
        assert re.search(r"about \d+ s left$", started[0])
    assert "\x1b" not in played.output
    assert "━" not in played.output
    assert "draws no bars" not in played.output


def test_without_rich_there_is_one_warning_and_lines(plant: Plant) -> None:
    hidden = plant.folder / "hidden" / "rich"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('not installed')\n", encoding="utf-8")
    with plant.bars("--limit", "press-1", PYTHONPATH=str(hidden.parent)) as terminal:
        assert terminal.wait_for_end() == 0
        shown = terminal.everything()
    assert sum("the Python package rich is missing" in line for line in shown) == 1
    assert any(_LINE.fullmatch(line) for line in shown)
    assert not bars_of(shown)


def test_the_documentation_is_found_and_true() -> None:
    program = str(Path(sys.executable).parent / "ansible-doc")
    done = subprocess.run(
        [program, "-t", "callback", "plantops.imaging.progress"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for words in (
        "rich 13.0",
        "PLANTOPS_IMAGING_PROGRESS_ROWS",
        "callback_plantops_imaging_progress",
        "choices: [auto, lines]",
    ):
        assert words in done.stdout
