# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of threads that want to connect at once one tries; what it met holds for those who waited, not for who comes later."""

from __future__ import annotations

import threading
import time
from typing import List

import pytest
from engine.errors import StorageUnreachable
from engine.storage.turns import Turns


def test_those_who_waited_share_the_failure() -> None:
    turns = Turns(threading.Lock())
    tried: List[int] = []
    said: List[str] = []
    begun = threading.Event()
    go_on = threading.Event()

    def connect(number: int) -> None:
        try:
            with turns.take():
                tried.append(number)
                begun.set()
                go_on.wait(10)
                raise StorageUnreachable(storage="share", reason="no answer")
        except StorageUnreachable as error:
            said.append(str(error))

    threads = [threading.Thread(target=connect, args=(number,)) for number in range(8)]
    threads[0].start()
    begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    time.sleep(0.2)
    go_on.set()
    for thread in threads:
        thread.join()
    assert tried == [0]
    assert len(said) == 8
    assert len(set(said)) == 1


def test_who_comes_later_tries_anew() -> None:
    turns = Turns(threading.Lock())
    with pytest.raises(StorageUnreachable), turns.take():
        raise StorageUnreachable(storage="share", reason="no answer")
    with turns.take():
        done = True
    assert done
