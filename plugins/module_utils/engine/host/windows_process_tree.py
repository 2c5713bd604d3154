# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a program so that it can be ended with all that it started (Windows).

It is created suspended, put into a job object, and runs from then on: a program that it starts belongs to the job from its
beginning, and also when its starter has ended. A program that leaves the job on request (CREATE_BREAKAWAY_FROM_JOB), such as
a run of the agent, is not ended. Sources: "Job Objects", JOBOBJECT_EXTENDED_LIMIT_INFORMATION, "Nested Jobs" (since Windows 8),
"Process Creation Flags", "Taking a Snapshot and Viewing Processes", ResumeThread, "taskkill".
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
from typing import IO, List, Optional, Union

from .windows_calls import failure, kernel32, last_error, system_folder
from .windows_detached import NO_WINDOW

_SUSPENDED = 0x4  # CREATE_SUSPENDED
_EXTENDED_LIMITS = 9  # JobObjectExtendedLimitInformation
_BREAKAWAY_OK = 0x800  # JOB_OBJECT_LIMIT_BREAKAWAY_OK
_LIMIT_FLAGS_AT = 16  # behind two limits of time
_LIMITS_BYTES = 144 if struct.calcsize("P") == 8 else 112
_INTO_A_JOB = 0x101  # PROCESS_SET_QUOTA, PROCESS_TERMINATE
_THREADS = 0x4  # TH32CS_SNAPTHREAD
_SUSPEND_RESUME = 0x2  # THREAD_SUSPEND_RESUME
_THREAD_ENTRY = struct.Struct("<IIIIiiI")  # THREADENTRY32
_REFUSED = 0xFFFFFFFF
_INVALID = ctypes.c_void_p(-1).value
_TASKKILL_SECONDS = 30.0
_Stream = Union[int, IO[bytes], None]


class ProcessTree:
    """A program and all that it starts. Use as a context: its end lets go of the programs that still run."""

    def __init__(self, process: subprocess.Popen[bytes], job: Optional[int]) -> None:
        self.process = process
        self._job = job

    def end(self) -> None:
        """End all of them at once."""
        if self._job is None or not kernel32().TerminateJobObject(ctypes.c_void_p(self._job), 1):
            end_by_parents(self.process.pid)
        self.process.kill()  # one that has ended is left alone

    def __enter__(self) -> ProcessTree:
        return self

    def __exit__(self, *dummy: object) -> None:
        if self._job is not None:
            kernel32().CloseHandle(ctypes.c_void_p(self._job))
            self._job = None


def start_tree(
    words: Union[str, List[str]], *, stdin: _Stream, stderr: _Stream, folder: Optional[str] = None
) -> ProcessTree:
    """Start a program without a window; its output comes through a pipe. :raises OSError: :raises ValueError:"""
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function
        words,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        cwd=folder,
        creationflags=NO_WINDOW | _SUSPENDED,
    )
    tree = ProcessTree(process, _job_of(process.pid))
    try:
        _resume(process.pid)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return tree


def end_by_parents(pid: int) -> None:
    """End a process and those that it started, as far as their starters still run. No other way is left without a job."""
    program = os.path.join(system_folder(), "taskkill.exe")
    try:
        subprocess.run(  # pylint: disable=ansible-bad-function
            [program, "/t", "/f", "/pid", "%d" % pid],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TASKKILL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.stderr.write("taskkill.exe did not end the command's processes: %s\n" % error)


def _job_of(pid: int) -> Optional[int]:
    """Put the process into a new job. Windows 7 refuses one that is in a job already: the answer is None."""
    library = kernel32()
    library.CreateJobObjectW.restype = library.OpenProcess.restype = ctypes.c_void_p
    job = library.CreateJobObjectW(None, None)
    if not job:
        return None
    limits = bytearray(_LIMITS_BYTES)
    struct.pack_into("<I", limits, _LIMIT_FLAGS_AT, _BREAKAWAY_OK)
    given = ctypes.create_string_buffer(bytes(limits), len(limits))
    handle = library.OpenProcess(_INTO_A_JOB, False, pid)
    is_in = (
        handle
        and library.SetInformationJobObject(ctypes.c_void_p(job), _EXTENDED_LIMITS, given, len(limits))
        and library.AssignProcessToJobObject(ctypes.c_void_p(job), ctypes.c_void_p(handle))
    )
    if handle:
        library.CloseHandle(ctypes.c_void_p(handle))
    if is_in:
        return int(job)
    library.CloseHandle(ctypes.c_void_p(job))
    return None


def _resume(pid: int) -> None:
    """Let the threads of a process run that was created suspended. :raises OSError:"""
    library = kernel32()
    library.CreateToolhelp32Snapshot.restype = library.OpenThread.restype = ctypes.c_void_p
    snapshot = library.CreateToolhelp32Snapshot(_THREADS, 0)
    if snapshot is None or snapshot == _INVALID:
        raise failure(last_error())
    try:
        entry = ctypes.create_string_buffer(
            _THREAD_ENTRY.pack(_THREAD_ENTRY.size, 0, 0, 0, 0, 0, 0), _THREAD_ENTRY.size
        )
        found = library.Thread32First(ctypes.c_void_p(snapshot), entry)
        while found:
            dummy_size, dummy_usage, thread, owner = _THREAD_ENTRY.unpack(entry.raw)[:4]
            if owner == pid:
                _resume_thread(thread)
                return  # a process that has not run yet has one
            found = library.Thread32Next(ctypes.c_void_p(snapshot), entry)
    finally:
        library.CloseHandle(ctypes.c_void_p(snapshot))
    raise OSError("Windows lists no thread of the process %d" % pid)


def _resume_thread(thread: int) -> None:
    """:raises OSError:"""
    library = kernel32()
    handle = library.OpenThread(_SUSPEND_RESUME, False, thread)
    if not handle:
        raise failure(last_error())
    try:
        if library.ResumeThread(ctypes.c_void_p(handle)) & _REFUSED == _REFUSED:
            raise failure(last_error())
    finally:
        library.CloseHandle(ctypes.c_void_p(handle))
