# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a path of a DFS name space really lies: one question to the server that has it [MS-DFSC 2.2]."""

from __future__ import annotations

from typing import Any, List

from .._libraries import smbprotocol

_ASK = 0x00060194  # FSCTL_DFS_GET_REFERRALS
_NO_FILE = b"\xff" * 16
_IS_FSCTL = 1
_VERSION = 4
_MOST_BYTES = 56 * 1024
_MOST_TARGETS = 8


def ask(connection: Any, session: Any, server: str, path: str) -> List[str]:
    """Return the paths, as ``\\\\server\\share\\...``, that ``path`` of ``server`` stands for; none if it is not a name of DFS.

    :param path: ``\\\\server\\share\\...`` as well.
    :raises Exception: any exception that the library raises for an invalid answer.
    """
    refusal = smbprotocol("exceptions").SMBResponseException
    tree = smbprotocol("tree").TreeConnect(session, "\\\\%s\\IPC$" % server)
    ioctl, dfs = smbprotocol("ioctl"), smbprotocol("dfs")
    question = dfs.DFSReferralRequest()
    question["max_referral_level"] = _VERSION
    question["request_file_name"] = path[1:]
    request = ioctl.SMB2IOCTLRequest()
    request["ctl_code"] = _ASK
    request["file_id"] = _NO_FILE
    request["max_output_response"] = _MOST_BYTES
    request["flags"] = _IS_FSCTL
    request["buffer"] = question
    try:
        tree.connect()
        sent = connection.send(request, sid=session.session_id, tid=tree.tree_connect_id)
        response = connection.receive(sent)
    except refusal:
        return []
    body = ioctl.SMB2IOCTLResponse()
    body.unpack(response["data"].get_value())
    answer = dfs.DFSReferralResponse()
    answer.unpack(body["buffer"].get_value())
    rest = path[1:][answer["path_consumed"].get_value() // 2 :]
    entries = answer["referral_entries"].get_value()[:_MOST_TARGETS]
    return [_joined(str(entry.network_address), rest) for entry in entries]


def _joined(address: str, rest: str) -> str:
    return "\\\\" + "\\".join(name for name in (address + "\\" + rest).split("\\") if name)
