# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks as a user runs them: image, verify, restore on a local device; check mode, diff, refusals, secrets."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support import plain_disks
from support.paths import ROOT
from support.plain_disks import MIB, PASSWORD, PLAIN
from support.playbooks import Site


def make_disk(path: Path, size_mib: int = 12) -> None:
    plain_disks.make_disk(path, size_mib, noise_mib=3, seed=5)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    make_disk(tmp_path / "disk.raw")
    target = str(tmp_path / "restored.raw")
    return Site(
        tmp_path,
        imaging_drives=[str(tmp_path / "disk.raw")],
        imaging_password=PASSWORD,
        imaging_restore_map={"disk0": target},
    )


def test_main_job_from_image_to_restore(site: Site) -> None:
    first = site.play("image")
    assert first.status == 0, first.output
    made = first.result("Make an image")
    assert made["changed"] is True
    assert made["bytes_stored"] < made["bytes_in_use"] == 12 * MIB
    name = made["image"]
    assert (site.device / name / "image.json").exists()
    sums = subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=str(site.device / name), check=False)
    assert sums.returncode == 0

    with open(site.folder / "disk.raw", "r+b") as disk:
        disk.seek(9 * MIB)
        disk.write(b"changed")
    second = site.play("image")
    assert second.result("Make an image")["bytes_stored"] < 100_000 < made["bytes_stored"]

    verified = site.play("verify")
    assert verified.status == 0, verified.output
    assert verified.result("Verify an image")["ok"] is True
    assert verified.result("Verify an image")["checked_bytes"] > 0
    assert verified.result("Verify an image")["good_since"] is None
    again = site.play("verify", "-e", "imaging_verify_level=storage")
    assert again.result("Verify an image")["good_since"].startswith("20")
    assert "(level storage, " in again.output

    restored = site.play("restore")
    assert restored.status == 0, restored.output
    assert (site.folder / "restored.raw").read_bytes() == (site.folder / "disk.raw").read_bytes()


def test_older_image_comes_back_by_name(site: Site) -> None:
    before = (site.folder / "disk.raw").read_bytes()
    name = site.play("image").result("Make an image")["image"]
    with open(site.folder / "disk.raw", "r+b") as disk:
        disk.write(b"x" * MIB)
    site.play("image")
    restored = site.play("restore", "-e", "imaging_image=%s" % name)
    assert restored.status == 0, restored.output
    assert (site.folder / "restored.raw").read_bytes() == before


def test_check_mode_writes_nothing(site: Site) -> None:
    checked = site.play("image", "--check")
    assert checked.status == 0, checked.output
    assert checked.result("Make an image")["bytes_in_use"] == 12 * MIB
    assert checked.result("Make an image")["image"] is None
    assert list(site.storage.iterdir()) == []

    site.play("image")
    planned = site.play("restore", "--check")
    assert planned.status == 0, planned.output
    assert "goes to" in planned.result("Restore an image")["plan"][0]
    assert not (site.folder / "restored.raw").exists()
    before = sorted(str(path) for path in site.storage.rglob("*"))
    assert site.play("verify", "--check").status == 0
    assert sorted(str(path) for path in site.storage.rglob("*")) == before


def test_refusals_name_what_to_do(site: Site) -> None:
    site.play("image")
    wrong = site.play("image", "-e", "imaging_password=another-password")
    assert wrong.status != 0
    failed = wrong.result("Make an image")
    assert failed["error_code"] == "K100"
    assert "imaging_password_previous" in failed["msg"]
    assert site.play("image", "-e", "imaging_password=").result("Make an image")["error_code"] == "K101"

    with open(site.folder / "restored.raw", "wb") as target:
        target.write(b"data that somebody needs" * 100_000)
    before = (site.folder / "restored.raw").read_bytes()
    refused = site.play("restore")
    assert refused.result("Restore an image")["error_code"] in ("R101", "R102")
    assert (site.folder / "restored.raw").read_bytes() == before
    missing = site.play("image", "-e", '{"imaging_drives": ["/dev/there-is-no-such-disk"]}').result("Make an image")
    assert missing["error_code"] == "D100"
    assert "/dev/there-is-no-such-disk" in missing["msg"]


