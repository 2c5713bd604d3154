# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host keys of an SFTP server are right: a fingerprint, a line or a file of known hosts, or the first one seen.

The first one seen is recorded where a file of known hosts is named, as OpenSSH does, and holds from then on.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import struct
from typing import Any, Callable, List, Mapping, NoReturn, Optional, Set

from .._libraries import paramiko
from ..errors import StorageCredentialInvalid, StorageHostKeyChanged, StorageHostKeyUnknown
from .contract import ServerKey

ACCEPT_NEW = "accept-new"
_FINGERPRINT = re.compile(r"SHA256:([A-Za-z0-9+/]{43})(?![A-Za-z0-9+/])")
_KEY_TYPE = re.compile(r"(ssh-[a-z0-9-]+|ecdsa-sha2-nistp\d+|rsa-sha2-\d+)(@openssh\.com)?")
RSA_TYPES = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")


def fingerprint(key: bytes) -> str:
    """As ``ssh-keygen -lf`` shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode("ascii").rstrip("=")


class HostKeys:
    """The keys that ``settings`` name for one server.

    ``host_key`` is a fingerprint (or a line with one), a line of a known_hosts or public key file, the path of a
    known_hosts file, or ``accept-new``; ``known_hosts_file`` is the path of one, which ``accept-new`` adds to.

    :raises StorageCredentialInvalid: when it is none of these.
    """

    def __init__(
        self, host: str, port: int, server: str, settings: Mapping[str, Any], warn: Callable[[str], None]
    ) -> None:
        self._host = host
        self._port = port
        self._server = server
        self._warn = warn
        self._fingerprints: Set[str] = set()
        self._types: Set[str] = set()
        self._accepts_new = False
        self._file = str(settings.get("known_hosts_file") or "")
        self._records = bool(settings.get("records_host_key", True))  # check mode leaves no trace
        self.shown: Optional[ServerKey] = None
        given = str(settings.get("host_key") or "").strip()
        if given == ACCEPT_NEW:
            self._accepts_new = True
        elif given:
            self._learn(given)
        if self._file and not (self._accepts_new and not os.path.exists(self._file)):
            self._load("known_hosts_file", self._file)

    def _learn(self, given: str) -> None:
        found = _FINGERPRINT.findall(given)
        if found:
            self._fingerprints.update("SHA256:" + one for one in found)
            return
        path = os.path.expanduser(given) if "\0" not in given else ""
        if os.path.isabs(path) and len(given.split()) == 1:
            self._load("host_key", path)
            return
        for line in given.splitlines():
            words = line.split()
            for kind, data in zip(words, words[1:]):
                if _KEY_TYPE.fullmatch(kind):
                    self._add(kind, data)
                    break
        if not self._fingerprints:
            raise StorageCredentialInvalid(
                setting="host_key", reason="it is no SHA256 fingerprint, no line or file of known hosts, nor accept-new"
            )

    def _add(self, kind: str, data: str) -> None:
        try:
            self._fingerprints.add(fingerprint(base64.b64decode(data, validate=True)))
        except (binascii.Error, ValueError):
            raise StorageCredentialInvalid(setting="host_key", reason="its key is not whole") from None
        self._types.update(RSA_TYPES if kind in RSA_TYPES else (kind,))

    def _load(self, setting: str, path: str) -> None:
        keys = paramiko().HostKeys()
        try:
            keys.load(path)
        except OSError as error:
            raise StorageCredentialInvalid(setting=setting, reason="%s: %s" % (path, error.strerror)) from None
        except Exception as error:
            reason = "%s is no file of known hosts (%s)" % (path, type(error).__name__)
            raise StorageCredentialInvalid(setting=setting, reason=reason) from None
        for kind, key in (keys.lookup(self._name) or {}).items():
            self._fingerprints.add(fingerprint(key.asbytes()))
            self._types.update(RSA_TYPES if kind in RSA_TYPES else (kind,))

    @property
    def _name(self) -> str:
        """As files of known hosts name a server."""
        return self._host if self._port == 22 else "[%s]:%d" % (self._host, self._port)

    def types(self) -> Optional[List[str]]:
        """The types of the known keys, so that the server shows one of these; None where they are not known."""
        return sorted(self._types) or None

    @property
    def may_be_of_another_type(self) -> bool:
        """Whether a server that has keys of several types may have shown another one than was meant."""
        return bool(self._fingerprints) and not self._types and not self._accepts_new

    def is_known(self, key: bytes) -> bool:
        """Whether ``key`` is right; with ``accept-new`` the first one is, is reported and recorded, and stays the
        only one.

        :raises StorageCredentialInvalid: when it can't be recorded.
        """
        shown = fingerprint(key)
        if self._accepts_new and not self._fingerprints:
            if self._file and self._records:
                self._record(key)
            self._fingerprints.add(shown)
            self.shown = ServerKey(shown, True)
            recorded = "give it as imaging_storage.host_key"
            if self._file:
                recorded = ("recorded in %s" if self._records else "a run would record it in %s") % self._file
            self._warn(
                "The host key %s of the SFTP server %s was not checked before: it was accepted unseen; %s."
                % (shown, self._server, recorded)
            )
        is_right = shown in self._fingerprints
        if is_right and self.shown is None:
            self.shown = ServerKey(shown, False)
        return is_right

    def _record(self, key: bytes) -> None:
        """Add a line [sshd(8), SSH_KNOWN_HOSTS FILE FORMAT]. A key that can't be recorded would be new every time."""
        (length,) = struct.unpack_from(">I", key)
        kind = key[4 : 4 + length].decode("ascii", "replace")
        line = "%s %s %s\n" % (self._name, kind, base64.b64encode(key).decode("ascii"))
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(line.encode("ascii"))
        except OSError as error:
            raise StorageCredentialInvalid(
                setting="known_hosts_file", reason="%s: %s" % (self._file, error.strerror)
            ) from None

    def refuse(self, key: Optional[bytes]) -> NoReturn:
        """:raises StorageHostKeyUnknown, StorageHostKeyChanged: with the fingerprint of ``key``; None for a server
        that has no key of a known type."""
        shown = fingerprint(key) if key is not None else "of another type"
        if self._fingerprints:
            expected = " or ".join(sorted(self._fingerprints)[:4])
            raise StorageHostKeyChanged(server=self._server, fingerprint=shown, expected=expected)
        raise StorageHostKeyUnknown(server=self._server, fingerprint=shown)
