# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about services and processes. The service of the test is never started, and deleted in the same minute."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from typing import List, Tuple

from ...host import windows_calls
from ...host import windows_services as services
from ...host.windows_process_tree import start_tree
from ...install.windows_layout import SERVICE
from .check import Answer, Check, among, equals
from .of_files import folder, output_of, program
from .waiting import within

NAME = "plantops-imaging-field-test"
_SLEEP = "import time; time.sleep(90)"
_PARENT = (
    "import subprocess, sys; child = subprocess.Popen([sys.executable, '-I', '-c', %r]); "
    "sys.stdout.write('%%d\\n' %% child.pid); sys.stdout.flush(); child.wait()" % _SLEEP
)
_LATE = "import time; time.sleep(2); open(%r, 'w').close()"
_STARTER = (
    "import sys, time; from {engine}.host.windows_detached import new_process; "
    "new_process([sys.executable, '-I', '-c', %r]); sys.stdout.write('.'); sys.stdout.flush(); time.sleep(90)"
)
_CHANGES = ("DC", "SD", "WD", "WO", "GA", "GW")  # SERVICE_CHANGE_CONFIG, DELETE, WRITE_DAC, WRITE_OWNER
_USERS = ("IU", "AU", "WD", "BU", "SU", "AN", "NU")


def _service() -> Answer:
    image = '"%s" -I -c pass' % sys.executable
    _delete()
    try:
        services.create(NAME, "Plantops Imaging field test", "Deleted by the test that made it.", image)
        services.set_automatic(NAME, False)
        made = services.query(NAME)
        services.change(NAME, image + " again")
        services.set_automatic(NAME, False)
        changed = services.query(NAME)
        text = _descriptor()
    finally:
        _delete()
    deadline = time.monotonic() + 20
    while services.query(NAME) is not None and time.monotonic() < deadline:
        time.sleep(0.2)
    return {
        "state": made.state if made else -1,
        "image_is_ours": bool(made) and made.image == image,  # type: ignore[union-attr]
        "changed": bool(changed) and changed.image == image + " again",  # type: ignore[union-attr]
        "deleted": services.query(NAME) is None,
        "has_access_list": "D:" in text,
        "users_may_change_it": _who_may_change(text),
    }


def _delete() -> None:
    with contextlib.suppress(OSError):  # there is none
        services.delete(NAME)


def _descriptor() -> str:
    """The access list of the service as Windows' own program shows it."""
    words = [os.path.join(windows_calls.system_folder(), "sc.exe"), "sdshow", NAME]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30)  # pylint: disable=ansible-bad-function
    return done.stdout.decode("ascii", "replace")


def _who_may_change(text: str) -> List[str]:
    found = []
    for rights, trustee in re.findall(r"\(A;[A-Z]*;([A-Z]*);[^;]*;[^;]*;(\w+)\)", text):
        pairs = [rights[at : at + 2] for at in range(0, len(rights), 2)]
        if trustee in _USERS and set(pairs) & set(_CHANGES):
            found.append(trustee)
    return found


def _product_service() -> Answer:
    found = services.query(SERVICE)
    if found is None:
        return {"installed": False, "state": services.STOPPED, "is_quoted": True}
    return {"installed": True, "state": found.state, "is_quoted": found.image.startswith('"')}


def _ends(pid: int) -> bool:
    """Whether a process ends within a minute."""
    return within(60.0, lambda: windows_calls.process_created(pid) == 0)


def _tree() -> Answer:
    with start_tree([sys.executable, "-I", "-c", _PARENT], stdin=subprocess.DEVNULL, stderr=None) as tree:
        grandchild = int(output_of(tree.process).readline())
        began = bool(windows_calls.process_created(grandchild))
        tree.end()
        return {"began": began, "child_ends": _ends(tree.process.pid), "grandchild_ends": _ends(grandchild)}


def _detached() -> Answer:
    with folder() as place:
        mark = os.path.join(place, "outlived")
        words = [sys.executable, "-I", "-B", "-c", program(_STARTER) % (_LATE % mark)]
        with start_tree(words, stdin=subprocess.DEVNULL, stderr=None) as tree:
            started = output_of(tree.process).read(1) == b"."
            tree.end()
            starter_ends = _ends(tree.process.pid)
        return {
            "started": started,
            "starter_ends": starter_ends,
            "outlives_its_starter": within(20.0, lambda: os.path.exists(mark)),
        }


CHECKS: Tuple[Check, ...] = (
    Check(
        "service",
        _service,
        (
            "OpenSCManager, OpenService, CloseServiceHandle",
            "CreateService, ChangeServiceConfig (SERVICE_DISABLED), ChangeServiceConfig2, DeleteService",
            "QueryServiceStatusEx, QueryServiceConfig",
        ),
        (
            equals("state", services.STOPPED),
            equals("image_is_ours", True),
            equals("changed", True),
            equals("deleted", True),
            equals("has_access_list", True),
            equals("users_may_change_it", []),
        ),
        '"CreateServiceW function" (on quoted paths), "Service Security and Access Rights"',
        ("host/windows_services.py",),
        "The agent's service can't be installed, or a user of the device may change the program that it starts.",
        needs_administrator=True,
        wine=("has_access_list",),
    ),
    Check(
        "installed_service",
        _product_service,
        ("QueryServiceStatusEx of the agent, where it is installed",),
        (among("state", services.RUNNING, services.STOPPED), equals("is_quoted", True)),
        '"Service Start-up", "SERVICE_STATUS structure"',
        ("agent/windows_service.py",),
        "The agent's service does not run after install.cmd.",
        needs_administrator=True,
    ),
    Check(
        "process_tree",
        _tree,
        (
            "CREATE_SUSPENDED, CREATE_NO_WINDOW and the handle list of CreateProcess",
            "CreateToolhelp32Snapshot, Thread32First, Thread32Next, OpenThread, ResumeThread",
            "CreateJobObject, SetInformationJobObject, AssignProcessToJobObject, TerminateJobObject",
        ),
        (equals("began", True), equals("child_ends", True), equals("grandchild_ends", True)),
        '"Job Objects", "Traversing the Thread List"',
        ("host/windows_process_tree.py",),
        "A command of a site that takes too long leaves programs running.",
    ),
    Check(
        "detached",
        _detached,
        ("CREATE_BREAKAWAY_FROM_JOB, DETACHED_PROCESS",),
        (equals("started", True), equals("starter_ends", True), equals("outlives_its_starter", True)),
        '"Process Creation Flags", "Job Objects"',
        ("host/windows_detached.py",),
        "A run ends with the connection or the service that started it.",
    ),
)
