# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a storage: of the site's, of a job's, and of the operator's, which need not say everything again."""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

from .setting import Setting

STORAGE_KEYS: Tuple[Setting, ...] = (
    Setting(
        "url",
        "str",
        (
            "A directory, C(sftp://server:port/path) for an SFTP server, or the UNC path of a share on a Windows or Samba server.",
            "A directory is an absolute path on the machine that does the work (C(file:///path) as well). On an SFTP server"
            " C(sftp://server/~/path) begins at the user's home directory. IPv6 addresses stand in brackets.",
            "The directory must be there, on a server and a share too; it is not made. Those of devices below it are.",
            "A path through a DFS name space is followed to the server where it leads, with the same credentials. Links of the"
            " name space inside the directory of images are not followed.",
        ),
        required=True,
    ),
    Setting(
        "port",
        "int",
        (
            "TCP port of a share's server, where it is not 445.",
            "The port of an SFTP server is part of its URL.",
        ),
        minimum=1,
        maximum=65535,
    ),
    Setting(
        "username",
        "str",
        (
            "User on the server.",
            "C(domain\\\\user), C(computer\\\\user) and C(user@domain) are accepted.",
        ),
    ),
    Setting("password", "str", ("Password on the server.",), secret=True),
    Setting(
        "private_key_file",
        "path",
        (
            "File with a private key for an SFTP server, on the machine that does the work.",
            "Its format is that of OpenSSH, PEM or PKCS#8.",
            "A certificate for it is taken from the file of the same name with C(-cert.pub) appended.",
        ),
    ),
    Setting(
        "private_key",
        "str",
        (
            "Text of a private key for an SFTP server.",
            "The certificate for it may follow as a line.",
        ),
        secret=True,
    ),
    Setting("private_key_passphrase", "str", ("Passphrase of the private key.",), secret=True),
    Setting(
        "host_key",
        "str",
        (
            "The SFTP server's host key, as fingerprint, line or file of known hosts, or V(accept-new).",
            "A fingerprint is what C(ssh-keygen -lf) shows (C(SHA256:...)); a line is one of a known_hosts or public key file."
            " Lines and files are read as OpenSSH does, with markers, patterns and hashed names.",
            "V(accept-new) takes the key that the server shows first, and warns with its fingerprint. It is recorded in"
            " O(storage.known_hosts_file), where one is given, and holds from then on; else it holds for this run.",
            "Either way the result names it. Another key than the recorded one is refused, with both fingerprints.",
            "A server whose key is not known is refused; the message names the key's fingerprint.",
        ),
    ),
    Setting(
        "known_hosts_file",
        "path",
        (
            "File of known host keys, in the format of OpenSSH, on the machine that does the work.",
            "With O(storage.host_key=accept-new) it may be missing, and a key that is seen first is added to it.",
        ),
    ),
    Setting(
        "require_encryption",
        "bool",
        ("Refuse a share that can't encrypt what is sent.",),
        default=False,
    ),
    Setting(
        "time_limit_seconds",
        "int",
        (
            "How long one operation may be retried before the run gives up.",
            "Two minutes at most before a server has answered once. A wait is told within ten seconds, and what repeating can't"
            " mend is not repeated.",
        ),
        default=3600,
        unit="seconds",
        minimum=0,
    ),
)
# What a login consists of. Where the operator's settings say anything, they take the place of all of these.
CREDENTIALS = ("username", "password", "private_key_file", "private_key", "private_key_passphrase")


def _for_the_operator(key: Setting) -> Setting:
    if key.name == "url":
        words = "Another way to the same storage, where the operator needs one."
        return replace(key, description=(words,), required=False)
    return replace(key, default=None)


OPERATOR_KEYS: Tuple[Setting, ...] = tuple(_for_the_operator(key) for key in STORAGE_KEYS)
