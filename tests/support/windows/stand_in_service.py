# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's service of a device, played by a thread of the test: it takes sealed commands from its folder and answers."""

from __future__ import annotations

import base64
import json
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from engine.agent.sealing import Recipient, seal
from engine.agent.service_client import MAX_FILE_BYTES

Work = Callable[[str, bytes], Tuple[int, bytes, bytes]]


class StandInService:
    """``folder`` is ``service`` in the agent's folder, as this machine names it. ``work``: line and input to an answer.

    Faults: ``refuses`` so many requests, ``interrupts`` the next, ``is_silent``, ``cuts`` outputs.
    """

    def __init__(self, folder: Path, work: Work, installation: str = "0.1.0-0123456789abcdef") -> None:
        self.folder = folder
        self.lines: List[str] = []
        self.refuses = 0
        self.refusal = "Sealed for another start."
        self.interrupts = self.is_silent = self.cuts = False
        self._work = work
        self._installation = installation
        self._key: Optional[Recipient] = None
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None
        for name in ("inbox", "taken", "answers"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> StandInService:
        self.start()
        return self

    def __exit__(self, *dummy: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start with a new key, as each start of the service does."""
        self._key = Recipient("service")
        state = {"state": "running", "installation": self._installation, "pid": 1, "hello": self._key.hello()}
        (self.folder / "state.json").write_text(json.dumps(state), encoding="ascii")
        self._stop.clear()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _serve(self) -> None:
        while not self._stop.is_set():
            for path in sorted(self.folder.glob("inbox/*.json")):
                taken = self.folder / "taken" / path.name
                path.rename(taken)
                if not self.is_silent:
                    self._answer(json.loads(taken.read_text(encoding="ascii")))
                taken.unlink()
            time.sleep(0.01)

    def _answer(self, request: Dict[str, Any]) -> None:
        one = str(request["id"])
        answer: Dict[str, Any] = {"format": 1, "id": one}
        if self.refuses:
            self.refuses -= 1
            answer.update(state="refused", code="A380", message=self.refusal, hint="Seal it again.")
        elif self.interrupts:
            self.interrupts = False
            answer.update(state="interrupted", code="A381", message="Its process ended.", hint="Look.")
        else:
            assert self._key is not None
            command = self._key.open(json.dumps(request["sealed"]).encode("ascii"), MAX_FILE_BYTES)["command"]
            assert command["id"] == one
            self.lines.append(command["line"])
            status, stdout, stderr = self._work(command["line"], base64.b64decode(command["stdin"]))
            told = {"exit_status": status, "timed_out": False, "cut": self.cuts}
            texts = {"stdout": base64.b64encode(stdout).decode(), "stderr": base64.b64encode(stderr).decode()}
            answer["sealed"] = seal(request["reply"], {"answer": dict(told, **texts)})
        path = self.folder / "answers" / (one + ".json")
        path.with_suffix(".new").write_text(json.dumps(answer), encoding="ascii")
        path.with_suffix(".new").rename(path)
