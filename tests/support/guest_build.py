# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the system disk of a Debian guest: GPT, BIOS boot, a mounted EFI partition, root on LVM with free extents.

The tree comes from debootstrap. Since the machine that tests may have no device mapper, the disk is laid out inside the
guest: its kernel boots once from a plain file with the tree, and a script in place of init fills the empty disk. The result
is kept under the user's cache, by the hash of this recipe.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Dict, List

from .sftp_server import make_key

RELEASE = "bookworm"
GROUP = "plant"
DISK_BYTES = 2304 << 20
_PACKAGES = (
    "linux-image-cloud-amd64 systemd-sysv udev kmod lvm2 openssh-server python3 grub-pc-bin grub2-common initramfs-tools "
    "dosfstools fdisk iproute2 dbus busybox sudo"
)
_INSTALL = """#!/bin/sh
# Runs in place of init, once.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
fail() { echo "GUEST-INSTALL-FAILED"; sync; echo o > /proc/sysrq-trigger; sleep 60; }
trap fail EXIT
set -ex
mountpoint -q /proc || mount -t proc proc /proc
mountpoint -q /sys || mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /mnt
/usr/lib/systemd/systemd-udevd --daemon
udevadm trigger
udevadm settle
sfdisk -q /dev/vdb <<TABLE
label: gpt
start=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649
size=48MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
size=1800MiB, type=E6D6D379-F507-44C2-A23C-238F2A3DF928
size=400MiB, type=E6D6D379-F507-44C2-A23C-238F2A3DF928
TABLE
udevadm settle
mkfs.vfat -F 32 -n EFI /dev/vdb2
vgcreate plant /dev/vdb3 /dev/vdb4
lvcreate -q -n root -L 1000M plant /dev/vdb3
lvcreate -q -n swap -L 32M plant /dev/vdb3
lvextend -q -L +100M plant/root /dev/vdb3
lvcreate -q -n data -i 2 -I 64k -L 192M plant
lvcreate -q -n spare -L 32M plant /dev/vdb4
mkfs.ext4 -q -L root /dev/plant/root
mkfs.ext4 -q -L data /dev/plant/data
mkfs.ext4 -q -L spare /dev/plant/spare
mkswap /dev/plant/swap
mkdir /mnt/root
mount /dev/plant/root /mnt/root
mkdir /mnt/source
mount -o bind / /mnt/source
cp -a /mnt/source/. /mnt/root/
rm /mnt/root/sbin/guest-install
mkdir -p /mnt/root/boot/efi /mnt/root/boot/grub /mnt/root/data
mount /dev/vdb2 /mnt/root/boot/efi
mkdir -p /mnt/root/boot/efi/EFI/debian
cp /usr/share/common-licenses/GPL-3 /mnt/root/boot/efi/EFI/debian/grubx64.efi
for name in dev proc sys run; do mount -o bind /$name /mnt/root/$name; done
chroot /mnt/root grub-install --target=i386-pc --no-floppy /dev/vdb
for name in run sys proc dev boot/efi; do umount /mnt/root/$name; done
umount /mnt/root
vgchange -q -an plant
sync
trap - EXIT
echo "GUEST-INSTALL-DONE"
echo o > /proc/sysrq-trigger
sleep 60
"""
_FILES = {
    "etc/hostname": "plant-guest\n",
    "etc/hosts": "127.0.0.1 localhost plant-guest\n",
    "etc/fstab": (
        "/dev/mapper/plant-root / ext4 errors=remount-ro 0 1\nLABEL=EFI /boot/efi vfat umask=0077 0 2\n"
        "/dev/mapper/plant-data /data ext4 defaults 0 2\n/dev/mapper/plant-swap none swap sw 0 0\n"
    ),
    "etc/systemd/network/10-all.network": (
        "[Match]\nName=en* eth*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    ),
    "etc/ssh/sshd_config.d/test.conf": "PermitRootLogin prohibit-password\nUseDNS no\nUsePAM no\n",
    "boot/grub/grub.cfg": (
        "set timeout=0\nserial --unit=0 --speed=115200\nterminal_output serial\n"
        "menuentry guest {\n  linux {kernel} root=/dev/mapper/plant-root ro console=ttyS0 panic=10 systemd.show_status=no\n"
        "  initrd {initrd}\n}\n"
    ),
    "etc/machine-id": "5b1d7a3c9e0f4d2a8c6b4e2f1a0d9c8b\n",
}
_MASKED = ("systemd-timesyncd.service", "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer")
_DISPENSABLE = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man")


class GuestDisk:
    """A finished disk in the cache, never written to again, and the key that root's login takes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "disk.qcow2"
        self.key = folder / "key"
        self.host_key = folder / "host_key.pub"
        self.log = folder / "build.log"


def cache_folder() -> Path:
    """Where what takes minutes to make is kept between test runs."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plantops-imaging-tests"
    base.mkdir(parents=True, exist_ok=True)
    return base


def mirror() -> str:
    """Where this machine's own packages come from."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Component: main"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return found[0]


def guest_disk(release: str = RELEASE) -> GuestDisk:
    """Return the disk of this Debian release, made now if the cache has none of this recipe."""
    base = cache_folder()
    recipe = "\0".join([release, _PACKAGES, _INSTALL, repr(_FILES), repr(_MASKED), str(DISK_BYTES)])
    folder = base / ("guest-" + hashlib.sha256(recipe.encode()).hexdigest()[:16])
    with open(base / ("lock-guest-" + release), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test processes make it once
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=str(base), prefix=".making-") as making:
                _make(Path(making), release)
                os.rename(os.path.join(making, "done"), str(folder))
    return GuestDisk(folder)


def _make(folder: Path, release: str) -> None:
    done = folder / "done"
    done.mkdir(mode=0o700)
    tree = folder / "tree"
    with open(done / "build.log", "wb") as log:
        run_logged(
            [
                "debootstrap",
                "--variant=minbase",
                "--include=" + ",".join(_PACKAGES.split()),
                release,
                str(tree),
                mirror(),
            ],
            log,
        )
        install = tree / "sbin/guest-install"
        install.write_text(_INSTALL, encoding="utf-8")
        install.chmod(0o755)
        kernel, initrd = settle_tree(tree, done, {})
        source, target = folder / "tree.ext4", folder / "disk.raw"
        with open(source, "wb") as file:
            file.truncate(1000 << 20)
        run_logged(["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(source)], log)
        with open(target, "wb") as file:
            file.truncate(DISK_BYTES)
        output = run_logged(
            [
                *qemu_command(1024),
                *("-kernel", str(tree) + kernel, "-initrd", str(tree) + initrd),
                *("-append", "root=/dev/vda rw console=ttyS0 panic=-1 quiet init=/sbin/guest-install"),
                *("-drive", "file=%s,format=raw,if=virtio,snapshot=on,cache=unsafe" % source),
                *("-drive", "file=%s,format=raw,if=virtio,cache=unsafe,discard=unmap" % target),
                *("-serial", "stdio"),
            ],
            log,
        )
        if b"GUEST-INSTALL-DONE" not in output:
            raise AssertionError("the guest could not be made: " + output.decode("utf-8", "replace")[-3000:])
        run_logged(["qemu-img", "convert", "-O", "qcow2", str(target), str(done / "disk.qcow2")], log)


def qemu_command(memory_mib: int) -> List[str]:
    """The guest's machine without disks and network: software emulation, since a test must not need the host's.

    Without the HPET: on a loaded host a guest has stood still for ever in the moment when its kernel took it as its clock.
    """
    return [
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-machine", "pc,hpet=off", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(memory_mib)),
        *("-device", "virtio-rng-pci"),
    ]


def settle_tree(tree: Path, done: Path, files: Dict[str, str]) -> List[str]:
    """Make a tree of debootstrap a guest that root can log in to; return its kernel and its initramfs.

    :param done: the folder that takes the keys. :param files: what differs from the guest on LVM.
    """
    key = make_key(done / "key")
    shutil.copy(str(tree / "etc/ssh/ssh_host_ed25519_key.pub"), str(done / "host_key.pub"))
    kernel = next(tree.glob("boot/vmlinuz-*")).name
    initrd = next(tree.glob("boot/initrd.img-*")).name
    names = ["/boot/" + kernel, "/boot/" + initrd]
    for path, text in {**_FILES, **files}.items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.replace("{kernel}", names[0]).replace("{initrd}", names[1]), encoding="utf-8")
    login = tree / "root/.ssh"
    login.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(str(key) + ".pub", str(login / "authorized_keys"))
    system = tree / "etc/systemd/system"
    for name in _MASKED:
        (system / name).symlink_to("/dev/null")
    wanted = system / "multi-user.target.wants"
    wanted.mkdir(exist_ok=True)
    (wanted / "systemd-networkd.service").symlink_to("/lib/systemd/system/systemd-networkd.service")
    for path in _DISPENSABLE:
        shutil.rmtree(str(tree / path), ignore_errors=True)
    (tree / "var/cache/apt/archives/partial").mkdir(parents=True)
    return names


def run_logged(command: List[str], log: object) -> bytes:
    """Run a command to its end and keep what it said."""
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900
    )
    log.write(done.stdout)  # type: ignore[attr-defined]
    if done.returncode:
        raise AssertionError("%s failed: %s" % (command[0], done.stdout.decode("utf-8", "replace")[-3000:]))
    return done.stdout
