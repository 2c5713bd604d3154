# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadow copies without writers, by Win32_ShadowCopy in PowerShell, where the requester of a backup fails.

Each volume is as after a loss of power, and they are made one after the other. Such a copy stays until it is deleted, so it is on
record before its program answers. Sources: Win32_ShadowCopy, "Create method of the Win32_ShadowCopy class" (return values, the
context ClientAccessible).
"""

from __future__ import annotations

import contextlib
import random
import re
import time
import uuid
from typing import Callable, Dict, List, Optional, Sequence

from ...host.windows_powershell import run_script
from ...tame import one_line
from ..contract import VSS_CRASH
from . import record
from .copies import ShadowCopies
from .interface import Shadow

_SECONDS = 900.0  # for one script; a busy device needs minutes
_CODE_DIGITS = 11  # of 32 bits
_IN_PROGRESS = 9
_IN_PROGRESS_SECONDS = 600.0
_PAUSE_SECONDS = 5.0
_VOLUME = re.compile(r"\\\\\?\\Volume\{[0-9a-fA-F-]{36}\}\\")
_DEVICE = re.compile(r"\\\\\?\\GLOBALROOT\\Device\\\w{1,100}")
_CREATE = (
    "$ErrorActionPreference='Stop';try{"
    "$made=([wmiclass]'root\\cimv2:Win32_ShadowCopy').Create('%(volume)s','ClientAccessible');"
    "if($made.ReturnValue -ne 0){'code='+$made.ReturnValue;exit};"
    "$id=$made.ShadowID.Trim('{}').ToLower();"
    "'id='+$id;Set-ItemProperty -Path 'HKLM:\\%(key)s' -Name $id -Value '%(owner)s'"
    "}catch{'failed='+$_.Exception.Message}"
)
_LIST = (
    "$ErrorActionPreference='Stop';try{"
    "Get-WmiObject -Query 'select * from Win32_ShadowCopy where ID=''{%(id)s}'''"
    "|ForEach-Object{'device='+$_.DeviceObject};'listed='"
    "}catch{'failed='+$_.Exception.Message}"
)
_DELETE = (
    "$ErrorActionPreference='Stop';try{"
    "Get-WmiObject -Query 'select * from Win32_ShadowCopy where ID=''{%(id)s}'''|ForEach-Object{$_.Delete()};'deleted='"
    "}catch{'failed='+$_.Exception.Message}"
)
_CODES: Dict[int, str] = {
    1: "access is denied",
    2: "it calls an argument invalid",
    3: "it does not find the volume",
    4: "it does not support this volume",
    5: "it does not support this kind of shadow copy",
    6: "there is not enough room for shadow storage",
    7: "the volume is in use",
    8: "the volume has as many shadow copies as Windows allows",
    _IN_PROGRESS: "another program is making a shadow copy",
    10: "the provider of shadow copies refused",
    11: "the provider of shadow copies is not registered",
    12: "the provider of shadow copies failed",
    13: "it met an unexpected error",
}
Run = Callable[[str, float], List[str]]


class CopyRefused(Exception):
    """Windows made no shadow copy of a volume. ``reason`` is a clause."""

    def __init__(self, volume: str, reason: str, code: int = 0) -> None:
        super().__init__(volume, reason)
        self.volume = volume
        self.reason = reason
        self.code = code


class CrashCopies(ShadowCopies):
    """The shadow copies of ``volumes``, until :meth:`close`. :raises CopyRefused: no shadow copy is left then."""

    how = VSS_CRASH

    def __init__(
        self,
        volumes: Sequence[str],
        *,
        run: Optional[Run] = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._run = run or run_script
        self._sleep = sleep
        self._clock = clock
        self._ids: List[uuid.UUID] = []
        try:
            for volume in volumes:
                self._take_patiently(volume)
        except BaseException:
            self.close()
            raise
        if len(self.shadows) > 1:
            self.remarks.append("The shadow copies were made one after the other, so they are not of one moment.")

    def _take_patiently(self, volume: str) -> None:
        deadline = self._clock() + _IN_PROGRESS_SECONDS
        while True:
            try:
                self._take(volume)
                return
            except CopyRefused as error:
                if error.code != _IN_PROGRESS or self._clock() >= deadline:
                    raise
            self._sleep(_PAUSE_SECONDS * (1 + random.random()))

    def _take(self, volume: str) -> None:
        if not _VOLUME.fullmatch(volume):
            raise CopyRefused(volume, "its name is not one that Windows gives a volume")
        try:
            mark = record.announce(volume)
        except OSError as error:
            raise CopyRefused(volume, "it can't be recorded: %s" % (error.strerror or error)) from error
        values = {"volume": volume, "key": record.COPIES.key, "owner": record.owner()}
        answer = self._asked(volume, _CREATE % values)
        made = _id_of(answer.get("id", ""))
        if made is not None:
            self._ids.append(made)
        with contextlib.suppress(OSError):  # the next run tells of the mark
            if made is not None:
                record.COPIES.set(str(made), record.owner())  # the script did, unless it was not allowed to
            record.COPIES.remove(mark)
        if made is None:
            raise CopyRefused(volume, _reason(answer), _code_of(answer))
        device = self._asked(volume, _LIST % {"id": made}).get("device", "")
        if not _DEVICE.fullmatch(device):
            raise CopyRefused(volume, "it does not tell where the copy is")
        self.shadows[volume] = Shadow(made, made, device, volume)

    def _asked(self, volume: str, script: str) -> Dict[str, str]:
        try:
            return _fields(self._run(script, _SECONDS))
        except (OSError, ValueError) as error:
            raise CopyRefused(
                volume, "PowerShell does not run: %s" % (getattr(error, "strerror", "") or error)
            ) from error

    def is_lost(self, shadow: Shadow) -> str:
        try:
            answer = self._asked(shadow.volume, _LIST % {"id": shadow.shadow_id})
        except CopyRefused as error:
            return error.reason
        if "device" in answer:
            return ""
        return "Windows lists it no more" if "listed" in answer else _reason(answer)

    def close(self) -> List[str]:
        failed: List[str] = []
        self.shadows = {}
        while self._ids:
            reason = delete_copy(self._ids.pop(), self._run)
            if reason:
                failed.append("Windows did not delete a shadow copy of this run: %s. The next run retries." % reason)
        return failed


def delete_copy(copy: uuid.UUID, run: Optional[Run] = None) -> str:
    """Delete a lasting shadow copy; return why that failed. Then it stays on record."""
    try:
        answer = _fields((run or run_script)(_DELETE % {"id": copy}, _SECONDS))
        if "deleted" not in answer:
            return _reason(answer)
        record.COPIES.remove(str(copy))
    except (OSError, ValueError) as error:
        return str(getattr(error, "strerror", "") or error)
    return ""


def _fields(lines: Sequence[str]) -> Dict[str, str]:
    """The answer of a script: ``name=value`` lines; any other line is what went wrong."""
    found: Dict[str, str] = {}
    for line in lines:
        name, is_named, value = line.partition("=")
        if is_named and name in ("code", "id", "device", "listed", "deleted", "failed"):
            found[name] = value
        else:
            found.setdefault("failed", line)
    return found


def _id_of(text: str) -> Optional[uuid.UUID]:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _code_of(answer: Dict[str, str]) -> int:
    """The return value of Create; 0 where there is none."""
    text = answer.get("code", "")
    return int(text) if text.isdigit() and len(text) < _CODE_DIGITS else 0


def _reason(answer: Dict[str, str]) -> str:
    code = _code_of(answer)
    if code:
        return "%s (%d)" % (_CODES.get(code, "it reports an error that is not in its documentation"), code)
    return one_line(answer.get("failed", ""))[:300].rstrip(". ") or "PowerShell answered nothing"
