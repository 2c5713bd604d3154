# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device document of file trees of Debian 11 to 13, of an rpm and of an apk system; and what changes in it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from engine.device.compare.compare import compare
from engine.device.compare.words import changes, diff, headline, lines
from engine.device.document.collect import collect
from engine.device.document.names import SECTIONS
from support.system_trees import PACKAGES, SECRET_HASH, SYSTEMS, System, build, touch_everything

# Partition 1 of an imaged disk, as a run describes it.
_PARTITION = {
    "number": 1,
    "start_bytes": 1 << 20,
    "length_bytes": 10 << 20,
    "type_id": "t",
    "unique_id": "u",
    "name": "",
}
GEOMETRY = {"scheme": "gpt", "disk_id": "x", "size_bytes": 1 << 30, "sector_bytes": 512}


def disk(length_bytes: int = 10 << 20) -> Dict[str, Any]:
    layout = dict(GEOMETRY, partitions=[dict(_PARTITION, length_bytes=length_bytes, bootable=False)])
    volume = {"number": 1, "kind": "ext4", "label": "data", "uuid": "v", "size_bytes": length_bytes, "name": ""}
    return {"name": "disk0", "stable_id": "serial:S3", "path": "/no/such.raw", "layout": layout, "volumes": [volume]}


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> System:
    return build(tmp_path / "root", request.param)


def document(system: System, **more: Any) -> Dict[str, Any]:
    return collect(str(system.root), [disk(**more)])


def sections(system: System) -> Dict[str, Dict[str, Dict[str, Any]]]:
    found: Dict[str, Dict[str, Dict[str, Any]]] = document(system)["sections"]
    return found


def paths(before: Dict[str, Any], after: Dict[str, Any]) -> List[Tuple[str, str]]:
    """Each difference as its kind and place, without numbers of lines."""
    found = compare(before, after)["sections"]
    return sorted(
        (kind, "%s/%s%s" % (section, entry["key"], "." + entry["field"] if kind == "changed" else ""))
        for section, kinds in found.items()
        for kind, entries in kinds.items()
        for entry in entries
    )


def test_every_section_of_every_system_is_read(system: System) -> None:
    found = document(system)
    assert found["schema_version"] == 1
    assert found["unreadable"] == {}
    assert set(found["sections"]) == set(SECTIONS) - {"drives"}
    empty = {name for name, items in found["sections"].items() if not items}
    assert empty == {"volumes", "updates"}


def test_packages_are_those_of_the_database(system: System) -> None:
    expected = dict(PACKAGES)
    if system.kind in ("rpm", "ndb"):
        expected["openssh-server"] = "1:" + expected["openssh-server"]
    software = sections(system)["software"]
    assert {name: item["version"] for name, item in software.items()} == expected
    assert {item["source"] for item in software.values()} == {
        system.kind.rstrip("123").replace("ndb", "rpm").replace("debian", "dpkg")
    }


def test_no_secret_and_no_hash_is_in_the_document(system: System) -> None:
    text = json.dumps(document(system))
    assert SECRET_HASH not in text
    assert "SECRETHASH" not in text
    assert "geheim" not in text
    users = sections(system)["users"]
    assert (users["root"]["password"], users["operator"]["password"]) == ("set", "locked")
    assert users["root"]["password_changed"] == "2023-12-09"


def test_times_of_files_and_what_the_kernel_counts_are_no_difference(system: System) -> None:
    before = document(system)
    touch_everything(system.root)
    system.write("/proc/meminfo", "MemTotal:        8017100 kB\n")
    system.append("/proc/modules", "nls_iso8859_1 16384 1 - Live 0x0\ndm_snapshot 57344 0 - Live 0x0\n")
    rows = (system.root / "proc/net/tcp").read_text().replace(":A112", ":A20A")  # the port that the kernel chose
    system.write("/proc/net/tcp", rows)
    for old, new in ((700, 1700), (900, 1900), (701, 1701)):
        (system.root / ("proc/%d" % old)).rename(system.root / ("proc/%d" % new))
    assert document(system) == before


