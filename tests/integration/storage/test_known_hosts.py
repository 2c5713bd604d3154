# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of known hosts mean what they mean to OpenSSH: compared with ssh-keygen -F, and with what ssh itself does."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set

import pytest
from engine.errors import StorageCredentialInvalid, StorageHostKeyChanged, StorageHostKeyUnknown
from engine.storage.sftp.hostkey import HostKeys, Status
from engine.storage.sftp.known_hosts import matches, parse
from engine.storage.sftp.storage import SftpStorage
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sftp_server import SftpServer, make_key


def public(key: Path) -> str:
    return " ".join(key.with_suffix(".pub").read_text(encoding="utf-8").split()[:2])


class Keys:
    """A server and keys that are not its own."""

    def __init__(self, folder: Path, server: SftpServer) -> None:
        self.server = server
        self.name = "[127.0.0.1]:%d" % server.port
        self.right = " ".join(server.host_key_line.split()[:2])
        self.other, self.ca = (public(make_key(folder / name)) for name in ("other", "ca"))
        self.rsa = public(make_key(folder / "rsa", "rsa"))
        self.key = base64.b64decode(self.right.split()[1])


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    folder = tmp_path_factory.mktemp("known")
    with SftpServer(folder / "server") as server:
        yield Keys(folder, server)


def hashed(folder: Path, line: str) -> str:
    """The line as ssh-keygen -H writes it."""
    path = folder / "to-hash"
    path.write_text(line + "\n", encoding="utf-8")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, stderr=subprocess.DEVNULL)
    return path.read_text(encoding="utf-8").strip()


# What is in the file; %(name)s is the server as files of known hosts name it, %(hash)s its hash.
TABLE: Dict[str, str] = {
    "the key": "%(name)s %(right)s",
    "without an end of line": "#\n%(name)s %(right)s",
    "with a comment": "%(name)s %(right)s root@server, of 2019",
    "among several names": "a.example,%(name)s,b %(right)s",
    "upper case": "[127.0.0.1]:%(port)s,PLANT.Example %(right)s",
    "hashed": "%(hash)s",
    "tabs and blanks": "  \t%(name)s\t \t%(tabbed)s",
    "windows": "# made on windows\r\n%(name)s %(right)s\r\n",
    "another key": "%(name)s %(other)s",
    "a key of another type": "%(name)s %(rsa)s",
    "the key and another of its type": "%(name)s %(other)s\n%(name)s %(right)s",
    "the key and one of another type": "%(name)s %(rsa)s\n%(name)s %(right)s",
    "a star": "* %(right)s",
    "stars and questions": "[127.0.?.*]:%(port)s %(right)s",
    "a pattern with another key": "[127.*]:%(port)s %(other)s",
    "a class is no pattern": "[127.0.0.[0-9]]:%(port)s %(right)s",
    "negated": "!%(name)s,[127.0.0.1]:* %(right)s",
    "negated with another key": "!%(name)s,[127.0.0.1]:* %(other)s",
    "negated alone": "!%(name)s %(right)s",
    "negated by a pattern": "%(name)s,![127.*]:* %(right)s",
    "another is negated": "!other.example,%(name)s %(right)s",
    "another host": "other.example %(right)s",
    "the name without the port": "127.0.0.1 %(right)s",
    "another key for the name without the port": "127.0.0.1 %(other)s",
    "both names, the wrong one with the port": "127.0.0.1 %(right)s\n%(name)s %(other)s",
    "both names, the right one with the port": "127.0.0.1 %(other)s\n%(name)s %(right)s",
    "another port": "[127.0.0.1]:2 %(right)s",
    "revoked": "@revoked * %(right)s\n%(name)s %(right)s",
    "revoked alone": "@revoked %(name)s %(right)s",
    "revoked for another host": "@revoked other.example %(right)s\n%(name)s %(right)s",
    "another one is revoked": "@revoked * %(other)s\n%(name)s %(right)s",
    "an authority beside it": "@cert-authority *.example %(ca)s\n%(name)s %(right)s",
    "an authority alone": "@cert-authority * %(ca)s",
    "the key as an authority": "@cert-authority * %(right)s",
    "an unknown marker": "@trusted %(name)s %(right)s",
    "two markers": "@revoked @revoked %(name)s %(right)s",
    "a marker without a blank": "@revoked",
    "a key that is cut off": "%(name)s %(cut)s",
    "a cut key beside it": "%(name)s %(cut)s\n%(name)s %(right)s",
    "a type that is not the key's": "%(name)s ssh-rsa %(data)s",
    "no type": "%(name)s %(data)s",
    "a short name of the type": "%(name)s ED25519 %(data)s",
    "of the first protocol": "%(name)s 1024 35 1234567890\n%(name)s %(right)s",
    "nothing but a name": "%(name)s",
    "nothing": "",
    "comments": "# %(name)s %(right)s\n   # %(name)s %(right)s",
    "zeros and noise": "\x01\x02 \x03\n\xff\xfe %(right)s\n%(name)s %(right)s",
}


def text_of(keys: Keys, shape: str, folder: Path) -> str:
    line = "%s %s" % (keys.name, keys.right)
    return shape % {
        "name": keys.name,
        "port": keys.server.port,
        "right": keys.right,
        "tabbed": keys.right.replace(" ", "\t  "),
        "data": keys.right.split()[1],
        "cut": keys.right[:-12],
        "other": keys.other,
        "rsa": keys.rsa,
        "ca": keys.ca,
        "hash": hashed(folder, line) if "%(hash)s" in shape else "",
    }


