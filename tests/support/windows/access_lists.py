# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access lists as Windows has them, on a double whose files have the modes of their host.

The share's are kept by smbd. Those that a program asks Wine for come from modes, so the agent's question is corrected in
each installation before its service starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterable

from engine.smb import link as smb
from engine.smb.login import DeviceConnector
from engine.smb.security import administrators_only
from engine.smb.unc import UncPath
from smbprotocol.open import SMB2SetInfoRequest  # type: ignore[import-untyped]

_OWNER_AND_LIST = 0x1 | 0x4  # [MS-SMB2 2.2.39]
_CHANGES = 0x40000 | 0x80000  # WRITE_DAC, WRITE_OWNER
CORRECTION = """

_asked = descriptor_of


def descriptor_of(path):  # the double's
    return _asked(path).replace("S-1-5-21-0-0-0-1000", "BA").replace(";;;WD)", ";;;BA)").replace("D:(", "D:P(")
"""


def give_to_administrators(port: int, username: str, password: str, share: str, folders: Iterable[str]) -> None:
    """Let the folders of a share belong to the administrators, as Windows' own do."""
    settings = {"port": port, "username": username, "password": password}
    link = DeviceConnector(UncPath("127.0.0.1", share, ()), settings, 30.0).connect()
    try:
        for folder in folders:
            handle = link.open(folder, smb.READ_SECURITY | _CHANGES)
            message = SMB2SetInfoRequest()
            message["info_type"], message["file_info_class"] = 3, 0
            message["additional_information"] = _OWNER_AND_LIST
            message["file_id"], message["buffer"] = handle.open.file_id, administrators_only()
            link.answer(link.send(message))
            link.close(handle)
    finally:
        link.log_off()


def correct_answers(drive: Path) -> None:
    """Let the installations below a drive find the lists that Windows would have."""
    name = "plantops-imaging/*/code/engine/host/windows_security.py"
    for path in [*drive.glob("Program Files/" + name), *drive.glob("KRC/share/" + name)]:
        text = path.read_text(encoding="utf-8")
        if CORRECTION not in text:
            path.write_text(text + CORRECTION, encoding="utf-8")
