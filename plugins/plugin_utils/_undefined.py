# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that are called although an argument is undefined.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from typing import Any, Callable, TypeVar

Filter = TypeVar("Filter", bound=Callable[..., Any])


def takes_undefined(function: Filter) -> Filter:
    """Mark a filter that chooses among its arguments: what it does not choose may be undefined.

    Without the mark ansible-core 2.19 and later return an undefined argument in place of the filter's result. Older ones
    call every filter; ``ansible.template`` has a decorator only since then.
    """
    function.accept_args_markers = True  # type: ignore[attr-defined]
    return function
