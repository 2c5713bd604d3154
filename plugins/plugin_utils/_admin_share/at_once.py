# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many small requests to one device at once: an agent has hundreds of files, and each one takes several round trips.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Callable, Iterable, TypeVar

from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import EngineError
from ansible_collections.plantops.imaging.plugins.module_utils.engine.image.parallel_map import in_order

_AT_ONCE = 16
_Item = TypeVar("_Item")


def each(work: Callable[[_Item], object], items: Iterable[_Item]) -> None:
    """Call ``work`` with every item, several at once. The first failure of an item is raised, and no other item begins.

    After a failure of the catalogue every call has ended. Any other one, such as the end of a time limit, is raised at
    once; the calls end with the connection.
    """
    pool = ThreadPoolExecutor(_AT_ONCE)
    must_wait = True
    try:
        for dummy_result in in_order(pool, (partial(work, item) for item in items), 2 * _AT_ONCE):
            continue
    except EngineError:
        raise
    except BaseException:
        must_wait = False
        raise
    finally:
        pool.shutdown(wait=must_wait)
