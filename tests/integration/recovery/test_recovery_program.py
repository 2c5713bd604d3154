# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recovery program as a stranger has it: one file, a bare Python, the plant's storage gone."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, NamedTuple, Sequence

import pytest
from engine.disk.filesystems.contract import VolumeState
from engine.disk.layout import read_layout
from engine.disk.source import FileSource
from engine.disk.used import plan_disk
from engine.install.recovery_program import PROGRAM_NAME, build_program
from engine.recovery import commands
from engine.recovery.main import main
from support.bundles import WHEEL_CACHE
from support.filled import check_volume
from support.imaging import PASSWORD, image, same_where_in_use
from support.recovery import checksums, copy, program, python, run_program
from support.whole_disks import Part, WholeDisk, build_disk

PARTS = (
    Part("efi", "fat", 36, ("-F", "32", "-s", "1")),
    Part("root", "ext", 40, ("-t", "ext4")),
    Part("windows", "ntfs", 24, ("-c", "4096")),
)


class Plant(NamedTuple):
    """A copy with the program, whose storage is gone, and the disk that was imaged."""

    disk: WholeDisk
    copy: Path
    image: str

    @property
    def program(self) -> Path:
        return self.copy / PROGRAM_NAME


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("plant")
    disk = build_disk(folder, "gpt", PARTS, files=60)
    made = image(folder / "storage", disk.path)
    done = copy(folder / "storage", folder / "stick", program=str(program()))
    assert done["authenticated"] is True
    shutil.rmtree(folder / "storage")
    yield Plant(disk, folder / "stick", made["image"])
    shutil.rmtree(folder)


def assert_restored(plant: Plant, restored: Path, work: Path) -> None:
    with FileSource(str(plant.disk.path)) as source:
        ranges = list(plan_disk(source, read_layout(source), lambda partition: VolumeState.OFFLINE).used)
    assert ranges
    assert same_where_in_use(plant.disk.path, restored, ranges) == []
    for placed in plant.disk.parts:
        volume = plant.disk.volume(placed, restored, work)
        check_volume(placed.part.kind, volume)
        volume.unlink()


