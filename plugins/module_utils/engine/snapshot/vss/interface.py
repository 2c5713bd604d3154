# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The methods of IVssBackupComponents that the engine calls, by their places in the table of the interface.

Sources: vsbackup.h and vss.h, whose order of methods and whose structures this file repeats; a test holds both against the
headers. Strings and identifiers are plain values on this side; each failure is a :class:`Refused`.
"""

from __future__ import annotations

import ctypes
import time
import uuid
from ctypes import c_int32, c_int64, c_ubyte, c_uint32, c_void_p, c_wchar_p
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

from ...host import windows_com as com
from ...host.windows_calls import system_library
from ...host.windows_com import Guid
from .codes import FINISHED, NOT_FOUND, PENDING

CONTEXT_BACKUP = 0  # VSS_CTX_BACKUP: the shadow copies end with their requester
CONTEXT_ALL = -1  # VSS_CTX_ALL
OBJECT_NONE, OBJECT_SET, OBJECT_SNAPSHOT = 1, 2, 3
_BACKUP_COPY = 5  # VSS_BT_COPY: writers keep their logs, as after a backup of another program
_POLL_MILLISECONDS = 5_000
_AFTER_CANCEL_SECONDS = 60.0
_MOST_LISTED, _MOST_WRITERS = 4096, 1024
_NO_ID = uuid.UUID(int=0)
_ID = ctypes.POINTER(Guid)
_POINTER = ctypes.POINTER(c_void_p)
_NUMBER = ctypes.POINTER(c_int32)
METHODS: Dict[str, Tuple[int, Tuple[Any, ...]]] = {
    "InitializeForBackup": (5, (c_void_p,)),
    "SetBackupState": (6, (c_ubyte, c_ubyte, c_int32, c_ubyte)),
    "GatherWriterMetadata": (9, (_POINTER,)),
    "FreeWriterMetadata": (12, ()),
    "PrepareForBackup": (14, (_POINTER,)),
    "AbortBackup": (15, ()),
    "GatherWriterStatus": (16, (_POINTER,)),
    "GetWriterStatusCount": (17, (_NUMBER,)),
    "FreeWriterStatus": (18, ()),
    "GetWriterStatus": (19, (c_uint32, _ID, _ID, _POINTER, _NUMBER, _NUMBER)),
    "BackupComplete": (27, (_POINTER,)),
    "SetContext": (35, (c_int32,)),
    "StartSnapshotSet": (36, (_ID,)),
    "AddToSnapshotSet": (37, (c_wchar_p, Guid, _ID)),
    "DoSnapshotSet": (38, (_POINTER,)),
    "DeleteSnapshots": (39, (Guid, c_int32, c_int32, _NUMBER, _ID)),
    "GetSnapshotProperties": (42, (Guid, c_void_p)),
    "Query": (43, (Guid, c_int32, c_int32, _POINTER)),
    "IsVolumeSupported": (44, (Guid, c_wchar_p, _NUMBER)),
}
ASYNC_METHODS: Dict[str, Tuple[int, Tuple[Any, ...]]] = {
    "Cancel": (3, ()),
    "Wait": (4, (c_uint32,)),
    "QueryStatus": (5, (_NUMBER, c_void_p)),
}
ENUM_METHODS: Dict[str, Tuple[int, Tuple[Any, ...]]] = {"Next": (3, (c_uint32, c_void_p, ctypes.POINTER(c_uint32)))}


class SnapshotProperties(ctypes.Structure):
    """VSS_SNAPSHOT_PROP. Its texts are pointers, which a separate call frees."""

    _fields_ = (
        *(("snapshot_id", Guid), ("set_id", Guid), ("count", c_int32)),
        *(("device", c_void_p), ("volume", c_void_p), ("machine", c_void_p), ("service_machine", c_void_p)),
        *(("exposed_name", c_void_p), ("exposed_path", c_void_p)),
        *(("provider_id", Guid), ("attributes", c_int32), ("created", c_int64), ("status", c_int32)),
    )


class ObjectProperties(ctypes.Structure):
    """VSS_OBJECT_PROP with a shadow copy in it, the larger of its two kinds."""

    _fields_ = (("kind", c_int32), ("snapshot", SnapshotProperties))


class Refused(Exception):
    """A call of the service failed. ``step``: the name of the method; ``code``: its HRESULT."""

    def __init__(self, step: str, code: int) -> None:
        super().__init__(step, code)
        self.step = step
        self.code = code


class Shadow(NamedTuple):
    """A shadow copy. ``volume`` is the original's name with a backslash at its end, ``device`` the raw name of the copy."""

    shadow_id: uuid.UUID
    set_id: uuid.UUID
    device: str
    volume: str


