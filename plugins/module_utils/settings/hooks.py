# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of what a site runs before and after an image."""

from __future__ import annotations

from typing import Tuple

from .setting import Setting

_LONGEST_SECONDS = 86400


def _file(name: str, *words: str) -> Setting:
    return Setting(name, "str", (*words, "A relative path begins at the directory of the inventory."))


HOOKS: Tuple[Setting, ...] = (
    Setting(
        "hooks",
        "dict",
        (
            (
                "Task files that run before and after an image, and the command that the device runs after it however the "
                "run ends."
            ),
        ),
        ("image",),
        default={},
        default_words="none",
        in_jobs=True,
        role_only=True,
        options=(
            _file("before", "Task file that runs before the image. If it fails, no image is made."),
            _file(
                "after",
                "Task file that runs after the image, after success and failure, as soon as C(before) began.",
            ),
            _file("failed", "Task file that runs in addition if the run failed."),
            Setting(
                "device",
                "dict",
                (
                    (
                        "The command that the agent on the device runs when the run ends, also if the controller or the "
                        "connection is lost."
                    ),
                ),
                options=(
                    Setting(
                        "after",
                        "list",
                        ("The program and each of its arguments. No shell reads them. They must not contain secrets.",),
                        elements="str",
                        required=True,
                    ),
                    Setting(
                        "time_limit_seconds",
                        "int",
                        ("The device stops the command after this time.",),
                        default=60,
                        unit="seconds",
                        minimum=1,
                        maximum=_LONGEST_SECONDS,
                    ),
                    Setting(
                        "start_within_seconds",
                        "int",
                        (
                            (
                                "The device runs the command if no run begins within this time, so set it above the time "
                                "that C(before) takes."
                            ),
                        ),
                        default=900,
                        unit="seconds",
                        minimum=1,
                        maximum=_LONGEST_SECONDS,
                    ),
                ),
            ),
        ),
    ),
)
