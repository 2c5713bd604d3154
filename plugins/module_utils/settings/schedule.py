# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a job is due: what timers, cron lines and rules of AWX are made from."""

from __future__ import annotations

from typing import Tuple

from .setting import Setting

TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]"
EVERY: Tuple[str, ...] = ("day", "week", "month")

SCHEDULE = Setting(
    "schedule",
    "dict",
    ('When the job is due, such as C({at: "22:00", every: day}).',),
    options=(
        Setting(
            "at",
            "str",
            ("Time of day as C(HH:MM), in quotes, because YAML reads C(22:00) as a number.",),
            required=True,
            pattern=TIME,
        ),
        Setting("every", "str", ("The rhythm: every day, week or month.",), choices=EVERY, required=True),
    ),
)