@pytest.mark.parametrize("given", [0, 83, True])
def test_a_password_that_yaml_takes_for_a_number_is_refused(given: object, site: Site) -> None:
    """0 would be none at all, so that the image would be in clear; 0123 is 83."""
    site.settings["imaging_password"] = given
    refused = site.play("image")
    assert refused.status != 0
    assert "write it in quotes" in refused.output
    assert list(site.storage.rglob("*")) == []


def test_verify_finds_damage_and_the_play_fails(site: Site) -> None:
    site.play("image")
    pack = next(path for path in sorted(site.device.glob("packs/*/*")))
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(data)
    damaged = site.play("verify", "-e", "imaging_verify_level=storage")
    assert damaged.status != 0
    assert damaged.result("Verify an image")["ok"] is False
    assert pack.name in damaged.result("Verify an image")["bad_packs"]
    healed = site.play("image")
    assert healed.status == 0, healed.output
    assert site.play("verify").status == 0


def test_jobs_override_the_settings_of_the_site(site: Site) -> None:
    site.settings["imaging_keep"] = 5
    site.settings["imaging_jobs"] = [{"name": "daily", "keep": 1, "compression_level": 1}]
    for dummy in range(2):
        played = site.play("image", "-e", "imaging_job=daily")
        assert played.status == 0, played.output
    assert len(list(site.device.glob("*/image.json"))) == 1
    elsewhere = site.folder / "monthly"
    elsewhere.mkdir()
    site.settings["imaging_jobs"].append({"name": "monthly", "keep": 3, "storage": {"url": str(elsewhere)}})
    # Another login for the site's storage is none for that of a job, nor is its place.
    site.settings["imaging_storage_operator"] = {"url": str(site.storage)}
    for verb in ("storage_check", "image", "verify", "rollover"):
        played = site.play(verb, "-e", "imaging_job=monthly")
        assert played.status == 0, played.output
    assert len(list(elsewhere.glob("*/*/image.json"))) == 1
    assert played.result("Delete the oldest images")["deleted"] == []
    for path in elsewhere.rglob("image.json"):
        path.unlink()
    assert site.play("verify", "-e", "imaging_job=monthly").status != 0, "the other storage has images still"
    unknown = site.play("image", "-e", "imaging_job=hourly")
    assert unknown.status != 0
    assert "There is no job hourly" in unknown.output


def test_no_secret_in_output_storage_or_files(site: Site) -> None:
    played = site.play("image", "-vvvv", "--diff", env={"ANSIBLE_DISPLAY_ARGS_TO_STDOUT": "1"})
    assert played.status == 0, played.output
    outputs = [played.output, str(played.results)]
    for name in ("verify", "restore"):
        played = site.play(name, "-vvvv", env={"ANSIBLE_DISPLAY_ARGS_TO_STDOUT": "1"})
        assert played.status == 0, played.output
        outputs += [played.output, str(played.results)]
    assert not any(PASSWORD in output for output in outputs)
    for path in site.storage.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert PASSWORD.encode() not in data, path
            assert PLAIN not in data, path


def test_no_secret_in_a_process_list_or_file_while_it_runs(site: Site) -> None:
    make_disk(site.folder / "disk.raw", 64)
    site.settings["imaging_limit_read_rate"] = "10"
    command = site.command("image")
    # The inventory of this test holds the password in clear; a site keeps it in a vault.
    with subprocess.Popen(command, cwd=str(ROOT), env=site.environment(), stdout=subprocess.DEVNULL) as play:
        seen_engine = False
        while play.poll() is None:
            for process in Path("/proc").iterdir():
                if not process.name.isdigit():
                    continue
                try:
                    line = (process / "cmdline").read_bytes()
                    environment = (process / "environ").read_bytes()
                except OSError:
                    continue
                assert PASSWORD.encode() not in line + environment
                seen_engine = seen_engine or b"engine.agent.command" in line
            for path in (site.folder / "ansible-home").rglob("*"):
                if path.is_file():
                    assert PASSWORD.encode() not in path.read_bytes(), path
            time.sleep(0.05)
    assert play.returncode == 0
    assert seen_engine


