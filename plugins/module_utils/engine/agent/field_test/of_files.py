# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about files, folders, access lists and locks, in a folder for temporary files that is deleted afterwards."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO, Callable, Iterator, Tuple

from ...errors import EngineError
from ...host import locks, windows_calls, windows_security
from ...host.patience import patiently
from ...host.windows_watch import DirectoryWatch
from ...install import windows_base
from ...install.windows_layout import default_base
from .check import Answer, Check, among, at_most, equals
from .leftovers import remove_folder

_HOLD = (
    "import os, sys; from {engine}.host import locks; "
    "f = os.open(sys.argv[1], os.O_RDWR | os.O_BINARY); "
    "sys.stdout.write('%d' % locks.lock_exclusive(f)); sys.stdout.flush(); sys.stdin.read()"
)
_SYSTEM_AND_ADMINISTRATORS = "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"


@contextlib.contextmanager
def folder() -> Iterator[str]:
    made = tempfile.mkdtemp(prefix="plantops-field-test-")
    try:
        yield made
    finally:
        remove_folder(made)


def program(text: str) -> str:
    """A program for a child process, which finds the engine under the name that it has here."""
    return text.replace("{engine}", __name__.partition(".agent.")[0])


def output_of(process: subprocess.Popen[bytes]) -> IO[bytes]:
    """The pipe of a child process. :raises OSError: when it has none."""
    if process.stdout is None:
        raise OSError("the process has no pipe")
    return process.stdout


def _number(work: Callable[[], object]) -> int:
    """The error of Windows that a call ends with, 0 for none."""
    try:
        work()
    except OSError as error:
        return int(getattr(error, "winerror", None) or error.errno or -1)
    return 0


def _write(path: str) -> str:
    with open(path, "wb") as file:
        file.write(b"content")
    return path


def _locks() -> Answer:
    with folder() as place:
        path = _write(os.path.join(place, "run.lock"))
        words = [sys.executable, "-I", "-B", "-c", program(_HOLD), path]
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # pylint: disable=ansible-bad-function
        taken = output_of(child).read(1) == b"1"
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        held = locks.is_locked(descriptor)
        refused = not locks.lock_exclusive(descriptor)
        readable = os.read(descriptor, 100) == b"content"
        child.kill()
        child.communicate()
        freed = locks.lock_exclusive(descriptor)
        os.close(descriptor)
    return {"taken": taken, "held": held, "refused": refused, "readable": readable, "freed_by_kill": freed}


def _open_files() -> Answer:
    with folder() as place:
        held = _write(os.path.join(place, "held"))
        other = _write(os.path.join(place, "other"))
        with open(held, "rb"):
            answer: Answer = {
                "replace": _number(lambda: os.replace(other, held)),
                "delete": _number(lambda: os.remove(held)),
                "rename_over": _number(lambda: os.rename(other, held)),
            }
        answer["rename_folder"] = _rename_folder_of_open_file(os.path.join(place, "inner"))
        file = open(held, "rb")  # noqa: SIM115  # another thread closes it
        threading.Timer(0.5, file.close).start()
        began = time.monotonic()
        answer["patiently"] = _number(lambda: patiently(lambda: os.replace(other, held)))
        answer["patient_milliseconds"] = int((time.monotonic() - began) * 1000)
    return answer


def _rename_folder_of_open_file(inner: str) -> int:
    os.mkdir(inner)
    with open(_write(os.path.join(inner, "held")), "rb"):
        return _number(lambda: os.rename(inner, inner + "-moved"))


def _watch() -> Answer:
    with folder() as place:
        watch = DirectoryWatch(place)
        threading.Timer(0.5, _write, [os.path.join(place, "new")]).start()
        began = time.monotonic()
        watch.wait(20.0)
        waited = time.monotonic() - began
        watch.close()
        deadline = time.monotonic() + 5
        while not os.path.exists(os.path.join(place, "new")) and time.monotonic() < deadline:
            time.sleep(0.02)
    return {"milliseconds": int(waited * 1000)}


def _reason(work: Callable[[], object]) -> str:
    """The reason of a refusal, "" for none."""
    try:
        work()
    except EngineError as error:
        return str(error.as_dict().get("message", ""))
    return ""


def _above() -> Answer:
    return {"refusal": _reason(lambda: windows_base.check_above(default_base()))}