def test_what_was_done_to_a_device_is_the_difference_and_nothing_else(system: System) -> None:
    before = document(system)
    packages = dict(PACKAGES, nginx="1.24-1")
    del packages["zlib"]
    system.packages(packages)
    expected = [("added", "software/nginx"), ("removed", "software/zlib")]
    if system.kind == "apk":
        (system.root / "etc/runlevels/default/sshd").unlink()
        expected += [("changed", "services/sshd.runlevels"), ("changed", "services/sshd.start")]
    else:
        (system.root / "etc/systemd/system/multi-user.target.wants/codesys.service").unlink()
        expected += [("changed", "services/codesys.service.start")]
    system.append("/etc/passwd", "service:x:1001:1001::/home/service:/bin/bash\n")
    system.append("/etc/shadow", "service:%s:20000:0:99999:7:::\n" % SECRET_HASH)
    system.append("/etc/group", "service:x:1001:\n")
    expected += [("added", "users/service"), ("added", "groups/service")]
    command = "/usr/local/bin/sync --token=geheim"
    if system.kind == "apk":
        system.write("/etc/crontabs/root", "5 4 * * * %s\n" % command)
        expected += [("added", "scheduled_tasks//etc/crontabs/root: /usr/local/bin/sync --token=***")]
    else:
        system.write("/etc/cron.d/sync", "5 4 * * * root %s\n" % command)
        expected += [("added", "scheduled_tasks//etc/cron.d/sync: /usr/local/bin/sync --token=***")]
    for place in ("etc/network/interfaces", "etc/NetworkManager/system-connections/line.nmconnection"):
        if (system.root / place).exists():
            system.write(place, (system.root / place).read_text().replace("10.0.0.5", "10.0.0.6"))
    expected += [("changed", "network/eth0.configured")]
    expected += [("changed", "partitions/serial:S3 partition 1.size_bytes")]
    after = document(system, length_bytes=20 << 20)
    assert paths(before, after) == sorted(expected)
    told = compare(before, after, "2026-11-22_13-45-10")
    assert told["count"] == len(expected) == len(changes(told)) == len(lines(told))
    assert "%d differences" % len(expected) in headline(told)
    assert "geheim" not in json.dumps(told)
    assert diff(told)["before"].splitlines() != diff(told)["after"].splitlines()


@pytest.mark.parametrize("kind", ["debian11", "debian12", "debian13", "rpm"])
def test_units_start_as_systemd_says(kind: str, tmp_path: Path) -> None:
    services = sections(build(tmp_path, kind))["services"]
    starts = {name: item["start"] for name, item in services.items()}
    assert starts == {
        "bluetooth.service": "masked",
        "chrony.service": "disabled",
        "codesys.service": "enabled",
        "getty@tty1.service": "enabled",
        "ssh.service": "enabled",
        "static.service": "static",
    }
    assert services["ssh.service"]["program"] == "/usr/sbin/ssh -D"


def test_services_of_openrc(tmp_path: Path) -> None:
    services = sections(build(tmp_path, "apk"))["services"]
    assert {name: item["start"] for name, item in services.items()} == {
        "chronyd": "enabled",
        "crond": "disabled",
        "sshd": "enabled",
    }


def test_drivers_modules_certificates_and_ports(tmp_path: Path) -> None:
    found = sections(build(tmp_path, "debian12"))
    assert found["drivers"]["pci 0000:00:1f.6"] == {"driver": "e1000e", "module": "e1000e", "version": "3.2.6-k"}
    assert {name: item["because"] for name, item in found["kernel_modules"].items()} == {
        "e1000e": "hardware",
        "vendor_fieldbus": "not part of the kernel",
    }
    certificate = found["certificates"]["/etc/ssl/certs/own.pem"]
    assert (certificate["subject"], certificate["expires"]) == ("CN=press-07", "2031-05-06 00:00:00 UTC")
    assert list(found["certificates"]) == ["/etc/ssl/certs/own.pem"]
    ports = {key: item["program"] for key, item in found["listening_ports"].items()}
    assert ports == {"tcp 0.0.0.0:22": "sshd", "tcp 0.0.0.0 port of rpc.mountd": "rpc.mountd"}
    assert found["mounts"]["/mnt"]["options"] == "user=me,password=***"
    assert found["mounts"]["/ftp"]["source"] == "curlftpfs#ftp://me:***@nas/x"
    assert found["network"]["host 10.0.0.9"] == {"names": ["plc-1"]}
    assert found["operating_system"]["system"]["time_zone"] == "Europe/Berlin"