class WriterState(NamedTuple):
    name: str
    state: int  # VSS_WRITER_STATE
    code: int


class Components:
    """One IVssBackupComponents: a requester, from its making to :meth:`release`."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """:raises Refused: also where this Windows has no such service."""
        self._clock = clock
        code = com.start_com()
        if code:
            raise Refused("CoInitializeSecurity", code)
        self._pointer = c_void_p()
        try:
            self._library = system_library("vssapi")
            create = self._library.CreateVssBackupComponentsInternal
        except (OSError, AttributeError):
            raise Refused("CreateVssBackupComponents", 0x80040154) from None
        create.argtypes = [_POINTER]
        code = int(create(ctypes.byref(self._pointer))) & 0xFFFFFFFF
        if com.has_failed(code) or not self._pointer.value:
            raise Refused("CreateVssBackupComponents", code)
        self._free = self._library.VssFreeSnapshotPropertiesInternal
        self._free.argtypes = [c_void_p]
        self._free.restype = None

    def _ask(self, name: str, *arguments: Any) -> int:
        slot, types = METHODS[name]
        code = com.call_method(self._pointer, slot, types, arguments)
        if com.has_failed(code):
            raise Refused(name, code)
        return code

    def _wait(self, name: str, seconds: float) -> None:
        """Call a method that works in the background, and wait for its end."""
        pointer = c_void_p()
        self._ask(name, ctypes.byref(pointer))
        try:
            deadline = self._clock() + seconds
            code = self._poll(name, pointer, deadline)
            if code == PENDING:
                _ask_async(pointer, name, "Cancel")
                # The operation may still end well: then it counts, since the shadow copies exist.
                code = self._poll(name, pointer, self._clock() + _AFTER_CANCEL_SECONDS)
            if code != FINISHED:
                raise Refused(name, code)
        finally:
            com.release(pointer)

    def _poll(self, name: str, pointer: c_void_p, deadline: float) -> int:
        while True:
            _ask_async(pointer, name, "Wait", _POLL_MILLISECONDS)
            status = c_int32()
            _ask_async(pointer, name, "QueryStatus", ctypes.byref(status), None)
            code = status.value & 0xFFFFFFFF
            if code != PENDING or self._clock() >= deadline:
                return code

    def begin(self, context: int) -> None:
        """InitializeForBackup, SetContext, SetBackupState. :raises Refused:"""
        self._ask("InitializeForBackup", None)
        self._ask("SetContext", context)
        self._ask("SetBackupState", 0, 1, _BACKUP_COPY, 0)

    def gather_writers(self, seconds: float) -> None:
        """:raises Refused:"""
        self._wait("GatherWriterMetadata", seconds)
        self._ask("FreeWriterMetadata")

    def is_supported(self, volume: str) -> bool:
        """:raises Refused:"""
        answer = c_int32()
        self._ask("IsVolumeSupported", com.guid_of(_NO_ID), volume, ctypes.byref(answer))
        return bool(answer.value)

    def start_set(self) -> uuid.UUID:
        """:raises Refused:"""
        made = Guid()
        self._ask("StartSnapshotSet", ctypes.byref(made))
        return com.uuid_of(made)

    def add(self, volume: str) -> uuid.UUID:
        """:raises Refused:"""
        made = Guid()
        self._ask("AddToSnapshotSet", volume, com.guid_of(_NO_ID), ctypes.byref(made))
        return com.uuid_of(made)

    def prepare(self, seconds: float) -> None:
        """:raises Refused:"""
        self._wait("PrepareForBackup", seconds)

    def make(self, seconds: float) -> None:
        """:raises Refused:"""
        self._wait("DoSnapshotSet", seconds)

    def complete(self, seconds: float) -> None:
        """:raises Refused:"""
        self._wait("BackupComplete", seconds)

    def abort(self) -> None:
        """:raises Refused:"""
        self._ask("AbortBackup")

    def writers(self, seconds: float) -> List[WriterState]:
        """How the writers stand. :raises Refused:"""
        self._wait("GatherWriterStatus", seconds)
        count = c_int32()
        self._ask("GetWriterStatusCount", ctypes.byref(count))
        found = []
        for number in range(min(count.value, _MOST_WRITERS)):
            ids, name, state, code = (Guid(), Guid()), c_void_p(), c_int32(), c_int32()
            self._ask("GetWriterStatus", number, *map(ctypes.byref, (*ids, name, state, code)))
            found.append(WriterState(com.take_text(name), state.value, code.value & 0xFFFFFFFF))
        self._ask("FreeWriterStatus")
        return found

    def shadow(self, shadow_id: uuid.UUID) -> Shadow:
        """:raises Refused:"""
        properties = SnapshotProperties()
        self._ask("GetSnapshotProperties", com.guid_of(shadow_id), ctypes.byref(properties))
        return self._taken(properties)

    def shadows(self) -> List[Shadow]:
        """All shadow copies that this context shows. :raises Refused:"""
        pointer = c_void_p()
        try:
            self._ask("Query", com.guid_of(_NO_ID), OBJECT_NONE, OBJECT_SNAPSHOT, ctypes.byref(pointer))
        except Refused as error:
            if error.code == NOT_FOUND:
                return []
            raise
        found: List[Shadow] = []
        slot, types = ENUM_METHODS["Next"]
        try:
            while len(found) < _MOST_LISTED:
                one, count = ObjectProperties(), c_uint32()
                code = com.call_method(pointer, slot, types, (1, ctypes.byref(one), ctypes.byref(count)))
                if com.has_failed(code):
                    raise Refused("Query", code)
                if not count.value:
                    break
                found.append(self._taken(one.snapshot))
        finally:
            com.release(pointer)
        return found

    def _taken(self, properties: SnapshotProperties) -> Shadow:
        try:
            return Shadow(
                com.uuid_of(properties.snapshot_id),
                com.uuid_of(properties.set_id),
                ctypes.wstring_at(properties.device) if properties.device else "",
                ctypes.wstring_at(properties.volume) if properties.volume else "",
            )
        finally:
            self._free(ctypes.byref(properties))

    def delete_set(self, set_id: uuid.UUID) -> None:
        """Delete the shadow copies of a set; a set that is missing counts as deleted. :raises Refused:"""
        count, stays = c_int32(), Guid()
        try:
            self._ask(
                *("DeleteSnapshots", com.guid_of(set_id), OBJECT_SET, 1),
                *(ctypes.byref(count), ctypes.byref(stays)),
            )
        except Refused as error:
            if error.code != NOT_FOUND:
                raise

    def release(self) -> None:
        """Give the requester back; with it end the shadow copies that it made."""
        if self._pointer.value is not None:
            com.release(self._pointer)
            self._pointer = c_void_p()


def _ask_async(pointer: c_void_p, step: str, name: str, *arguments: Any) -> None:
    slot, types = ASYNC_METHODS[name]
    code = com.call_method(pointer, slot, types, arguments)
    if com.has_failed(code):
        raise Refused(step, code)
