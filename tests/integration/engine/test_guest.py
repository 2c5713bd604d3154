# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running guest images its own system disk from LVM snapshots, under load; the restored disk boots."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from engine.install.bundle import build_bundle
from engine.verbs.dispatch import run_job
from support.guest import HOST_FROM_GUEST, Guest, overlay
from support.guest_build import GROUP, GuestDisk, guest_disk
from support.guest_system import SystemUnderLoad, snapshots, wait_for_snapshots
from support.sftp_server import SftpServer

BASE = "/opt/plantops-imaging"
SLOW_MB_PER_SECOND = 4

pytestmark = [pytest.mark.root, pytest.mark.long]


@pytest.fixture(scope="module")
def base(need: Any) -> GuestDisk:
    need("qemu-system-x86_64", "qemu-img", "debootstrap", "mke2fs", "e2fsck", "ssh")
    return guest_disk()


@pytest.fixture(scope="module")
def storage(tmp_path_factory: Any) -> Iterator[SftpServer]:
    folder = tmp_path_factory.mktemp("storage")
    with SftpServer(folder) as server:
        server.root.mkdir(exist_ok=True)
        yield server


@pytest.fixture(scope="module")
def guest(base: GuestDisk, storage: SftpServer, tmp_path_factory: Any) -> Iterator[Guest]:
    folder = tmp_path_factory.mktemp("guest")
    bundle = Path(build_bundle("linux-x86_64-glibc-cp311", str(folder)).path)
    with Guest(folder, [overlay(base.path, folder / "disk.qcow2")], base.key) as one:
        one.put(bundle, "/run")
        one.put(storage.key, "/run")
        one.run("python3 /run/%s install" % bundle.name)
        yield one


def job_of(storage: SftpServer, **more: Any) -> Dict[str, Any]:
    settings = storage.settings(private_key_file="/run/" + storage.key.name)
    settings["url"] = settings["url"].replace("127.0.0.1", HOST_FROM_GUEST)
    return dict({"verb": "image", "device": "guest", "drives": ["system"], "storage": settings}, **more)


def command() -> str:
    """The engine of the installed agent; its process id goes to a file."""
    folder = "%s/versions/$(cat %s/current)" % (BASE, BASE)
    return (
        "cd %s && export PYTHONPATH=$PWD/site && echo $$ > /run/engine.pid && exec python3 -m engine.agent.command"
        % folder
    )


def start(guest: Guest, job: Dict[str, Any]) -> subprocess.Popen[bytes]:
    return guest.popen(command(), json.dumps(job).encode())


def finish(process: subprocess.Popen[bytes]) -> Dict[str, Any]:
    """The last word of a run: its result or its error."""
    assert process.stdout is not None
    output = process.stdout.read().decode()
    process.wait(timeout=60)
    last = json.loads(output.strip().splitlines()[-1])
    assert last["event"] in ("result", "error"), output
    return dict(last)


def image(guest: Guest, job: Dict[str, Any]) -> Dict[str, Any]:
    return finish(start(guest, job))


def volumes(guest: Guest) -> List[str]:
    return guest.run("lvs --noheadings -o lv_name").split()


def is_running(process: subprocess.Popen[bytes]) -> Callable[[], bool]:
    return lambda: process.poll() is None


@pytest.fixture
def little_room(guest: Guest) -> Iterator[None]:
    """One volume in use, and free extents for a small snapshot of it only: 7 of 4 MiB."""
    free = int(guest.run("vgs --noheadings -o vg_free_count %s" % GROUP))
    guest.run("umount /data; lvcreate -q -y -Wn -Zn -n hog -l %d %s" % (free - 7, GROUP))
    yield
    guest.run("lvremove -q -y %s/hog; mount /data" % GROUP)


@pytest.mark.usefixtures("little_room")
def test_a_snapshot_that_runs_full_fails_the_run_and_leaves_nothing(guest: Guest, storage: SftpServer) -> None:
    """The run reads slowly; meanwhile more is written to the volume than its snapshot has room for."""
    run = start(guest, job_of(storage, device="full", limit_read_rate=SLOW_MB_PER_SECOND))
    wait_for_snapshots(guest, is_running(run), 1)
    guest.run("dd if=/dev/zero of=/root/flood bs=1M count=60 conv=fsync; rm /root/flood")
    outcome = finish(run)
    assert outcome["event"] == "error"
    assert outcome["code"] == "N102"
    assert "%s/root" % GROUP in outcome["message"]
    assert not snapshots(guest)
    assert not list(storage.root.glob("full/*/image.json"))


def test_without_room_required_fails_before_anything_is_touched(guest: Guest, storage: SftpServer) -> None:
    free = int(guest.run("vgs --noheadings -o vg_free_count %s" % GROUP))
    guest.run("lvcreate -q -y -Wn -Zn -n hog -l %d %s" % (free - 2, GROUP))
    try:
        before = volumes(guest)
        refused = image(guest, job_of(storage, device="noroom"))
        assert refused["code"] == "N100"
        assert "8.4 MB free" in refused["message"]
        assert "imaging_snapshot to preferred" in refused["hint"]
        assert volumes(guest) == before
        assert not list(storage.root.glob("noroom/*"))
        planned = image(guest, job_of(storage, device="noroom", snapshot="preferred", check=True))
        live = [text for text in planned["warnings"] if "read live" in text]
        assert len(live) == 2
        assert any("%s/root" % GROUP in text and " at /" in text for text in live)
    finally:
        guest.run("lvremove -q -y %s/hog" % GROUP)


