# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Windows with disks: discovered, chosen by letter, word, number and id, and imaged from shadow copies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from support.imaging import PASSWORD, restore, verify
from support.whole_disks import Part, WholeDisk, build_disk
from support.windows.device import WindowsDevice
from support.windows.kinds import WINDOWS_7
from support.windows.shadow_copies import linked
from support.windows.shown import Shown, ShownDisks

pytestmark = pytest.mark.root
SERIAL, OTHER_SERIAL = "S4GGNX0R123456", "Z4Y1ABCD"
FIRST, SECOND = (r"\\.\PhysicalDrive%d" % number for number in (1, 2))


@pytest.fixture(scope="module")
def system_disk(tmp_path_factory: pytest.TempPathFactory) -> WholeDisk:
    parts = [Part("esp", "fat", 40), Part("windows", "ntfs", 48)]
    return build_disk(tmp_path_factory.mktemp("system"), "gpt", parts, files=60)


@pytest.fixture(scope="module")
def data_disk(tmp_path_factory: pytest.TempPathFactory) -> WholeDisk:
    parts = [Part("data", "ntfs", 24), Part("more", "ntfs", 24)]
    return build_disk(tmp_path_factory.mktemp("data"), "dos", parts, files=30)


@pytest.fixture(scope="module")
def shown(system_disk: WholeDisk, data_disk: WholeDisk, tmp_path_factory: pytest.TempPathFactory) -> ShownDisks:
    found = [
        Shown(1, system_disk, [[], ["C:\\"]], "SAMSUNG MZVLB256", SERIAL),
        Shown(2, data_disk, [["D:\\", "C:\\line\\"], []], "ST1000", OTHER_SERIAL),
    ]
    return ShownDisks(tmp_path_factory.mktemp("frozen"), found)


@pytest.fixture(scope="module")
def device(shown: ShownDisks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WindowsDevice]:
    with WindowsDevice(tmp_path_factory.mktemp("device") / "prefix", WINDOWS_7) as made, linked(made, shown.links):
        shown.give_to(made)
        made.host_path(r"C:\storage").mkdir()
        made.host_path(r"C:\line").mkdir()
        yield made
        assert shown.left(made) == []


def ask(device: WindowsDevice, requests: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    script = Path(__file__).resolve().parents[2] / "support" / "windows" / "requests.py"
    device.host_path(r"C:\requests.py").write_bytes(script.read_bytes())
    ran = device.python(r"C:\requests.py", given=json.dumps(requests))
    assert ran.status == 0, ran.errors
    return [json.loads(line) for line in ran.output.splitlines()]


def request(hour: int, *drives: str, **more: Any) -> Dict[str, Any]:
    asked = {"verb": "image", "device": "pc", "drives": list(drives), "storage": {"url": r"C:\storage"}}
    timed = dict(asked, limit_read_rate=0, timestamp="2026-11-29_%02d-00-00" % hour, secrets={"password": PASSWORD})
    return dict(timed, **more)


def test_the_device_shows_its_disks(device: WindowsDevice) -> None:
    ran = device.python("-m", "engine.agent.main", "--base", r"C:\base", "info")
    assert ran.status == 0, ran.errors
    information = json.loads(ran.output)["information"]
    disks = {one["name"]: one for one in information["disks"]}
    assert sorted(disks) == ["disk1", "disk2"]
    assert (disks["disk1"]["stable_id"], disks["disk1"]["model"]) == ("serial:" + SERIAL, "SAMSUNG MZVLB256")
    kinds = [(one["disk"], one["partition"], one["kind"], one["mount_points"]) for one in information["volumes"]]
    assert kinds == [
        ("disk1", 1, "fat16", []),
        ("disk1", 2, "ntfs", ["C:\\"]),
        ("disk2", 1, "ntfs", ["D:\\", "C:\\line\\"]),
        ("disk2", 2, "ntfs", []),
    ]
    assert information["operating_system"]["family"] == "windows"
    assert information["unreadable"] == []


def test_a_letter_is_imaged_with_what_windows_starts_from_and_again_sends_nothing(
    device: WindowsDevice, shown: ShownDisks, system_disk: WholeDisk, tmp_path: Path
) -> None:
    first, again = ask(device, [request(8, "C:"), request(9, "C:")])
    assert first.get("snapshot") == "vss", first
    assert [(one["path"], one["stable_id"]) for one in first["disks"]] == [(FIRST, "serial:" + SERIAL)]
    assert first["not_chosen"] == []
    assert again.get("snapshot") == "vss", again
    assert again["bytes_stored"] == 0, again
    storage = device.host_path(r"C:\storage")
    assert verify(storage)["ok"]
    restored = tmp_path / "restored.raw"
    restore(storage, restored)
    shown.check(1, system_disk, restored, tmp_path / "compared")


def test_names_choose_what_they_mean(device: WindowsDevice) -> None:
    first = ["disk1", "serial:" + SERIAL, SERIAL.lower(), "system"]
    parts = ["D:", r"C:\line", "c:/line/", "d:\\"]
    names = [*first, *parts, "disk2"]
    planned = ask(device, [request(10, name, device="names", check=True) for name in names])
    paths = {name: [one["path"] for one in answer["disks"]] for name, answer in zip(names, planned)}
    assert paths == {name: [FIRST if name in first else SECOND] for name in names}
    left = {name: [one["partition"] for one in answer["not_chosen"]] for name, answer in zip(names, planned)}
    assert left == {name: [2] if name in parts else [] for name in names}


def test_a_windows_of_another_kind_than_declared_is_not_imaged(device: WindowsDevice) -> None:
    kinds = ("server", "workstation", "")
    asked = [request(12, "C:", device="kinds", check=True, operating_system=kind) for kind in kinds]
    refused, *planned = ask(device, asked)
    assert refused["code"] == "N145"
    assert [one["operating_system"] for one in planned] == ["workstation"] * 2


def test_all_leaves_out_the_disk_of_the_storage(device: WindowsDevice) -> None:
    """The storage is on C:, which is on the first disk."""
    planned, refused = ask(
        device, [request(11, "all", device="every", check=True), request(11, r"C:\windows", device="every", check=True)]
    )
    assert [one["path"] for one in planned["disks"]] == [SECOND]
    assert refused["code"] == "D104"
    assert "C:\\" in refused["message"]
