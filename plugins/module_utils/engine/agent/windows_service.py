# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service of a Windows device: ``windows_service <base>``, started by Windows' service manager as SYSTEM.

The dispatcher is called with the standard library alone, since Windows waits 30 seconds for it; the engine is loaded after.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import List

from ..host.windows_dispatcher import Session, dispatch
from ..install.windows_layout import SERVICE

_BUSY_SECONDS = 5.0
_START_SECONDS = (
    120.0  # the libraries from a slow disk under a virus scanner; a start that hangs must not be reported for ever
)


def main(arguments: List[str]) -> int:
    """Serve until Windows asks for the end. ``--self-test`` proves instead that this installation could serve."""
    base = arguments[0]
    if "--self-test" in arguments:
        from .windows_serving import self_test

        return self_test(base)
    dispatch(SERVICE, lambda session: _serve(session, base))
    return 0


def _serve(session: Session, base: str) -> bool:
    loaded = threading.Event()

    def tell() -> None:
        end = time.monotonic() + _START_SECONDS
        while not loaded.wait(_BUSY_SECONDS):
            if time.monotonic() > end:
                os._exit(1)  # Windows treats it as a crash and starts the service again
            session.still_busy()

    threading.Thread(target=tell, daemon=True).start()
    try:
        from .windows_serving import serve

        return serve(session, base, loaded.set)
    finally:
        loaded.set()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
