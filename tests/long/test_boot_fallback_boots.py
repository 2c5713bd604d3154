# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A firmware without boot entries (OVMF) starts a restored disk by its boot fallback: Debian's signed shim and GRUB find their configuration."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Callable, Dict

import pytest
from support.efi_volumes import put
from support.plain_guest import uefi
from support.resizing import make_scene
from support.whole_disks import Part, WholeDisk, copy_range

pytestmark = [pytest.mark.long, pytest.mark.root]
_PACKAGES = ("shim-signed", "shim-helpers-amd64-signed", "grub-efi-amd64-signed")
_FILES = {
    "shimx64.efi": "usr/lib/shim/shimx64.efi.signed",
    "mmx64.efi": "usr/lib/shim/mmx64.efi.signed",
    "grubx64.efi": "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
}
_SAID = "the-configuration-of-debian-was-found"
_CONFIG = 'echo "%s"\necho "from $cmdpath with $prefix"\nsleep 3\nhalt\n' % _SAID
_SECONDS = 240


@pytest.fixture(scope="module")
def loaders(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, bytes]:
    """The loaders as Debian signs them, and a grub.cfg in the folder that they were built for."""
    folder = tmp_path_factory.mktemp("packages")
    # apt drops its rights, and may not write into a folder of ours.
    command = ["apt-get", "-o", "APT::Sandbox::User=root", "download", *_PACKAGES]
    subprocess.run(command, cwd=str(folder), check=True, capture_output=True)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)
    found = {"EFI/debian/" + name: (folder / place).read_bytes() for name, place in _FILES.items()}
    return dict(found, **{"EFI/debian/grub.cfg": _CONFIG.encode("ascii")})


def started(folder: Path, disk: Path, seconds: float) -> str:
    """What a machine with new firmware says on its serial line until it is silent for good, or the time is over."""
    words = folder / "said"
    command = ["qemu-system-x86_64", "-m", "512", "-nographic", "-monitor", "none", "-serial", "file:%s" % words]
    command += ["-net", "none", "-no-reboot", *uefi(folder), "-drive", "file=%s,format=raw,if=ide" % disk]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as machine:
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end and machine.poll() is None:
                if words.exists() and (_SAID.encode("ascii") in words.read_bytes() or b"Shell>" in words.read_bytes()):
                    time.sleep(2)
                    break
                time.sleep(0.5)
        finally:
            machine.kill()
    return words.read_text(encoding="utf-8", errors="replace")


def test_a_machine_that_does_not_know_the_disk_starts_it(
    loaders: Dict[str, bytes], tmp_path: Path, need: Callable[..., None]
) -> None:
    need("qemu-system-x86_64", "dpkg-deb", "apt-get", "sfdisk", "mkfs.fat", "mcopy")

    def prepare(disk: WholeDisk, folder: Path) -> None:
        volume = disk.volume(disk.parts[0], disk.path, folder)
        put(volume, loaders)
        copy_range(volume, 0, disk.path, disk.parts[0].start_bytes, disk.parts[0].size_bytes)

    scene = make_scene(tmp_path / "scene", "gpt", [Part("efi", "fat", 64, ("-F", "32"))], files=30, prepare=prepare)
    target = scene.target(0)
    scene.restore(target)
    assert _SAID not in started(tmp_path / "without", target, _SECONDS)
    target = scene.target(0)
    done = scene.restore(target, boot_fallback="yes")
    assert len(done["restore_plan"]["disks"][0]["files_added"]) == 3
    said = started(tmp_path / "with", target, _SECONDS)
    assert _SAID in said, said[-2000:]
