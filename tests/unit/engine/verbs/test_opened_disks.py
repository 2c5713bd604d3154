# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a job that are none, and disks that are let go of whatever fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest
from engine.disk.source import FileSource
from engine.errors import RequestInvalid
from engine.snapshot.lvm.freeze import LvmFreeze
from engine.verbs.dispatch import run_job
from engine.verbs.fields import Fields
from engine.verbs.opened_disks import OpenedDisks
from engine.verbs.request import ImageRequest, parse
from support.agent_runs import image_job, random_disk
from support.refusing import failing


def opened_disks(document: Dict[str, Any]) -> OpenedDisks:
    request = parse(document)
    assert isinstance(request, ImageRequest)
    return OpenedDisks(request)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "x", []])
def test_what_is_no_number_is_refused(value: object) -> None:
    with failing(RequestInvalid, reason="imaging_keep"):
        Fields({"keep": value}).whole("keep", 7, 1)


def test_a_timestamp_has_the_digits_of_a_name(tmp_path: Path) -> None:
    job = image_job(tmp_path, tmp_path / "none.img", timestamp="\u0662026-11-15_13-45-10")
    with failing(RequestInvalid, reason="timestamp"):
        run_job(job, print, bool)
    assert list((tmp_path / "storage").iterdir()) == []


def test_disks_are_closed_also_when_their_snapshots_cant_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = opened_disks(image_job(tmp_path, random_disk(tmp_path / "disk.img", 1 << 20)))
    closed: List[str] = []

    def fail(dummy_freeze: LvmFreeze) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(LvmFreeze, "close", fail)
        patched.setattr(FileSource, "close", lambda source: closed.append(source.path))
        with pytest.raises(OSError, match="Input/output"):
            opened.close()
    assert closed == [str(tmp_path / "disk.img")]