def test_a_lent_address_is_told_without_its_value(tmp_path: Path) -> None:
    system = build(tmp_path, "debian12")
    system.write("/etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n")
    system.write("/etc/resolv.conf", "nameserver 10.0.0.1\n")
    route = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
    system.write("/proc/net/route", route + "eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\n")
    before = document(system)
    assert before["sections"]["network"]["default route"] == {"gateways": ["dynamic by eth0"]}
    system.write("/etc/resolv.conf", "# generated again\nnameserver 10.9.9.9\n")
    system.write("/proc/net/route", route + "eth0\t00000000\t0109000A\t0003\t0\t0\t0\t00000000\n")
    assert document(system) == before


def test_a_section_that_is_unreadable_says_why_and_the_others_are_read(tmp_path: Path) -> None:
    system = build(tmp_path, "rpm")
    (tmp_path / "var/lib/rpm/rpmdb.sqlite").write_bytes(b"this is not a database" * 100)
    before = document(build(tmp_path / "other", "rpm"))
    after = document(system)
    assert list(after["unreadable"]) == ["software"]
    assert "/var/lib/rpm/rpmdb.sqlite" in after["unreadable"]["software"]
    told = compare(before, after)
    assert told["sections"] == {}
    assert [one["section"] for one in told["not_compared"]] == ["software"]


def test_a_berkeley_database_of_another_system_says_why(tmp_path: Path) -> None:
    system = build(tmp_path, "rpm")
    (tmp_path / "var/lib/rpm/rpmdb.sqlite").unlink()
    system.write("/var/lib/rpm/Packages", "x")
    assert "Berkeley DB" in document(system)["unreadable"]["software"]


def test_hostile_records_are_bounded_and_tamed(tmp_path: Path) -> None:
    system = build(tmp_path, "debian12")
    system.append(
        "/var/lib/dpkg/status", "Package: evil\x1b[2J\nStatus: install ok installed\nVersion: %s\n\n" % ("9" * 5000)
    )
    system.append("/etc/passwd", "rtl\u202e:x:1:1:::\nx:x:99999999999999999999:1:::\n")
    os.mkfifo(tmp_path / "etc/cron.d/fifo")
    system.link("/etc/cron.d/out", "/../../../../../../etc/passwd")
    system.link("/etc/cron.d/loop", "loop")
    system.write("/usr/lib/systemd/system/odd.service", "=\n[\n[Service]\nExecStart\n")
    (tmp_path / "etc/ssl/certs/bad.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    system.append("/etc/group", "a\n:::\n" + "g:x:5:%s\n" % ",".join("m%d" % number for number in range(5000)))
    found = document(system)
    assert found["unreadable"] == {}
    assert "evil\\x1b[2J" in found["sections"]["software"]
    assert len(found["sections"]["software"]["evil\\x1b[2J"]["version"]) == 500
    assert found["sections"]["users"]["rtl\\u202e"]["uid"] == 1
    assert found["sections"]["users"]["x"]["uid"] is None
    assert found["sections"]["certificates"]["/etc/ssl/certs/bad.pem"]["problem"]
    assert len(found["sections"]["groups"]["g"]["members"]) == 201
    assert json.dumps(found).isascii()


def test_too_much_of_anything_is_a_reason_and_no_document_without_end(tmp_path: Path) -> None:
    system = build(tmp_path, "debian12")
    system.write("/etc/passwd", "".join("u%d:x:1:1:%s:/:/bin/sh\n" % (number, "x" * 200) for number in range(19_000)))
    found = document(system)
    assert found["unreadable"] == {"users": "it is too large for the document"}
    assert len(json.dumps(found)) < 4 << 20
    system.write("/etc/passwd", "".join("u%d:x:1:1::/:/bin/sh\n" % number for number in range(30_000)))
    assert list(document(system)["unreadable"]) == ["users"]


def test_an_empty_tree_and_none_are_a_document_too(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "none"):
        found = collect(str(root))
        assert found["unreadable"] == {}
        assert found["sections"]["software"] == {}


def test_a_link_does_not_leave_the_root(tmp_path: Path) -> None:
    system = build(tmp_path / "root", "debian12")
    (tmp_path / "outside").write_text("outside:x:0:0:::\n")
    (tmp_path / "root/etc/passwd").unlink()
    system.link("/etc/passwd", "../../../../../../../outside")
    assert sections(system)["users"] == {}
    shutil.copy(tmp_path / "outside", tmp_path / "root/outside")
    assert list(sections(system)["users"]) == ["outside"]
