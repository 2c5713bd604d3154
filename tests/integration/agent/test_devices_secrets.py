# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that crosses the connection is captured: no secret is in it, and the device's own image opens nothing of it."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List

import pytest
from engine._libraries import x25519
from engine.agent.sealing import Recipient
from engine.errors import SecretsRefused
from support.device_plays import PlayUnderWay, hold, make_disk, release, result_of
from support.devices import SUDO_PASSWORD, Device, Plant
from support.imaging import image, restore
from support.paths import SUPPORT
from support.plain_disks import PASSWORD
from support.sftp_server import SftpServer

pytestmark = pytest.mark.root
RECORDER = SUPPORT / "record_connection.py"
KEY_BYTES = 32
MOST_BYTES = 64 << 20
FEWEST_DIFFERENT_BYTES = 20  # of a key's 32; that a random one has fewer is less likely than one in a hundred million


@pytest.fixture
def device(tmp_path: Path, need: Callable[..., None]) -> Iterator[Device]:
    """Its sshd runs everything through the recorder, files that are put included."""
    need("unshare", "nsenter", "ip", "sshd", "sudo", "ssh", "openssl", "hostname", "mke2fs")
    device = Device(tmp_path / "devices", "press-5", sudo_password=True)
    (device.data / "capture").mkdir()
    (device.data / "capture").chmod(0o1777)
    # The device's own interpreter; sshd starts it as a program.
    (device.data / "record").write_text("#!/usr/bin/python3\n" + RECORDER.read_text(encoding="utf-8"), encoding="utf-8")
    (device.data / "record").chmod(0o755)
    config = device.changes / "etc" / "ssh" / "device_config"
    text = config.read_text(encoding="utf-8").replace("internal-sftp", "/usr/lib/openssh/sftp-server")
    config.write_text(text + "ForceCommand /data/record\nLogLevel DEBUG3\n", encoding="utf-8")
    make_disk(device.data / "disk.raw")
    with device:
        yield device


def captured(device: Device) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((device.data / "capture").iterdir()))


def sealed_messages(capture: bytes) -> List[Dict[str, str]]:
    found = re.findall(rb'\{"run": "[^"{}]+", "nonce": [^{}]+, "sealed": "[^"{}]+"\}', capture)
    return [json.loads(message) for message in found]


def forms(secret: bytes) -> List[bytes]:
    """The ways in which somebody could have written it down."""
    return [secret, base64.b64encode(secret)[:-4], secret.hex().encode(), secret.hex().upper().encode()]


def memory_of_the_runner(device: Device) -> Iterator[bytes]:
    """Yield what the runner may write to, heap first; root may look there (and nobody else: see test_agent_run_users)."""
    (pid,) = (pid for pid, words in device.processes().items() if "agent.py start" in words and "sudo" not in words)
    lines = Path("/proc/%d/maps" % pid).read_text(encoding="ascii").splitlines()
    lines.sort(key=lambda line: not line.endswith("[heap]"))
    with open("/proc/%d/mem" % pid, "rb") as memory:
        for line in lines:
            place, rights = line.split()[:2]
            start, end = (int(word, 16) for word in place.split("-"))
            if rights.startswith("rw") and end - start < MOST_BYTES:
                memory.seek(start)
                yield memory.read(end - start)


def private_key_in(regions: Iterable[bytes], public_key: bytes) -> bytes:
    """Find the run's private key, which the library keeps as it is, aligned as malloc(3) does."""
    for memory in regions:
        for start in range(0, len(memory) - KEY_BYTES, 16):
            candidate = memory[start : start + KEY_BYTES]
            if len(set(candidate)) >= FEWEST_DIFFERENT_BYTES:
                key = x25519().X25519PrivateKey.from_private_bytes(candidate)
                if key.public_key().public_bytes_raw() == public_key:
                    return candidate
    raise AssertionError("the private key is not where it was looked for")


def opened_with(private_key: bytes, sealed: Dict[str, str]) -> Dict[str, Any]:
    recipient = Recipient(sealed["run"])
    recipient._nonce = base64.b64decode(sealed["nonce"])
    recipient._private_key = x25519().X25519PrivateKey.from_private_bytes(private_key)
    return recipient.open(json.dumps(sealed).encode("ascii"))


def image_of_the_device(device: Device, folder: Path) -> bytes:
    """Make a disk of all that the device has written, image it as an operator would, and return what a restore gives."""
    disk, restored = folder / "device.raw", folder / "device-restored.raw"
    command = ["mke2fs", "-q", "-t", "ext4", "-d", str(device.changes), str(disk), "256M"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    image(folder / "images", disk)
    restore(folder / "images", restored)
    return restored.read_bytes()


def test_what_crosses_the_connection_is_sealed_and_the_devices_own_image_does_not_open_it(
    plant: Plant, device: Device, server: SftpServer, tmp_path: Path
) -> None:
    storage_key = server.key.read_text(encoding="utf-8")
    plant.settings["imaging_limit_read_rate"] = "4"
    with PlayUnderWay(plant, "-vvvv") as play:
        run = hold(device)
        hello = json.loads((device.base / "spool" / run / "hello.json").read_text(encoding="ascii"))
        private_key = private_key_in(memory_of_the_runner(device), base64.b64decode(hello["public_key"]))
        restored = image_of_the_device(device, tmp_path)
        release(device, run)
        played = play.finish()
    assert played.status == 0, played.output
    assert result_of(played, device)["run"] == run

    capture = captured(device)
    log = (device.folder / "sshd.log").read_bytes()
    assert SUDO_PASSWORD.encode() in capture, (
        "sudo asks for it, so it crosses, inside SSH: the recorder sees everything"
    )
    assert b"forced-command" in log, "the log is of a server that tells all it does"
    for secret in (PASSWORD.encode(), storage_key.splitlines()[2].encode()):
        for form in forms(secret):
            for place in (capture, log, restored, played.output.encode()):
                assert form not in place

    (sealed,) = sealed_messages(capture)
    secrets = opened_with(private_key, sealed)
    assert secrets["secrets"]["password"] == PASSWORD, "the key of the run opens what was captured"
    assert secrets["storage"]["private_key"] == storage_key
    with pytest.raises(SecretsRefused):
        opened_with(bytes(reversed(private_key)), sealed)
    assert hello["public_key"].encode() in restored, "the image holds the run's folder"
    for form in forms(private_key):
        assert form not in restored, "the key is on no disk"
    everything = b"".join(path.read_bytes() for path in device.base.rglob("*") if path.is_file())
    for form in forms(private_key):
        assert form not in everything + capture