def test_what_a_killed_run_left_is_removed_by_the_next_and_a_cancelled_run_leaves_nothing(
    guest: Guest, storage: SftpServer
) -> None:
    guest.run("lvcreate -q -y -s -n plantops_mine_0 -l 4 %s/spare" % GROUP)  # has our name, but not our tag
    killed = start(guest, job_of(storage, device="killed", limit_read_rate=SLOW_MB_PER_SECOND))
    left = [name for name in wait_for_snapshots(guest, is_running(killed), 3) if name != "plantops_mine_0"]
    guest.run("kill -9 $(cat /run/engine.pid)")
    killed.wait(timeout=60)
    assert set(left) < set(snapshots(guest))
    second = start(guest, job_of(storage, device="killed", limit_read_rate=SLOW_MB_PER_SECOND))
    deadline = time.monotonic() + 120
    while set(left) & set(snapshots(guest)) or len(snapshots(guest)) < 3:
        assert time.monotonic() < deadline
        assert second.poll() is None, second.stdout and second.stdout.read()
    guest.run("kill -TERM $(cat /run/engine.pid)")
    assert finish(second)["code"] == "J101"
    assert snapshots(guest) == ["plantops_mine_0"]
    guest.run("lvremove -q -y %s/plantops_mine_0" % GROUP)


def test_the_running_system_is_imaged_under_load_and_its_restored_disk_boots(
    guest: Guest, storage: SftpServer, base: GuestDisk, tmp_path: Path
) -> None:
    system = SystemUnderLoad(guest)
    system.start()
    first = image(guest, job_of(storage))
    assert first["event"] == "result", first
    # Read from a disk whose first image is still in this machine's memory: files rewritten in place, one on the EFI partition.
    guest.run("head -c 1000000 /dev/urandom | dd of=/root/quiet/2 conv=notrunc; sync")
    guest.run(
        "tr a-z A-Z < /boot/efi/EFI/debian/grubx64.efi | dd of=/boot/efi/EFI/debian/grubx64.efi conv=notrunc; sync"
    )
    system.note_quiet_files()
    run = start(guest, job_of(storage))
    wait_for_snapshots(guest, is_running(run))
    system.note_moment_after_the_snapshots()
    second = finish(run)
    assert second["event"] == "result", second
    assert not snapshots(guest)
    assert second["image"] != first["image"]
    assert system.is_at_work(), "no load"
    assert_what_was_imaged(second, storage)
    tables = {name: guest.run("dmsetup table %s-%s" % (GROUP, name)) for name in ("root", "data", "spare")}
    starts = dict(
        line.split()
        for line in guest.run("cd /sys/class/block; for n in vda?; do echo $(cat $n/dev $n/start); done").splitlines()
    )
    system.stop()

    restored = tmp_path / "restored.raw"
    with open(restored, "wb") as file:
        file.truncate(second["disks"][0]["layout"]["size_bytes"])
    job = {"verb": "restore", "device": "guest", "storage": {"url": str(storage.root)}, "map": {"disk0": str(restored)}}
    run_job(job, lambda event: None, lambda: False)
    for name, table in tables.items():
        volume = put_together(restored, table, starts, tmp_path / name)
        done = subprocess.run(["e2fsck", "-fn", str(volume)], check=False, stdout=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stdout
        assert "recovering journal" not in done.stdout
    with Guest(tmp_path / "again", [restored], base.key) as again:
        system.assert_is(again)
        assert "failed" not in again.run("vgck %s 2>&1" % GROUP)


def assert_what_was_imaged(result: Dict[str, Any], storage: SftpServer) -> None:
    """Volumes by their bitmaps, though one is striped; free extents and swap not at all; the weakest word for all."""
    named = {one["name"]: one for one in result["disks"][0]["volumes"] if one["name"]}
    assert set(named) == {"%s/%s" % (GROUP, name) for name in ("root", "data", "spare", "swap")}
    assert not [text for text in result["warnings"] if "whole" in text or "live" in text]
    assert result["bytes_in_use"] < result["disks"][0]["layout"]["size_bytes"] // 3
    listed = run_job(
        {"verb": "list", "device": "guest", "storage": {"url": str(storage.root)}}, lambda event: None, lambda: False
    )
    newest = [one for one in listed["images"] if one["image"] == result["image"]]
    assert newest[0]["snapshot"] == "stable"


def put_together(disk: Path, table: str, starts: Dict[str, str], target: Path) -> Path:
    """Make a file of a volume by what device mapper said of it (its own words, nothing of the engine)."""
    with open(disk, "rb") as source, open(target, "wb") as file:
        for line in table.splitlines():
            words = line.split()
            first, length, kind = int(words[0]) * 512, int(words[1]) * 512, words[2]
            rest = words[5:] if kind == "striped" else words[3:]
            stripe = int(words[4]) * 512 if kind == "striped" else length
            places = [(int(starts[device]) + int(offset)) * 512 for device, offset in zip(rest[::2], rest[1::2])]
            for number in range(length // stripe):
                row, column = divmod(number, len(places))
                source.seek(places[column] + row * stripe)
                for begin in range(0, stripe, 1 << 20):
                    data = source.read(min(1 << 20, stripe - begin))
                    if data.strip(b"\0"):
                        file.seek(first + number * stripe + begin)
                        file.write(data)
        file.truncate(sum(int(line.split()[1]) * 512 for line in table.splitlines()))
    assert re.match(r"\d+ \d+ (linear|striped) ", table)
    return target