def as_ssh(keys: Keys, path: Path, strict: str) -> bool:
    """Whether ssh takes the server for the right one: it then gets to the login, of which it has no way."""
    options = {
        "UserKnownHostsFile": str(path),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": strict,
        "PreferredAuthentications": "none",
        "BatchMode": "yes",
        "LogLevel": "ERROR",
        "HashKnownHosts": "no",
    }
    words = [word for name, value in options.items() for word in ("-o", "%s=%s" % (name, value))]
    command = ["ssh", "-F", "none", *words, "-p", str(keys.server.port), "nobody@127.0.0.1", "true"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=30, check=False)
    said = done.stderr.decode("utf-8", "replace")
    assert ("Permission denied" in said) != ("Host key verification failed" in said), said
    return "Permission denied" in said


@pytest.mark.parametrize("what", sorted(TABLE))
def test_a_file_means_what_it_means_to_ssh(keys: Keys, tmp_path: Path, what: str) -> None:
    path = tmp_path / "known_hosts"
    content = text_of(keys, TABLE[what], tmp_path).encode("latin-1")
    for strict, more in (("yes", {}), ("accept-new", {"host_key": "accept-new"})):
        outcomes = []
        for ours in (False, True):
            path.write_bytes(content)
            if ours:
                known = HostKeys("127.0.0.1", keys.server.port, "s", dict(more, known_hosts_file=str(path)), print)
                outcomes.append((known.is_known(keys.key), path.read_bytes() != content))
            else:
                outcomes.append((as_ssh(keys, path, strict), path.read_bytes() != content))
        assert outcomes[1] == outcomes[0], "%s: ssh %s, here %s" % (strict, outcomes[0], outcomes[1])


@pytest.mark.parametrize("what", sorted(TABLE))
def test_text_means_what_the_file_means(keys: Keys, tmp_path: Path, what: str) -> None:
    """But a text that says nothing of this server is refused before anything is sent."""
    text = text_of(keys, TABLE[what], tmp_path)
    path = tmp_path / "known_hosts"
    path.write_bytes(text.encode("latin-1"))
    of_file = HostKeys("127.0.0.1", keys.server.port, "s", {"known_hosts_file": str(path)}, print).status(keys.key)
    try:
        of_text = HostKeys("127.0.0.1", keys.server.port, "s", {"host_key": text}, print).status(keys.key)
    except StorageCredentialInvalid:
        assert of_file is Status.NEW
        return
    assert of_text is of_file


def test_what_is_recorded_beside_a_last_line_without_an_end(keys: Keys, tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text("old.example %s" % keys.other, encoding="utf-8")
    with SftpStorage(keys.server.settings(host_key="accept-new", known_hosts_file=str(path))) as storage:
        storage.list("")
    assert [matches(line.hosts, keys.name) for line in parse(path.read_text(encoding="utf-8"))] == [False, True]
    assert as_ssh(keys, path, "yes")


def test_over_the_wire(keys: Keys, tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"

    def opened(**given: Any) -> None:
        with SftpStorage(keys.server.settings(**{"host_key": None, **given})) as storage:
            storage.list("")

    path.write_text("@revoked * %s\n[127.*]:* %s\n" % (keys.rsa, keys.right), encoding="utf-8")
    opened(known_hosts_file=str(path))
    opened(host_key=str(path))
    opened(host_key=path.read_text(encoding="utf-8"))
    path.write_text("[127.*]:* %s\n" % keys.other, encoding="utf-8")
    for wrong in ({"known_hosts_file": str(path)}, {"known_hosts_file": str(path), "host_key": "accept-new"}):
        with pytest.raises(StorageHostKeyChanged):
            opened(**wrong)
    with pytest.raises(StorageHostKeyChanged):
        opened(host_key="@revoked * " + keys.right)
    with pytest.raises(StorageHostKeyUnknown):
        opened(host_key="@cert-authority * " + keys.ca)
    with pytest.raises(StorageHostKeyChanged):
        opened(host_key=keys.server.fingerprint, known_hosts_file=str(revoking(path, keys)))


def revoking(path: Path, keys: Keys) -> Path:
    path.write_text("@revoked %s %s\n" % (keys.name, keys.right), encoding="utf-8")
    return path


# -- which lines a name finds -----------------------------------------------------------------------------------------

PIECES = st.text(alphabet="aB1.*?!,:[]-|", min_size=1, max_size=8)
NAMES = ["a", "b.a", "[a]:2222", "a1", "10.1.1.1", "[::1]:22022", "ab-1.a"]
PUBLIC = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))).decode("ascii")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(PIECES, st.sampled_from(NAMES)), min_size=1, max_size=30))
def test_patterns_find_what_ssh_keygen_finds(tmp_path_factory: pytest.TempPathFactory, fields: List[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "patterns"
    path.write_text("".join("%s %s\n" % (field, PUBLIC) for field in fields), encoding="utf-8")
    lines = [(number, line) for number, text in enumerate(fields, 1) for line in parse("%s %s" % (text, PUBLIC))]
    for name in NAMES[:4]:
        command = ["ssh-keygen", "-F", name, "-f", str(path)]
        out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode()
        theirs: Set[int] = {
            int(line.split("found: line ")[1].split()[0]) for line in out.splitlines() if "found: line" in line
        }
        assert {number for number, line in lines if matches(line.hosts, name)} == theirs


def test_a_line_of_a_thousand_stars_takes_no_time() -> None:
    assert not matches("*a" * 500 + "b", "a" * 255)
    assert matches("*" * 1022, "a")
    assert not matches("*" * 1023, "a")  # longer than ssh reads
