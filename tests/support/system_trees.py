# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File trees of small systems: Debian 11, 12 and 13, an rpm and an apk distribution, with the records of each as it writes them."""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
import struct
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Packages = Dict[str, str]
SECRET_HASH = "$y$j9T$0123456789abcdef$SECRETHASHSECRETHASH"
_DEBIANS = {"debian11": ("11", "bullseye", "5.10.0-30-amd64"), "debian12": ("12", "bookworm", "6.1.0-26-amd64")}
_DEBIANS["debian13"] = ("13", "trixie", "6.12.41+deb13-amd64")
SYSTEMS = (*_DEBIANS, "rpm", "ndb", "apk")
_NAME, _VERSION, _RELEASE, _EPOCH, _ARCHITECTURE = 1000, 1001, 1002, 1003, 1022


class System(NamedTuple):
    """The root of a system, and the kind that it is of."""

    root: Path
    kind: str

    def write(self, place: str, text: str) -> Path:
        path = self.root / place.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def link(self, place: str, target: str) -> None:
        path = self.root / place.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def append(self, place: str, text: str) -> None:
        self.write(place, (self.root / place.lstrip("/")).read_text(encoding="utf-8") + text)

    def packages(self, packages: Packages) -> None:
        """Write the database of packages as the system's own tool would."""
        if self.kind.startswith("debian"):
            self.write("/var/lib/dpkg/status", "".join(map(_dpkg, packages, packages.values())))
        elif self.kind == "apk":
            text = "".join(
                "C:Q1abc=\nP:%s\nV:%s\nA:x86_64\nT:a package\nF:usr/bin\nR:x\n\n" % one for one in packages.items()
            )
            self.write("/lib/apk/db/installed", text)
        elif self.kind == "rpm":
            _write_sqlite(self.root / "var/lib/rpm/rpmdb.sqlite", packages)
        else:
            _write_ndb(self.root / "usr/lib/sysimage/rpm/Packages.db", packages)


PACKAGES: Packages = {"bash": "5.2.15-2", "openssh-server": "9.2p1-2", "zlib": "1.2.13-1", "tzdata": "2024b-0"}


def build(root: Path, kind: str) -> System:
    """Build the system of a kind below ``root``."""
    system = System(root, kind)
    root.mkdir(parents=True, exist_ok=True)
    _release(system)
    system.packages(PACKAGES)
    system.write("/etc/hostname", "press-07\n")
    system.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    system.write(
        "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\noperator:x:1000:1000:Line 3,,,:/home/operator:/bin/sh\n"
    )
    system.write("/etc/shadow", "root:%s:19700:0:99999:7:::\noperator:!:19700:0:99999:7:::\n" % SECRET_HASH)
    system.write("/etc/group", "root:x:0:\nsudo:x:27:operator\noperator:x:1000:\n")
    system.write("/etc/hosts", "127.0.0.1 localhost\n10.0.0.9 plc-1 # the press\n")
    mounts = "//nas/x /mnt cifs user=me,password=geheim 0 0\ncurlftpfs#ftp://me:geheim@nas/x /ftp fuse rw 0 0\n"
    system.write("/etc/fstab", "UUID=aa / ext4 errors=remount-ro 0 1\n" + mounts)
    system.write("/etc/crontab", "SHELL=/bin/sh\n17 * * * * root run-parts /etc/cron.hourly\n")
    system.write("/etc/cron.daily/tidy", "#!/bin/sh\n")
    system.write("/etc/cron.d/.placeholder", "# none\n")
    _services(system)
    _kernel(system)
    system.write("/etc/ssl/certs/own.pem", certificate("press-07", 2031))
    system.link("/etc/ssl/certs/0123abcd.0", "own.pem")
    return system


