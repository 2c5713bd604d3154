# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the race: one panel a step, one bar a racer, the range of the rounds as a line. Needs requirements/bench.in."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from measure import Measured

_OURS, _PEER = "#1f6f8b", "#b8b8b8"


def draw(target: Path, title: str, runs: Dict[Tuple[str, str], List[Measured]], steps: Sequence[str]) -> None:
    """Write an SVG of ``runs``, keyed by racer and step, to ``target``."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "plantops"  # the same runs give the same file
    from matplotlib import pyplot

    names = list(dict.fromkeys(name for name, dummy in runs))[::-1]
    figure, panels = pyplot.subplots(1, len(steps), figsize=(3.2 * len(steps), 0.42 * len(names) + 1.2), sharey=True)
    for panel, step in zip(panels, steps):
        seconds = [[one.seconds for one in runs[name, step]] for name in names]
        middle = [statistics.median(values) for values in seconds]
        low = [value - min(values) for value, values in zip(middle, seconds)]
        high = [max(values) - value for value, values in zip(middle, seconds)]
        colours = [_OURS if name.startswith("plantops") else _PEER for name in names]
        panel.barh(names, middle, xerr=[low, high], color=colours, error_kw={"elinewidth": 0.8})
        panel.set_title(step, fontsize=9)
        panel.set_xlabel("seconds", fontsize=8)
        panel.tick_params(labelsize=8)
    figure.suptitle(title, fontsize=9)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})
    pyplot.close(figure)
