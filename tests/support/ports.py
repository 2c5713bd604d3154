# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports for servers of tests, which run beside other tests and beside other work."""

from __future__ import annotations

import os
import random
import socket

# Below those that the system gives to outgoing connections, which could take one before the server listens.
_FIRST, _LAST = 10_000, 32_000
_FOR_EACH_WORKER = 2_000
_CHANCE = random.SystemRandom()  # not the one that tests seed


def free_port() -> int:
    """A port of 127.0.0.1 that nothing uses, out of those that only this worker of pytest-xdist chooses from."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    start = _FIRST + worker * _FOR_EACH_WORKER % (_LAST - _FIRST)
    for dummy in range(200):
        with socket.socket() as probe:
            port = _CHANCE.randrange(start, start + _FOR_EACH_WORKER)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port between %d and %d is free" % (start, start + _FOR_EACH_WORKER))
