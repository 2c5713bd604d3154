# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that every verb over a storage shares."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the storage, the device's directory and the password."""

    DOCUMENTATION = r"""
options:
  storage:
    description:
      - Where the images live.
    type: dict
    required: true
    suboptions:
      url:
        description:
          - The absolute path of a directory that is there, on the machine that does the work (C(file:///path) as well),
            C(sftp://server:port/path) for an SFTP server
            (C(sftp://server/~/path) from the user's home directory), or the UNC path of a share on a Windows or Samba
            server. IPv6 addresses stand in brackets.
          - The directory must be there, on a server and a share too; it is not made. Those of devices below it are.
          - A path through a DFS name space is followed to the server where it leads, with the same credentials. Links of
            the name space inside the directory of images are not followed.
        type: str
        required: true
      port:
        description: TCP port of a share's server, where it is not 445. The port of an SFTP server is part of its URL.
        type: int
      username:
        description: User on the server. C(domain\\user), C(computer\\user) and C(user@domain) are accepted.
        type: str
      password:
        description: Password on the server.
        type: str
      private_key_file:
        description:
          - File with a private key for an SFTP server, on the machine that does the work, in the format of OpenSSH, PEM
            or PKCS#8.
          - A certificate for it is taken from the file of the same name with C(-cert.pub) appended.
        type: path
      private_key:
        description: Text of a private key for an SFTP server; the certificate for it may follow as a line.
        type: str
      private_key_passphrase:
        description: Passphrase of the private key.
        type: str
      host_key:
        description:
          - The host key of the SFTP server, as a fingerprint (C(SHA256:...), what C(ssh-keygen -lf) shows), a line of a
            known_hosts or public key file, or the path of a known_hosts file. Lines and files are read as OpenSSH does, with
            markers, patterns and hashed names.
          - V(accept-new) takes the key that the server shows first, and warns with its fingerprint. It is recorded in
            O(storage.known_hosts_file), where one is given, and holds from then on; else it holds for this run.
          - Either way the result names it. Another key than the recorded one is refused, with both fingerprints.
          - A server whose key is not known is refused; the message names the key's fingerprint.
        type: str
      known_hosts_file:
        description:
          - File of known host keys, in the format of OpenSSH, on the machine that does the work.
          - With O(storage.host_key=accept-new) it may be missing, and a key that is seen first is added to it.
        type: path
      require_encryption:
        description: Refuse a share that can't encrypt what is sent.
        type: bool
        default: false
      time_limit_seconds:
        description:
          - How long one operation may be retried before the run gives up; two minutes at most before a server has
            answered once. A wait is told within ten seconds, and what repeating can't mend is not repeated.
        type: int
        default: 3600
  device_name:
    description:
      - Name of the device's directory on the storage.
    type: str
    required: true
  device_alias:
    description:
      - Written in front of O(device_name), as C(<alias>_<device>).
      - Needed when O(device_name=localhost), because every device is that to itself.
    type: str
    default: ""
"""
