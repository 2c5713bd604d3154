# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host keys of an SFTP server are right: a fingerprint, a line or a file of known hosts, or the first one seen.

Text and files are read by the same rules, those of OpenSSH. The first key seen is recorded where a file of known hosts
is named, as OpenSSH does, and holds from then on.
"""

from __future__ import annotations

import base64
import os
import re
from enum import Enum
from typing import Any, Callable, Iterable, List, Mapping, NoReturn, Optional, Set

from ...amounts import size
from ...errors import (
    StorageCredentialInvalid,
    StorageHostCertificateRefused,
    StorageHostKeyChanged,
    StorageHostKeyUnknown,
)
from ..contract import ServerKey
from ..url import in_home
from . import certificate as sftp_certificate
from .known_hosts import CA, REVOKED, RSA_TYPES, KnownKey, fingerprint, key_of, matches, parse, parse_line, type_of

ACCEPT_NEW = "accept-new"
_PORT = 22
_FINGERPRINT = re.compile(r"(?<![A-Za-z0-9])SHA256:([A-Za-z0-9+/]{43})(?![A-Za-z0-9+/])")
_KEY_TYPE = re.compile(r"ssh-[a-z0-9-]+|ecdsa-sha2-nistp\d+|sk-[a-z0-9-]+@openssh\.com")
_MAX_FILE_BYTES = 32 << 20


class Status(Enum):
    """The knowledge about a key that a server presents."""

    KNOWN = "known"
    NEW = "new"
    CHANGED = "changed"
    REVOKED = "revoked"


class HostKeys:
    """The keys that ``settings`` name for one server.

    ``host_key`` is a fingerprint (or a line with one), a public key, lines of a known_hosts file, the path of one, or
    ``accept-new``; ``known_hosts_file`` is the path of one, which ``accept-new`` adds to.

    :raises StorageCredentialInvalid: when it is none of these.
    """

    def __init__(
        self, host: str, port: int, server: str, settings: Mapping[str, Any], warn: Callable[[str], None]
    ) -> None:
        self._host = host.lower()
        self._name = self._host if port == _PORT else "[%s]:%d" % (self._host, port)
        self._server = server
        self._warn = warn
        self._fingerprints: Set[str] = set()
        self._keys: Set[bytes] = set()
        self._lines: List[KnownKey] = []  # that are about this server
        self._without_port: List[KnownKey] = []  # that are about its name, where it is asked on another port
        self._why_no_certificate = ""
        self._accepts_new = False
        self._file = in_home(str(settings.get("known_hosts_file") or ""))
        self._records = bool(settings.get("records_host_key", True))  # check mode leaves no trace
        self.shown: Optional[ServerKey] = None
        given = str(settings.get("host_key") or "").strip()
        if given == ACCEPT_NEW:
            self._accepts_new = True
        elif given:
            self._learn(given)
        if self._file and not (self._accepts_new and not os.path.exists(self._file)):
            self._load("known_hosts_file", self._file)

    # -- what is known ------------------------------------------------------------------------------------------------

    def _learn(self, given: str) -> None:
        path = in_home(given) if "\0" not in given else ""
        if os.path.isabs(path) and "\n" not in given and not _FINGERPRINT.search(given):
            self._load("host_key", path)
            return
        is_understood = False
        for line in given.splitlines():
            is_understood = self._learn_line(line.strip()) or is_understood
        if not is_understood:
            reason = "it is not a SHA256 fingerprint, a public key, a known_hosts line or file, or accept-new"
            raise StorageCredentialInvalid(setting="host_key", reason=reason)
        if not (self._fingerprints or self._keys or self._lines or self._without_port):
            reason = "none of its lines is for %s" % self._name
            raise StorageCredentialInvalid(setting="host_key", reason=reason)

    def _learn_line(self, line: str) -> bool:
        """Take in a line of text; false where it says nothing."""
        words = line.split()
        if words and _KEY_TYPE.fullmatch(words[0]):  # as in the .pub file: for this server under any name
            key = key_of(words[0], words[1] if len(words) > 1 else "")
            if key is None:
                raise StorageCredentialInvalid(setting="host_key", reason="its key is incomplete")
            self._keys.add(key)
            return True
        found = parse_line(line)
        if found is not None:
            self._add([found])
            return True
        if any(_KEY_TYPE.fullmatch(word) for word in words) or line.startswith(("#", "@")):
            return False
        prints = _FINGERPRINT.findall(line)
        self._fingerprints.update("SHA256:" + one for one in prints)
        return bool(prints)

    def _load(self, setting: str, path: str) -> None:
        try:
            with open(path, "rb") as file:
                content = file.read(_MAX_FILE_BYTES + 1)
        except OSError as error:
            raise StorageCredentialInvalid(setting=setting, reason="%s: %s" % (path, error.strerror)) from None
        if len(content) > _MAX_FILE_BYTES:
            reason = "%s is larger than %s" % (path, size(_MAX_FILE_BYTES))
            raise StorageCredentialInvalid(setting=setting, reason=reason)
        text = content.decode("utf-8", "replace")
        lines = list(parse(text))
        self._add(lines)
        if setting != "host_key" or lines:
            return
        for line in text.splitlines():  # a public key file, as on the server itself
            words = line.split()
            key = key_of(words[0], words[1]) if len(words) > 1 else None
            if key is not None:
                self._keys.add(key)

    def _add(self, lines: Iterable[KnownKey]) -> None:
        for line in lines:
            if matches(line.hosts, self._name):
                self._lines.append(line)
            elif self._name != self._host and matches(line.hosts, self._host):
                self._without_port.append(line)

    def types(self) -> List[str]:
        """The types to ask the server for first: certificates where an authority is known, then those of known keys."""
        lines = [*self._lines, *self._without_port]
        kinds = [type_of(key) for key in self._keys] + [type_of(line.key) for line in lines if not line.marker]
        plain = [name for kind in kinds for name in (RSA_TYPES if kind == "ssh-rsa" else (kind,))]
        if any(line.marker == CA for line in lines):
            return [sftp_certificate.SUFFIX, *plain]
        return plain

    @property
    def may_be_of_another_type(self) -> bool:
        """Whether a server that has keys of several types may have shown another one than was meant."""
        return bool(self._fingerprints)

    # -- what is shown ------------------------------------------------------------------------------------------------

    def is_known(self, key: bytes, certificate: Optional[bytes] = None) -> bool:
        """Whether ``key`` is right; with ``accept-new`` the first one is, is reported and recorded, and stays the
        only one. ``certificate`` is that of the key, where the server shows one.

        :raises StorageCredentialInvalid: when it can't be recorded.
        """
        shown = fingerprint(key)
        found = self.status(key, certificate)
        if found is Status.NEW and self._accepts_new:
            self._accept(key, shown)
            found = Status.KNOWN
        if found is Status.KNOWN and self.shown is None:
            self.shown = ServerKey(shown, False)
        return found is Status.KNOWN

    def status(self, key: bytes, certificate: Optional[bytes] = None) -> Status:
        """The knowledge about ``key``, as OpenSSH would find it."""
        if any(line.marker == REVOKED and line.key == key for line in [*self._lines, *self._without_port]):
            return Status.REVOKED
        if key in self._keys or fingerprint(key) in self._fingerprints:
            return Status.KNOWN
        if certificate is not None:
            found = self._status_of_certificate(key, certificate)
            if found is not None:
                return found
        plain = [line.key for line in self._lines if not line.marker]
        if key in plain:
            return Status.KNOWN
        if plain or self._keys or self._fingerprints:
            return Status.CHANGED
        # As ssh does: a key that is known for the server's name is right on its other ports, too.
        if any(not line.marker and line.key == key for line in self._without_port):
            return Status.KNOWN
        return Status.NEW

    def _status_of_certificate(self, key: bytes, blob: bytes) -> Optional[Status]:
        """The status by a certificate; or None if it does not decide, so that the key itself must be known."""
        lines = self._lines if any(line.marker == CA for line in self._lines) else self._without_port
        parsed = sftp_certificate.parse(blob)
        if parsed is None or parsed.key != key:
            return None
        if any(line.marker == REVOKED and line.key == parsed.authority for line in [*self._lines, *self._without_port]):
            return Status.REVOKED
        if not any(line.marker == CA and line.key == parsed.authority for line in lines):
            return None
        self._why_no_certificate = sftp_certificate.why_not_for_host(parsed, self._host)
        return None if self._why_no_certificate else Status.KNOWN

    def _accept(self, key: bytes, shown: str) -> None:
        if self._file and self._records:
            self._record(key)
        self._keys.add(key)
        self.shown = ServerKey(shown, True)
        recorded = "set it as imaging_storage.host_key"
        if self._file:
            recorded = ("recorded in %s" if self._records else "a run would record it in %s") % self._file
        self._warn(
            "The host key %s of the SFTP server %s was accepted without a check; %s." % (shown, self._server, recorded)
        )

    def _record(self, key: bytes) -> None:
        """Add a line [sshd(8), SSH_KNOWN_HOSTS FILE FORMAT]. A key that can't be recorded would be new every time."""
        line = "%s %s %s\n" % (self._name, type_of(key), base64.b64encode(key).decode("ascii"))
        try:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                if file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n":
                    line = "\n" + line  # else it would become a part of the last line's comment
                file.write(line.encode("ascii"))
        except OSError as error:
            raise StorageCredentialInvalid(
                setting="known_hosts_file", reason="%s: %s" % (self._file, error.strerror)
            ) from None

    def refuse(self, key: bytes, certificate: Optional[bytes] = None) -> NoReturn:
        """:raises StorageHostKeyUnknown, StorageHostKeyChanged, StorageHostCertificateRefused: with the fingerprint."""
        shown = fingerprint(key)
        found = self.status(key, certificate)
        if found is Status.REVOKED:
            raise StorageHostKeyChanged(
                server=self._server,
                fingerprint=shown,
                expected="another: this key, or the authority that signed it, is revoked",
            )
        if found is Status.CHANGED:
            known = {fingerprint(one) for one in self._keys} | self._fingerprints
            known |= {fingerprint(line.key) for line in self._lines if not line.marker}
            expected = " or ".join(sorted(known)[:4])
            raise StorageHostKeyChanged(server=self._server, fingerprint=shown, expected=expected)
        if self._why_no_certificate:
            raise StorageHostCertificateRefused(server=self._server, reason=self._why_no_certificate)
        raise StorageHostKeyUnknown(server=self._server, fingerprint=shown)