def test_interrupted_play_stops_the_engine_and_harms_nothing(site: Site) -> None:
    name = site.play("image").result("Make an image")["image"]
    make_disk(site.folder / "disk.raw", 64)
    site.settings["imaging_limit_read_rate"] = "4"
    play = site.begin(stdout=subprocess.PIPE)
    try:
        assert wait_until(lambda: len(list(site.device.glob("2*"))) == 2, 60)
        os.killpg(play.pid, signal.SIGINT)
        output, dummy = play.communicate(timeout=90)
    finally:
        if play.poll() is None:
            os.killpg(play.pid, signal.SIGKILL)
            play.communicate()
    assert play.returncode == 99
    assert output.decode().splitlines()[-1].startswith("pc-1: the play was interrupted; ")
    assert wait_until(lambda: not engines_of(site), 30)
    assert [path.parent.name for path in site.device.glob("*/image.json")] == [name]
    site.settings["imaging_limit_read_rate"] = "0"
    assert site.play("image").status == 0
    assert site.play("verify").status == 0


def engines_of(site: Site) -> list:
    """Processes of the engine that have a file of this site open."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and b"engine.agent.command" in (process / "cmdline").read_bytes():
                links = [os.readlink(str(link)) for link in (process / "fd").iterdir()]
                if any(link.startswith(str(site.folder)) for link in links):
                    found.append(process.name)
        except OSError:
            continue  # it ended meanwhile
    return found


def wait_until(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_the_operator_rolls_over_what_devices_may_not(site: Site) -> None:
    names = []
    for number in range(3):
        with open(site.folder / "disk.raw", "r+b") as disk:
            disk.seek(7 * MIB)
            disk.write(b"%d" % number)
        names.append(site.play("image").result("Make an image")["image"])
    asked = site.play("rollover", "--check", "--diff", "-e", "imaging_keep=1")
    assert asked.status == 0, asked.output
    plan = asked.result("Delete the oldest images")
    assert plan["deleted"] == names[:2]
    assert plan["dry_run"] is True
    assert "-" + names[0] in asked.output
    assert all((site.device / name / "image.json").exists() for name in names)

    done = site.play("rollover", "-e", "imaging_keep=1").result("Delete the oldest images")
    assert done["deleted"] == names[:2]
    assert done["images"] == names[2:]
    assert [path.parent.name for path in site.device.glob("*/image.json")] == names[2:]
    again = site.play("rollover", "-e", "imaging_keep=1").result("Delete the oldest images")
    assert again["changed"] is False
    assert site.play("verify").status == 0
    refused = site.play("rollover", "-e", "imaging_keep=0")
    assert refused.status != 0
    assert "imaging_keep must be at least 1, not 0" in refused.output


def test_a_local_device_tells_what_it_is_without_an_agent(site: Site) -> None:
    played = site.play("device_info")
    assert played.status == 0, played.output
    told = played.result("Ask the device")
    assert told["changed"] is False
    assert told["information"]["version"] >= 1
    assert [disk["path"] for disk in told["disks"]] == [disk["path"] for disk in told["information"]["disks"]]
    assert all("pc-1: %s  %s" % (disk["path"], disk["size"]) in played.output for disk in told["disks"])


def test_cancelling_needs_a_handle(site: Site) -> None:
    refused = site.play("image", "-e", "imaging_cancel=true")
    assert refused.status != 0
    assert "cancel is True but all of the following are missing: run" in refused.output
    assert list(site.storage.iterdir()) == []
