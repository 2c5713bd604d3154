# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kill before each step of some work, in one process."""

from __future__ import annotations

from typing import Any, Callable


class Killed(BaseException):
    """The process has ended, and carries out nothing more."""


class Steps:
    """Lets a number of steps pass; from then on each call is a kill."""

    def __init__(self, left: int) -> None:
        self._left = left

    def step(self) -> None:
        if not self._left:
            raise Killed
        self._left -= 1

    def counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def one(*arguments: Any, **named: Any) -> Any:
            self.step()
            return call(*arguments, **named)

        return one