def restore_with(plant: Plant, version: str, tmp_path: Path) -> None:
    interpreter = python(version)
    listed = run_program(plant.program, "images", plant.copy, "--json", interpreter=interpreter)
    assert listed.status == 0, listed.errors
    (device,) = listed.document["devices"]
    assert (device["device"], [one["image"] for one in device["images"]]) == ("pc", [plant.image])
    whole = run_program(plant.program, "verify", plant.copy, "pc", "--json", interpreter=interpreter)
    assert (whole.status, whole.document["ok"], whole.document["problems"]) == (0, True, [])
    target = tmp_path / "restored.raw"
    arguments = ("restore", plant.copy, "pc", "--to", "disk0=%s" % target, "--yes")
    done = run_program(plant.program, *arguments, interpreter=interpreter)
    assert done.status == 0, done.errors
    assert_restored(plant, target, tmp_path)


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_an_image_comes_back_by_the_program_alone(version: str, plant: Plant, tmp_path: Path, need) -> None:
    need("sfdisk", "mkntfs", "mke2fs", "mkfs.fat", "sha256sum")
    assert checksums(plant.copy) == []
    assert checksums(plant.copy / "pc" / plant.image) == []
    restore_with(plant, version, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12"])
def test_an_image_comes_back_on_other_pythons(version: str, plant: Plant, tmp_path: Path) -> None:
    restore_with(plant, version, tmp_path)


def test_the_medium_is_read_only_and_runs_no_programs(plant: Plant, tmp_path: Path) -> None:
    """Nothing is unpacked: not beside the program, nor to a temporary folder."""
    target = tmp_path / "restored.raw"
    folders = (
        "for one in /tmp /var/tmp /run /dev/shm; do mount --bind $one $one && mount -o remount,bind,noexec $one; done"
    )
    medium = "mount --bind %s %s && mount -o remount,bind,ro,noexec %s" % ((plant.copy,) * 3)
    script = '%s && %s && exec "$@"' % (folders, medium)
    prefix = ("unshare", "--mount", "--net", "/bin/sh", "-c", script, "sh")
    arguments = ("restore", plant.copy, "pc", "--to", "disk0=%s" % target, "--yes")
    done = run_program(plant.program, *arguments, prefix=prefix)
    assert done.status == 0, done.errors
    assert_restored(plant, target, tmp_path)


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7"])
def test_an_old_python_gets_one_sentence(version: str, plant: Plant) -> None:
    done = subprocess.run(
        [python(version), "-S", str(plant.program), "images", str(plant.copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "needs CPython 3.8 or newer" in done.stderr


def test_a_python_without_a_part_of_its_library_gets_one_sentence(plant: Plant, tmp_path: Path) -> None:
    """Debian's python3-minimal has no json."""
    (tmp_path / "json.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'json'\", name='json')\n", encoding="ascii"
    )
    done = subprocess.run(
        [python("3.11"), "-S", str(plant.program), "images", str(plant.copy)],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "python3-minimal" in done.stderr


def test_a_platform_that_is_not_carried_gets_one_sentence(tmp_path: Path, plant: Plant) -> None:
    built = build_program(str(tmp_path), platforms=["linux-x86_64-glibc-cp311"], cache_folder=str(WHEEL_CACHE))
    done = run_program(Path(built.path), "images", plant.copy, interpreter=python("3.12"))
    assert done.status == 3
    assert done.errors.count("\n") == 1
    assert "linux-x86_64-glibc-cp312" in done.errors
    assert "CPython 3.11" in done.errors


def test_where_files_in_memory_may_not_run_a_private_folder_is_used_and_removed(plant: Plant, tmp_path: Path) -> None:
    """As the kernel answers where vm.memfd_noexec forbids it."""
    folder = tmp_path / "run"
    folder.mkdir()
    (tmp_path / "sitecustomize.py").write_text(
        "import os\ndef refused(*arguments):\n    raise PermissionError(13, 'memfd')\nos.memfd_create = refused\n",
        encoding="ascii",
    )
    done = subprocess.run(
        [python("3.11"), str(plant.program), "images", str(plant.copy), "--json"],
        env={"PYTHONPATH": str(tmp_path), "XDG_RUNTIME_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["devices"]) == 1
    assert list(folder.iterdir()) == []


def test_where_no_folder_of_the_system_lets_programs_run_that_of_the_program_does(plant: Plant, tmp_path: Path) -> None:
    own, site = tmp_path / "stick", tmp_path / "site"
    own.mkdir()
    site.mkdir()
    (own / "program.pyz").symlink_to(plant.program)
    (site / "sitecustomize.py").write_text(
        "import os\n"
        "def refused(*arguments):\n    raise PermissionError(13, 'memfd')\n"
        "real = os.statvfs\n"
        "def statvfs(path):\n"
        "    if str(path) in ('/dev/shm', '/run', '/var/tmp', '/tmp'):\n"
        "        raise PermissionError(13, 'mounted noexec')\n"
        "    return real(path)\n"
        "os.memfd_create, os.statvfs = refused, statvfs\n",
        encoding="ascii",
    )
    done = subprocess.run(
        [python("3.11"), str(own / "program.pyz"), "images", str(plant.copy), "--json"],
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["devices"]) == 1
    assert [one.name for one in own.iterdir()] == ["program.pyz"]


def test_commands_that_come_later_say_so(plant: Plant) -> None:
    for command in (["list", str(plant.copy), "pc", "disk0p1:/"], ["serve", str(plant.copy), "pc", "--disk", "disk0"]):
        done = run_program(plant.program, *command, "--json", password="")
        assert (done.status, done.document["error"]["code"]) == (1, "R130")
    done = run_program(plant.program, "verify", plant.copy, "pc", "--level", "boot", "--json")
    assert (done.status, done.document["error"]["code"]) == (1, "R130")


def test_nothing_is_asked_where_there_is_no_terminal(plant: Plant, tmp_path: Path) -> None:
    target = tmp_path / "restored.raw"
    to = ("--to", "disk0=%s" % target, "--json")
    done = run_program(plant.program, "restore", plant.copy, "pc", *to, "--yes", password="")
    assert (done.status, done.document["error"]["code"]) == (1, "R131")
    done = run_program(plant.program, "restore", plant.copy, "pc", *to)
    assert (done.status, done.document["error"]["code"]) == (1, "R132")
    done = run_program(plant.program, "restore", plant.copy, "pc", *to, "--yes", password="wrong")
    assert done.status == 1
    assert done.document["error"]["code"].startswith("K")
    assert not target.exists()


def test_plan_and_refusals_name_the_options(plant: Plant, tmp_path: Path) -> None:
    planned = run_program(
        plant.program, "plan", plant.copy, "pc", "--to", "disk0=%s" % (tmp_path / "new.raw"), "--json"
    )
    assert planned.status == 0
    assert not (tmp_path / "new.raw").exists()
    full = tmp_path / "full.raw"
    full.write_bytes(os.urandom(plant.disk.path.stat().st_size))
    refused = run_program(plant.program, "restore", plant.copy, "pc", "--to", "disk0=%s" % full, "--yes", "--json")
    assert (refused.status, refused.document["error"]["code"]) == (1, "R102")
    assert "--overwrite" in refused.document["error"]["hint"]
    assert "imaging_" not in json.dumps(refused.document)
    small = tmp_path / "small.raw"
    small.write_bytes(bytes(1 << 20))
    refused = run_program(plant.program, "restore", plant.copy, "pc", "--to", "disk0=%s" % small, "--yes", "--json")
    assert refused.document["error"]["code"] == "R101"


def test_a_partition_alone_and_a_disk_that_is_found_by_itself(plant: Plant, tmp_path: Path) -> None:
    target = tmp_path / "restored.raw"
    words = ("restore", plant.copy, "pc", "--to", "disk0=%s" % target, "--only", "disk0p2", "--yes", "--json")
    done = run_program(plant.program, *words)
    assert done.status == 0, done.errors
    actions = [one["action"] for one in done.document["restore_plan"]["disks"][0]["partitions"]]
    assert actions == ["left unchanged", "kept", "left unchanged"]
    efi, root, windows = plant.disk.parts
    check_volume("ext", plant.disk.volume(root, target, tmp_path))
    assert not any(plant.disk.volume(one, target, tmp_path).read_bytes().strip(b"\0") for one in (efi, windows)), (
        "nothing is written to the others"
    )
    for given in ((), ("--to", "auto"), ("--to", "disk0=auto")):  # the imaged disk is a file: no disk here is that one
        done = run_program(plant.program, "plan", plant.copy, "pc", *given, "--json")
        assert (done.status, done.document["error"]["code"]) == (1, "R168")


def test_a_clear_image_among_encrypted_ones_is_told(tmp_path: Path) -> None:
    """Without a password nothing proves who made it, and nobody is asked for one."""
    disk, storage = tmp_path / "disk.raw", tmp_path / "storage"
    disk.write_bytes(os.urandom(1 << 20))
    image(storage, disk, timestamp="2026-11-20_10-00-00")
    clear = image(storage, disk, timestamp="2026-11-21_10-00-00", secrets={}, allow_clear=True)["image"]
    to = ("--to", "disk0=%s" % (tmp_path / "restored.raw"), "--json")
    planned = run_program(program(), "plan", storage, "pc", *to, "--image", clear, password="")
    assert planned.status == 0, planned.output
    warnings = [json.loads(line) for line in planned.errors.splitlines()]
    assert any(
        clear in one["message"] and "not encrypted" in one["message"] for one in warnings if one["event"] == "warning"
    )


def test_on_a_terminal_it_asks_for_password_and_yes(plant: Plant, tmp_path: Path) -> None:
    target = tmp_path / "restored.raw"
    command = [python("3.11"), "-I", "-S", str(plant.program), "restore", str(plant.copy), "pc"]
    pid, terminal = pty.fork()
    if not pid:
        os.execv(command[0], [*command, "--to", "disk0=%s" % target])
    shown = b""
    for words, answer in ((b"Image password of pc: ", PASSWORD.encode()), (b"Type yes to continue: ", b"yes")):
        while words not in shown:
            shown += os.read(terminal, 4096)
        os.write(terminal, answer + b"\n")
        shown = b""
    shown = drained(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    assert PASSWORD.encode() not in shown
    assert b"\r[" in shown  # the bar
    assert_restored(plant, target, tmp_path)


def drained(terminal: int) -> bytes:
    shown = b""
    try:
        while True:
            part = os.read(terminal, 4096)
            if not part:
                return shown
            shown += part
    except OSError:  # the other end is closed
        return shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_one_sentence_and_the_restore_goes_on_later(
    number: signal.Signals, plant: Plant, tmp_path: Path
) -> None:
    target = tmp_path / "restored.raw"
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n", encoding="ascii")
    command = [
        python("3.11"),
        "-I",
        "-S",
        str(plant.program),
        "restore",
        str(plant.copy),
        "pc",
        "--yes",
        "--password-fd",
        "0",
    ]
    with open(secret, "rb") as password:
        process = subprocess.Popen(
            [*command, "--to", "disk0=%s" % target],
            stdin=password,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(0.1)
        while process.poll() is None and not target.exists():
            time.sleep(0.005)
        process.send_signal(number)
        dummy_output, errors = process.communicate(timeout=60)
    if process.returncode:  # it may have been done already
        assert process.returncode == 128 + number
        assert "Traceback" not in errors
        assert errors.rstrip().endswith("(R134)")
    arguments = ("restore", plant.copy, "pc", "--to", "disk0=%s" % target, "--yes")
    assert run_program(plant.program, *arguments).status == 0
    assert_restored(plant, target, tmp_path)


def test_a_killed_program_leaves_nothing_behind(plant: Plant, tmp_path: Path) -> None:
    watched = [Path(one) for one in ("/tmp", "/var/tmp", "/dev/shm", "/run")]
    command = [python("3.11"), "-I", "-S", str(plant.program), "verify", str(plant.copy), "pc", "--level", "storage"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.7)
    process.kill()
    process.wait()
    assert [one for place in watched for one in place.glob("plantops-recovery-*")] == []
    assert list(tmp_path.iterdir()) == []


def test_the_same_source_makes_the_same_bytes(tmp_path: Path) -> None:
    platforms = ["linux-x86_64-glibc-cp311", "linux-x86_64-glibc-cp38"]
    one = build_program(str(tmp_path / "one"), platforms=platforms, cache_folder=str(WHEEL_CACHE))
    two = build_program(str(tmp_path / "two"), platforms=platforms[::-1], wheel_folder=str(WHEEL_CACHE))
    assert one.sha256 == two.sha256
    assert Path(one.path).read_bytes() == Path(two.path).read_bytes()
    again = build_program(str(tmp_path / "one"), platforms=platforms, cache_folder=str(WHEEL_CACHE))
    assert not again.changed
    looked = build_program(str(tmp_path / "three"), platforms=platforms, cache_folder=str(WHEEL_CACHE), check=True)
    assert (looked.changed, looked.sha256) == (True, one.sha256)
    assert not (tmp_path / "three").exists()


@pytest.fixture
def own_signals() -> Iterator[None]:
    """The program takes the signals of the process that it runs in."""
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize("option", ["STORAGE", "--to"])
@pytest.mark.parametrize("user", [(), ("--user", "line3")])
def test_a_password_in_an_address_is_refused_and_shown_nowhere(
    option: str, user: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = "sftp://line3:geheim-17@backup.plant.example/srv/images"
    words = ["images", address, *user]
    if option == "--to":
        words = ["copy", str(tmp_path), "press-07", "--to", address, *(["--to-user", "line3"] if user else [])]
    assert main([*words, "--json"]) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["error"]["code"] == "S100"
    assert "geheim-17" not in shown.out + shown.err


@pytest.mark.usefixtures("own_signals")
def test_secrets_are_kept_out_of_what_is_told_on_the_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_document(
        document: Dict[str, Any], report: Callable[[Dict[str, Any]], None], *dummy: object
    ) -> Dict[str, Any]:
        report({"event": "warning", "message": "it said %s" % document["secrets"]["password"]})
        return {"images": []}

    monkeypatch.setattr(commands, "run_document", run_document)
    (tmp_path / "secret").write_bytes(b"geheim-17\n")
    with open(tmp_path / "secret", "rb") as secret:
        assert main(["images", str(tmp_path), "press-07", "--password-fd", str(secret.fileno())]) == 0
    shown = capsys.readouterr()
    assert "it said" in shown.err
    assert "geheim-17" not in shown.out + shown.err
