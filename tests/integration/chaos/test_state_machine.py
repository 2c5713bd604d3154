# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stories of a plant against the model (support/imaging_model.py): in memory, over OpenSSH and over Samba.

After every step: each image that the model knows is listed, verifies and reads back bit for bit; the storage holds
nothing half-made that is listed; and after a sweep with old trash it holds less than 1.3 times what the images need.
"""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import Any, Iterator, MutableMapping, Type

import pytest
from engine.storage.contract import Storage
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from support.aging import DAY, pass_time
from support.chaos_servers import ChaosServer, chaos_server
from support.imaging_model import ImagingMachine
from support.story_places import KillableStorage

RELAXED = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}


class FolderFiles(MutableMapping[str, bytes]):
    """The files below a folder, by their path in it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __getitem__(self, path: str) -> bytes:
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            raise KeyError(path) from None

    def __setitem__(self, path: str, data: bytes) -> None:
        (self._root / path).write_bytes(data)

    def __delitem__(self, path: str) -> None:
        try:
            (self._root / path).unlink()
        except FileNotFoundError:
            raise KeyError(path) from None

    def __iter__(self) -> Iterator[str]:
        return (str(path.relative_to(self._root)) for path in self._root.rglob("*") if path.is_file())

    def __len__(self) -> int:
        return sum(1 for dummy in self)


class ServerPlace:
    """A story's folder on a server. Who is killed worked over a line of his own, which is cut in that moment."""

    def __init__(self, server: ChaosServer, below: str) -> None:
        self._server = server
        self._below = below
        server.make_folder(below)
        self.storage = server.open(below, server.port)
        self.files = FolderFiles(server.root / below)

    def killable(self, moment: int) -> Storage:
        self._server.proxy.mend()
        return KillableStorage(self._server.open(self._below), moment, self._server.proxy.cut)

    def pass_days(self, days: int) -> None:
        pass_time(self._server.root / self._below, days * DAY)

    def close(self) -> None:
        self.storage.close()
        shutil.rmtree(self._server.root / self._below)


def machine_over(server: ChaosServer) -> Type[ImagingMachine]:
    numbers = itertools.count()

    class ServerMachine(ImagingMachine):
        def new_place(self) -> Any:
            return ServerPlace(server, "story-%d" % next(numbers))

    return ServerMachine


def tell(machine: Type[ImagingMachine], stories: int, steps: int, **more: Any) -> None:
    chosen = settings(max_examples=stories, stateful_step_count=steps, database=None, **more, **RELAXED)
    run_state_machine_as_test(machine, settings=chosen)


def test_model() -> None:
    """Sixty stories of twenty steps; the same ones in every run."""
    tell(ImagingMachine, 60, 20, derandomize=True)


@pytest.mark.parametrize("kind", ["sftp", pytest.param("smb", marks=pytest.mark.long)])
def test_model_over_a_server(kind: str, tmp_path: Path) -> None:
    with chaos_server(kind, tmp_path) as server:
        tell(machine_over(server), int(os.environ.get("MODEL_STORIES", "5")), 12, derandomize=True)


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_model_at_length() -> None:
    tell(ImagingMachine, int(os.environ.get("MODEL_STORIES", "500")), 40)


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kind", ["sftp", "smb"])
def test_model_over_a_server_at_length(kind: str, tmp_path: Path) -> None:
    with chaos_server(kind, tmp_path) as server:
        tell(machine_over(server), int(os.environ.get("MODEL_STORIES", "100")), 30)
