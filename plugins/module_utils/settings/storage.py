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
            (
                "A directory, C(sftp://server:port/path) for an SFTP server, or the UNC path of a share on a "
                "Windows or Samba server."
            ),
            (
                "A directory is an absolute path (or C(file:///path)) on the machine that runs the task. On an SFTP "
                "server C(sftp://server/~/path) starts at the home directory of the user. Write IPv6 addresses in "
                "brackets."
            ),
            "The directory must exist, also on a server or share. Only the device directories below it are created.",
            (
                "A path through a DFS namespace is resolved to its target server, with the same credentials. DFS links "
                "below the storage directory are not followed."
            ),
        ),
        required=True,
    ),
    Setting(
        "port",
        "int",
        (
            "TCP port of the server of a share, if it is not 445.",
            "The port of an SFTP server is part of its URL.",
        ),
        minimum=1,
        maximum=65535,
    ),
    Setting(
        "username",
        "str",
        (
            "User name on the server.",
            "C(domain\\\\user), C(computer\\\\user) and C(user@domain) are accepted.",
        ),
    ),
    Setting("password", "str", ("Password on the server.",), secret=True),
    Setting(
        "private_key_file",
        "str",  # a path would be expanded on the controller
        (
            "File with a private key for an SFTP server, on the machine that runs the task.",
            "C(~) is the home directory of the user there.",
            "The format is OpenSSH, PEM or PKCS#8.",
            "If a file of the same name with C(-cert.pub) appended exists, it is used as the certificate of the key.",
        ),
    ),
    Setting(
        "private_key",
        "str",
        (
            "Text of a private key for an SFTP server.",
            "The certificate of the key may follow as an additional line.",
        ),
        secret=True,
    ),
    Setting("private_key_passphrase", "str", ("Passphrase of the private key.",), secret=True),
    Setting(
        "host_key",
        "str",
        (
            "The host key of the SFTP server: a fingerprint, a known_hosts line or file, or V(accept-new).",
            (
                "A fingerprint is the output of C(ssh-keygen -lf) (C(SHA256:...)). A line comes from a known_hosts or "
                "public key file. Lines and files are interpreted as in OpenSSH, including markers, patterns and "
                "hashed names."
            ),
            (
                "V(accept-new) accepts the first key that the server presents, with a warning that shows its "
                "fingerprint. The key is recorded in O(storage.known_hosts_file), if set, and required from then on; "
                "otherwise it applies to this run only."
            ),
            (
                "The result contains the fingerprint. A key that differs from the recorded one is refused, and the "
                "message shows both fingerprints."
            ),
            "A server with an unknown key is refused; the message shows its fingerprint.",
        ),
    ),
    Setting(
        "known_hosts_file",
        "str",
        (
            "File of known host keys in OpenSSH format, on the machine that runs the task.",
            "C(~) is the home directory of the user there.",
            "With O(storage.host_key=accept-new) the file may be missing, and new keys are added to it.",
        ),
    ),
    Setting(
        "require_encryption",
        "bool",
        ("Refuse a share that does not support encrypted connections.",),
        default=False,
    ),
    Setting(
        "own_ntlm",
        "bool",
        (
            "On a Windows device, log in to a share with the NTLM of the engine instead of that of Windows.",
            "Rules of the device that restrict NTLM, and Kerberos, do not apply then.",
        ),
        default=False,
    ),
    Setting(
        "time_limit_seconds",
        "int",
        (
            "How long a single operation is retried before the run fails.",
            (
                "At most two minutes before the first response of the server. The run reports a wait within ten "
                "seconds, and does not retry failures that a retry can't fix."
            ),
        ),
        default=3600,
        unit="seconds",
        minimum=0,
    ),
)
# The settings of a login. Where the operator's settings have one of them, they replace all of these.
CREDENTIALS = ("username", "password", "private_key_file", "private_key", "private_key_passphrase")


def _for_the_operator(key: Setting) -> Setting:
    if key.name == "url":
        words = "A different URL of the same storage, if the operator needs one."
        return replace(key, description=(words,), required=False)
    return replace(key, default=None)


OPERATOR_KEYS: Tuple[Setting, ...] = tuple(_for_the_operator(key) for key in STORAGE_KEYS)
# The keys of a storage that a credential type can set, one variable each: the last part of the variable's name is the
# key.
FLAT = ("url", "username", "password", "private_key", "private_key_passphrase", "host_key")


def flat_keys(storage: str, verbs: Tuple[str, ...]) -> Tuple[Setting, ...]:
    """Return the settings that fill what the setting ``storage`` does not say, key by key."""
    keys = {key.name: key for key in STORAGE_KEYS}
    return tuple(
        replace(
            keys[name],
            name="%s_%s" % (storage, name),
            description=("Used as C(%s) of O(%s), if that does not set it." % (name, storage),),
            verbs=verbs,
            required=False,
            default="",
            default_words="none",
            role_only=True,
        )
        for name in FLAT
    )