def _release(system: System) -> None:
    if system.kind in _DEBIANS:
        number, name, dummy_kernel = _DEBIANS[system.kind]
        text = 'PRETTY_NAME="Debian GNU/Linux %s (%s)"\nID=debian\nVERSION_ID="%s"\n' % (number, name, number)
    elif system.kind == "apk":
        text = 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME="Alpine Linux v3.20"\n'
    else:
        text = 'NAME="Rocky Linux"\nID="rocky"\nVERSION_ID="9.4"\nPRETTY_NAME="Rocky Linux 9.4 (Blue Onyx)"\n'
    system.write("/usr/lib/os-release", text)
    system.link("/etc/os-release", "../usr/lib/os-release")
    system.link("/etc/localtime", "/usr/share/zoneinfo/Europe/Berlin")


def _services(system: System) -> None:
    if system.kind == "apk":
        for name in ("sshd", "crond", "chronyd"):
            system.write("/etc/init.d/" + name, "#!/sbin/openrc-run\n")
        system.link("/etc/runlevels/default/sshd", "/etc/init.d/sshd")
        system.link("/etc/runlevels/default/chronyd", "/etc/init.d/chronyd")
        system.write(
            "/etc/network/interfaces", "auto eth0\niface eth0 inet static\n\taddress 10.0.0.5/24\n\tgateway 10.0.0.1\n"
        )
        return
    units = "/usr/lib/systemd/system"
    if system.kind == "debian11":
        units = "/lib/systemd/system"  # /lib was a directory of its own
    else:
        system.link("/lib", "usr/lib")
    text = "[Unit]\nDescription=x\n[Service]\nExecStart=/usr/sbin/%s -D\n[Install]\nWantedBy=multi-user.target\nAlias=%s.service\n"
    for name, alias in (("ssh", "sshd"), ("chrony", "chronyd"), ("codesys", "plc")):
        system.write("%s/%s.service" % (units, name), text % (name, alias))
    system.write(units + "/static.service", "[Service]\nExecStart=/bin/true\n")
    system.write(units + "/getty@.service", "[Service]\nExecStart=/sbin/agetty\n[Install]\nWantedBy=getty.target\n")
    system.write(units + "/tidy.timer", "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n")
    for name in ("ssh", "codesys"):
        system.link("/etc/systemd/system/multi-user.target.wants/%s.service" % name, "%s/%s.service" % (units, name))
    system.link("/etc/systemd/system/getty.target.wants/getty@tty1.service", units + "/getty@.service")
    system.link("/etc/systemd/system/timers.target.wants/tidy.timer", units + "/tidy.timer")
    system.link("/etc/systemd/system/sshd.service", units + "/ssh.service")
    system.link("/etc/systemd/system/bluetooth.service", "/dev/null")
    address = "address1=10.0.0.5/24,10.0.0.1\n"
    if system.kind.startswith("debian"):
        system.write(
            "/etc/network/interfaces", "auto eth0\niface eth0 inet static\n\taddress 10.0.0.5/24\n\tgateway 10.0.0.1\n"
        )
    else:
        keyfile = "[connection]\nid=line\ninterface-name=eth0\n[wifi-security]\npsk=geheim\n[ipv4]\nmethod=manual\n"
        system.write("/etc/NetworkManager/system-connections/line.nmconnection", keyfile + address)


