# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server that hangs up on SMB 2 speaks SMB 1: asked only to say so. SMB 1 is never used."""

from __future__ import annotations

import socket
import struct

_SECONDS = 5.0
_ANSWER_BYTES = 4 + 32 + 1 + 2  # up to the number of the dialect
_DIALECTS = b"\x02NT LM 0.12\0\x02SMB 2.002\0\x02SMB 2.???\0"
_NONE_OF_THEM = 0xFFFF
# [MS-CIFS 2.2.3.1, 2.2.4.52], [MS-SMB2 3.2.4.2.2.1]: SMB_COM_NEGOTIATE; who knows SMB 2 answers with SMB 2.
_HEADER = struct.pack("<4sBIBH12xHHHH", b"\xffSMB", 0x72, 0, 0x18, 0xC001, 0, 1, 0, 1)
_QUESTION = _HEADER + struct.pack("<BH", 0, len(_DIALECTS)) + _DIALECTS


def speaks_smb_1(host: str, port: int) -> bool:
    """Whether the server, asked for SMB 1 and SMB 2 at once, chooses SMB 1."""
    try:
        with socket.create_connection((host, port), _SECONDS) as connection:
            connection.sendall(struct.pack(">I", len(_QUESTION)) + _QUESTION)
            answer = b""
            while len(answer) < _ANSWER_BYTES:
                piece = connection.recv(_ANSWER_BYTES - len(answer))
                if not piece:
                    return False
                answer += piece
    except OSError:
        return False
    (chosen,) = struct.unpack_from("<H", answer, _ANSWER_BYTES - 2)
    return answer[4:8] == b"\xffSMB" and chosen != _NONE_OF_THEM
