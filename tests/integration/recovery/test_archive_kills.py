# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check-ins that are killed, that meet another one, and that find no room: whole versions only, each number once."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, Optional

import pytest
from engine.errors import EngineError
from engine.storage.contract import Storage
from engine.verbs import archive as verb
from support.archiving import NAMES, assert_whole, at_once, check_in, make_images, records, versions
from support.imaging import PASSWORD, job, run_verb
from support.killing import Moments, kill_in_child
from support.plain_disks import make_disk
from support.sftp_server import SftpServer
from support.storages import HookedStorage


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with three images, and an archive with the first of them as version 1. They are only read."""
    folder = tmp_path_factory.mktemp("made")
    disk = folder / "disk.raw"
    make_disk(disk, 16, 3, 1)
    list(make_images(folder / "storage", disk, 512))
    (folder / "archive").mkdir()
    check_in(folder / "storage", folder / "archive", image=NAMES[0])
    return folder


def fresh(made: Path, folder: Path) -> Path:
    for name in ("storage", "archive"):
        shutil.copytree(made / name, folder / name)
    return folder


def killed_check_in(storage: Path, place: Dict[str, Any], kill_at: Optional[int]) -> Optional[int]:
    """Check the second image in, and be killed at a moment of the archive."""

    def work(moments: Moments) -> None:
        opened = verb.open_storage

        def watched(*arguments: Any) -> Storage:
            return HookedStorage(opened(*arguments), moments.step)

        verb.open_storage = watched  # type: ignore[assignment]  # in the child alone
        check_in(storage, place, image=NAMES[1])

    return kill_in_child(work, kill_at)


@contextlib.contextmanager
def served(kind: str, folder: Path, archive: Path) -> Iterator[Dict[str, Any]]:
    if kind == "directory":
        yield {"url": str(archive)}
        return
    with SftpServer(folder / "server") as server:
        yield server.settings(url="sftp://127.0.0.1:%d%s" % (server.port, archive))


def killed_and_completed(made: Path, folder: Path, kind: str, seeds: range) -> None:
    (folder / "count").mkdir()
    archive = folder / "now" / "archive"
    with served(kind, folder, archive) as place, served(kind, folder / "count", folder / "count" / "archive") as other:
        moments = killed_check_in(fresh(made, folder / "count") / "storage", other, None)
        assert moments is not None
        assert moments > 40
        done_at_once = 0
        for seed in seeds:
            chance = random.Random(seed)
            shutil.rmtree(folder / "now", ignore_errors=True)
            storage = fresh(made, folder / "now") / "storage"
            before = {path: path.read_bytes() for path in (archive / "pc" / NAMES[0]).rglob("*") if path.is_file()}
            # Every second one in the last quarter, where the image becomes a version.
            first = 1 if seed % 2 else moments * 3 // 4
            assert killed_check_in(storage, place, chance.randrange(first, moments)) is None, seed
            assert_whole(archive)
            half = versions(archive)
            assert half in ({1: NAMES[0]}, {1: NAMES[0], 2: NAMES[1]}), seed
            done_at_once += len(half) - 1
            if seed % 3 == 0 and len(half) == 1:  # another image comes before it is tried again
                assert check_in(storage, place, image=NAMES[2])["version"] == 2, seed
                assert check_in(storage, place, image=NAMES[1])["version"] == 3, seed
                expected = {1: NAMES[0], 2: NAMES[2], 3: NAMES[1]}
            else:
                assert check_in(storage, place, image=NAMES[1])["version"] == 2, seed
                expected = {1: NAMES[0], 2: NAMES[1]}
            assert versions(archive) == expected, seed
            assert {number: one["image"] for number, one in records(archive).items()} == expected, seed
            assert_whole(archive)
            assert {path: path.read_bytes() for path in before} == before, seed
            found = check_in(storage, place, state="verified")
            assert (found["ok"], found["problems"]) == (True, []), seed
            again = check_in(storage, place, image=NAMES[1])
            assert (again["changed"], again["version"]) == (
                False,
                max(expected, key=lambda one: expected[one] == NAMES[1]),
            )
        assert done_at_once < len(seeds)


def test_a_killed_check_in_leaves_no_half_version(made: Path, tmp_path: Path) -> None:
    killed_and_completed(made, tmp_path, "directory", range(4))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["directory", "sftp"])
def test_a_check_in_killed_at_twenty_moments_leaves_no_half_version(kind: str, made: Path, tmp_path: Path) -> None:
    killed_and_completed(made, tmp_path, kind, range(100, 120))


# -- two at once -------------------------------------------------------------------------------------------------------


def request_of(storage: Path, archive: Path, **settings: Any) -> Dict[str, Any]:
    return job(storage, "archive", archive={"url": str(archive)}, **settings)


def test_check_ins_of_a_device_at_once_get_a_number_each(made: Path, tmp_path: Path) -> None:
    folder = fresh(made, tmp_path)
    storage, archive = folder / "storage", folder / "archive"
    requests = [request_of(storage, archive, image=name) for name in (NAMES[1], NAMES[2], NAMES[2])]
    ended = at_once(requests)
    assert sorted({one["version"] for one in ended}) == [2, 3]
    assert ended[1]["version"] == ended[2]["version"]
    assert [one["changed"] for one in ended[1:]].count(True) == 1
    assert_whole(archive)
    assert sorted(records(archive)) == [1, 2, 3]
    assert versions(archive) == {1: NAMES[0], ended[0]["version"]: NAMES[1], ended[1]["version"]: NAMES[2]}
    assert check_in(storage, archive, state="verified")["ok"]
    assert not (archive / "pc" / "lease.json").exists()


def test_two_devices_at_once_have_versions_of_their_own(made: Path, tmp_path: Path) -> None:
    folder = fresh(made, tmp_path)
    disk = tmp_path / "other.raw"
    make_disk(disk, 16, 3, 2)
    run_verb(folder / "storage", "image", device="press 07", drives=[str(disk)], timestamp=NAMES[0], limit_read_rate=0)
    requests = [request_of(folder / "storage", folder / "archive", device=one) for one in ("pc", "press 07")]
    assert [one["version"] for one in at_once(requests)] == [2, 1]
    for device in ("pc", "press 07"):
        assert_whole(folder / "archive", device)
        found = check_in(folder / "storage", folder / "archive", device=device, state="verified")
        assert found["ok"], found["problems"]


# -- no room ----------------------------------------------------------------------------------------------------------


def test_an_archive_without_room_gets_no_half_version_and_the_next_check_in_continues(
    made: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "small"
    archive.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(archive)], check=True)
    try:
        storage = fresh(made, tmp_path) / "storage"
        shutil.copytree(made / "archive" / "pc", archive / "pc")
        filler = archive / "filler"
        free = os.statvfs(archive).f_bavail * os.statvfs(archive).f_frsize
        for room in (0, 64 << 10, 400 << 10):
            filler.write_bytes(bytes(free - room))
            with pytest.raises(EngineError) as caught:
                check_in(storage, archive)
            assert caught.value.code in ("C100", "S103"), room
            assert str(archive) in str(caught.value)
            assert_whole(archive)
            assert versions(archive) == {1: NAMES[0]}
            filler.unlink()
        assert check_in(storage, archive)["version"] == 2
        assert_whole(archive)
        assert check_in(storage, archive, state="verified", secrets={"password": PASSWORD})["ok"]
    finally:
        subprocess.run(["umount", str(archive)], check=True)