def _kernel(system: System) -> None:
    version = _DEBIANS[system.kind][2] if system.kind in _DEBIANS else "5.14.0-427.el9.x86_64"
    system.write("/proc/sys/kernel/osrelease", version + "\n")
    system.write("/proc/sys/kernel/arch", "x86_64\n")
    system.write("/proc/meminfo", "MemTotal:        8017240 kB\n")
    system.write(
        "/proc/modules",
        "e1000e 299008 0 - Live 0x0\nnls_utf8 16384 1 - Live 0x0\nvendor_fieldbus 20480 2 - Live 0x0 (OE)\n",
    )
    base = "/sys/devices/pci0000:00/0000:00:1f.6"
    for name, text in (("vendor", "0x8086"), ("device", "0x15bb"), ("class", "0x020000")):
        system.write("%s/%s" % (base, name), text + "\n")
    system.link("/sys/bus/pci/devices/0000:00:1f.6", "../../../devices/pci0000:00/0000:00:1f.6")
    system.link(base + "/driver", "../../../bus/pci/drivers/e1000e")
    system.link("/sys/bus/pci/drivers/e1000e/module", "../../../../module/e1000e")
    system.write("/sys/module/e1000e/version", "3.2.6-k\n")
    system.write("/sys/class/net/eth0/address", "02:00:00:00:00:01\n")
    header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    row = "   0: 00000000:%04X 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 %d 1 0 100 0\n"
    system.write("/proc/net/tcp", header + row % (22, 5001) + row % (41234, 5002))
    for pid, name, inode, started in (
        (700, "sshd", 5001, 500),
        (900, "sshd-child", 5001, 900),
        (701, "rpc.mountd", 5002, 600),
    ):
        system.link("/proc/%d/exe" % pid, "/usr/sbin/" + name)
        system.link("/proc/%d/fd/3" % pid, "socket:[%d]" % inode)
        system.write("/proc/%d/stat" % pid, "%d (%s) S %s\n" % (pid, name, " ".join(["0"] * 18 + [str(started)])))
        system.write("/proc/%d/cgroup" % pid, "0::/system.slice/ssh.service\n")


def _dpkg(name: str, version: str) -> str:
    return (
        "Package: %s\nStatus: install ok installed\nPriority: optional\nArchitecture: amd64\nVersion: %s\n"
        "Conffiles:\n /etc/%s.conf 0123\nDescription: a package\n Version: not this\n .\n and more\n\n"
        % (name, version, name)
    )


def _rpm_header(name: str, version: str) -> bytes:
    """The blob of a package, as lib/header.c of rpm writes it: counts, entries, data."""
    number, dummy, release = version.partition("-")
    data, entries = b"", []
    fields: List[Tuple[int, str]] = [(_NAME, name), (_VERSION, number), (_RELEASE, release), (_ARCHITECTURE, "x86_64")]
    for tag, text in fields:
        entries.append(struct.pack(">IIII", tag, 6, len(data), 1))
        data += text.encode() + b"\0"
    data += bytes(-len(data) % 4)
    entries.insert(3, struct.pack(">IIII", _EPOCH, 4, len(data), 1))
    data += struct.pack(">I", 1 if name == "openssh-server" else 0)
    return struct.pack(">II", len(entries), len(data)) + b"".join(entries) + data


def _write_sqlite(path: Path, packages: Packages) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
        rows = [(_rpm_header(*one),) for one in packages.items()]
        database.executemany("INSERT INTO Packages (blob) VALUES (?)", rows)
        database.commit()


def _write_ndb(path: Path, packages: Packages) -> None:
    """One page of slots, then the blobs, in units of 16 bytes; lib/backend/ndb/rpmpkg.c."""
    page, blobs = bytearray(4096), b""
    struct.pack_into("<4sIII", page, 0, b"RpmP", 0, 1, 1)
    for at in range(32, 4096, 16):
        struct.pack_into("<4s", page, at, b"Slot")
    for number, one in enumerate(packages.items(), 1):
        header = _rpm_header(*one)
        blob = struct.pack("<4sIII", b"BlbS", number, 1, len(header)) + header
        blob += bytes(-len(blob) % 16)
        place = (len(page) + len(blobs)) // 16
        struct.pack_into("<4sIII", page, 32 + 16 * number, b"Slot", number, place, len(blob) // 16)
        blobs += blob
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(page) + blobs)


def certificate(name: str, year: int) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start, end = datetime.datetime(2021, 1, 1), datetime.datetime(year, 5, 6)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 7, start, end)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def touch_everything(root: Path) -> None:
    """Change what changes by itself: the times of all files."""
    for path in root.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (1, 1))