def _access_list() -> Answer:
    with folder() as place:
        base = os.path.join(place, "base")
        windows_security.make_directory(base, windows_base.DESCRIPTOR)
        refusal = _reason(lambda: windows_base.check_base(base))
        given = windows_security.descriptor_of(base)
        again = _number(lambda: windows_security.make_directory(base, windows_base.DESCRIPTOR))
        inherits = os.path.join(base, "inside")
        os.mkdir(inherits)
        inside = windows_security.descriptor_of(inherits)
    return {
        "refusal": refusal,
        "descriptor": given.replace("D:PAI(", "D:P("),
        "again": again,
        "inside_is_for_the_same": "(A;OICIID;FA;;;SY)" in inside and "(A;OICIID;FA;;;BA)" in inside,
    }


def _junction() -> Answer:
    with folder() as place:
        target, link = os.path.join(place, "target"), os.path.join(place, "link")
        os.mkdir(target)
        words = [os.path.join(windows_calls.system_folder(), "cmd.exe"), "/c", "mklink", "/J", link, target]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30)  # pylint: disable=ansible-bad-function
        refusal = _reason(lambda: windows_base.check_base(link)) if os.path.lexists(link) else ""
        if os.path.lexists(link):
            os.rmdir(link)
    return {"made": done.returncode == 0, "is_called_a_junction": "a link or a junction" in refusal}


CHECKS: Tuple[Check, ...] = (
    Check(
        "locks",
        _locks,
        ("LockFileEx", "UnlockFileEx"),
        tuple(equals(name, True) for name in ("taken", "held", "refused", "readable", "freed_by_kill")),
        '"Locking and Unlocking Byte Ranges in Files"',
        ("host/windows_locks.py",),
        "Two runs work at once on a device, or a killed run blocks the next one.",
    ),
    Check(
        "open_files",
        _open_files,
        ("MoveFileEx, DeleteFile of an open file: errors 5, 32, 183",),
        (
            among("replace", 5, 32),
            equals("delete", 32),
            equals("rename_over", 183),
            among("rename_folder", 5, 32),
            equals("patiently", 0),
            at_most("patient_milliseconds", 20_000),
        ),
        '"System Error Codes (0-499)", "CreateFileW function" on sharing modes',
        ("host/windows_patience.py",),
        "A file that a virus scanner has open for a moment ends a run or an update.",
        wine=("rename_folder",),
    ),
    Check(
        "watch",
        _watch,
        ("FindFirstChangeNotification", "FindNextChangeNotification", "FindCloseChangeNotification"),
        (at_most("milliseconds", 18_000),),
        '"Obtaining Directory Change Notifications"',
        ("host/windows_watch.py",),
        "The service answers a command only after its longest wait.",
    ),
    Check(
        "above",
        _above,
        ("GetNamedSecurityInfo", "ConvertSecurityDescriptorToStringSecurityDescriptor"),
        (equals("refusal", ""),),
        '"GetNamedSecurityInfoW function", "Security Descriptor String Format", "SID Strings"',
        ("install/windows_base.py", "host/windows_security.py"),
        "The installer refuses the directory for programs of this Windows as unsafe.",
    ),
    Check(
        "access_list",
        _access_list,
        (
            "CreateDirectory with SECURITY_ATTRIBUTES",
            "ConvertStringSecurityDescriptorToSecurityDescriptor",
            "LocalFree",
        ),
        (
            equals("refusal", ""),
            equals("descriptor", _SYSTEM_AND_ADMINISTRATORS),
            equals("again", 183),
            equals("inside_is_for_the_same", True),
        ),
        '"CreateDirectoryW function", "ACE Strings"',
        ("install/windows_base.py", "host/windows_security.py"),
        "The agent's folder has another access list than it should, and the installer refuses it.",
        needs_administrator=True,
        wine=("inside_is_for_the_same",),
    ),
    Check(
        "junction",
        _junction,
        ("FILE_ATTRIBUTE_REPARSE_POINT",),
        (equals("made", True), equals("is_called_a_junction", True)),
        '"Reparse Points", "File Attribute Constants"',
        ("install/windows_base.py",),
        "A junction in place of the agent's folder is taken for the folder.",
        wine=("is_called_a_junction",),
    ),
)
