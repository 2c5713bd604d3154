# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what this device is and which agent is on it: the first thing that a controller runs there, and changes nothing.

A standalone file: standard library only, syntax of Python 3.6, so that an old device gets an answer too.
"""

import argparse
import json
import os
import re
import stat
import subprocess
import sys
import sysconfig
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

IDENTITY = re.compile(r"[0-9][0-9A-Za-z.+_-]{0,63}-[0-9a-f]{16}")
SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = "plantops-imaging"
ROOT_BASE = "/opt/plantops-imaging"
_ENTRIES = {"parts", "versions", "current", "previous", "spool", "run.lock", "made"}
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_OTHERS_GET_IN = stat.S_IXGRP | stat.S_IXOTH
_MUSL_LOADER = re.compile(rb"/lib[0-9A-Za-z/_.-]*/ld-musl-[0-9A-Za-z_]+\.so\.1")
_EXECUTABLE_HEAD_BYTES = 64 << 10
_LONGEST_LOADER_SECONDS = 10


class Distrust(NamedTuple):
    """The fault of a path, as the end of a sentence that begins with the path."""

    path: str
    reason: str


def c_library() -> Tuple[str, str]:
    """Return ``glibc`` or ``musl`` with its version, ``unknown`` and nothing where it is neither."""
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):  # musl does not know the name
        text = ""
    if text.startswith("glibc "):
        return "glibc", text.split()[1]
    with open(sys.executable, "rb") as executable:
        loader = _MUSL_LOADER.search(executable.read(_EXECUTABLE_HEAD_BYTES))
    if loader is None:
        return "unknown", ""
    # musl has no call for it: the loader says its version when it is run by hand.
    told = subprocess.Popen([loader.group()], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # pylint: disable=ansible-bad-function
    words = told.communicate(timeout=_LONGEST_LOADER_SECONDS)[1].decode("ascii", "replace")
    version = re.search(r"^Version (\d+\.\d+(\.\d+)?)", words, re.MULTILINE)
    return "musl", version.group(1) if version else ""


def machine() -> str:
    """Return the machine that this Python was built for: a small one may run on a large kernel."""
    name = os.uname().machine
    if sys.maxsize > 1 << 32:
        return name
    return {"x86_64": "i686", "aarch64": "armv7l"}.get(name, name)


def platform_name() -> str:
    """Return the platform whose bundle this Python can run: ``linux-x86_64-glibc-cp311``."""
    kind = "cp" if sys.implementation.name == "cpython" else sys.implementation.name
    free_threaded = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    version = "%s%d%d%s" % (kind, sys.version_info[0], sys.version_info[1], free_threaded)
    return "-".join((sys.platform, machine(), c_library()[0], version))


def default_base() -> str:
    """Return where the agent of this user lives."""
    if os.geteuid() == 0:
        return ROOT_BASE
    data = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):
        return base_in_home(os.path.expanduser("~"))
    return os.path.join(data, _NAME)


def base_in_home(home: str) -> str:
    """Return where the agent of the user with this home lives, as far as that is known to others than that user."""
    return os.path.join(home, ".local", "share", _NAME)


def resolved(base: str) -> str:
    """Return the base with the links above it followed, so that what is judged is what is used. It may be a link itself."""
    folder, name = os.path.split(os.path.abspath(base))
    return os.path.join(os.path.realpath(folder), name)


def distrust(base: str) -> Optional[Distrust]:
    """Return why files in ``base``, now or later, could belong to another user; or None if no sign says so.

    A base that does not exist is judged by the directories above it. It must be ``resolved``.
    """
    if os.path.islink(base):
        return Distrust(base, "is a link")
    if os.path.dirname(base) == base or not os.path.isabs(base):
        return Distrust(base, "is not a directory that the agent can own")
    found = distrust_above(base)
    if found is not None:
        return found
    if not os.path.lexists(base):
        return None
    if not os.path.isdir(base):
        return Distrust(base, "is not a directory")
    return _inside(base)


def distrust_above(base: str) -> Optional[Distrust]:
    """Return which of the directories above ``base`` lets others put something else in its place; or None if none does."""
    parent = os.path.dirname(base)
    closed = False
    for folder in reversed(list(_above(parent))):
        status = os.lstat(folder)
        # Where the sticky bit is set, others can't rename what is ours; the parent itself gets no such benefit.
        sticky = status.st_mode & stat.S_ISVTX and folder != parent
        # Below a home that other users can't enter, folders that a careless umask left open to a group do no harm.
        found = _wrong(folder, status, writable=bool(sticky) or closed)
        if found is not None:
            return found
        closed = closed or not status.st_mode & _OTHERS_GET_IN
    return None


def _above(folder: str) -> Iterator[str]:
    """Yield ``folder`` and everything above it that exists."""
    while True:
        if os.path.lexists(folder):
            yield folder
        if folder == os.path.dirname(folder):
            return
        folder = os.path.dirname(folder)


def _wrong(path: str, status: os.stat_result, writable: bool = False) -> Optional[Distrust]:
    if stat.S_ISLNK(status.st_mode):
        return Distrust(path, "is a link")
    if status.st_uid not in (0, os.geteuid()):
        return Distrust(path, "belongs to the user %d" % status.st_uid)
    if status.st_mode & _WRITABLE_BY_OTHERS and not writable:
        return Distrust(path, "can be written by others (mode %o)" % stat.S_IMODE(status.st_mode))
    return None


def _inside(base: str) -> Optional[Distrust]:
    found = _wrong(base, os.lstat(base))
    if found is not None:
        return found
    try:
        entries = sorted(os.listdir(base))
    except PermissionError:
        return Distrust(base, "belongs to root and can't be read")
    for name in entries:
        if name not in _ENTRIES and not name.startswith(".new-"):
            return Distrust(os.path.join(base, name), "does not belong to the agent")
    for folder, folders, files in os.walk(base):
        # Other users can't enter the base, so a run that was started with a careless umask does no harm.
        careless = folder.startswith(os.path.join(base, "spool"))
        for name in folders + files:
            path = os.path.join(folder, name)
            try:
                found = _wrong(path, os.lstat(path), writable=careless)
            except FileNotFoundError:  # a run or another installation is active at the same time
                continue
            if found is not None:
                return found
    return None


def read_name(base: str, name: str) -> Optional[str]:
    """Return the id of an installation that the file ``name`` (``current``, ``previous``) holds, None when it holds none."""
    try:
        with open(os.path.join(base, name), encoding="ascii") as file:
            text = file.read(200).strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if IDENTITY.fullmatch(text) else None


def names(folder: str, pattern: Any) -> List[str]:
    """Return the names in ``folder`` that match, sorted; none when there is no such folder."""
    try:
        return sorted(name for name in os.listdir(folder) if pattern.fullmatch(name))
    except FileNotFoundError:
        return []


def probe(base: str) -> Dict[str, Any]:
    """Return what docs/agent.md promises of a probe, and in ``unsafe`` why a base that is there is not to be used."""
    library, library_version = c_library()
    trouble = distrust(base)
    trusted = trouble is None and os.path.isdir(base)
    space = os.statvfs(next(_above(base)))
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot_id = file.read().strip()
    return {
        "ok": True,
        "python": list(sys.version_info[:3]),
        "implementation": sys.implementation.name,
        "system": sys.platform,
        "machine": machine(),
        "libc": library,
        "libc_version": library_version,
        "platform": platform_name(),
        "base": base,
        "user_id": os.geteuid(),
        "parts": names(os.path.join(base, "parts"), SHA256) if trusted else [],
        "versions": names(os.path.join(base, "versions"), IDENTITY) if trusted else [],
        "current": read_name(base, "current") if trusted else None,
        "previous": read_name(base, "previous") if trusted else None,
        "unsafe": None if trouble is None else "%s %s" % trouble,
        "free_bytes": space.f_bavail * space.f_frsize,
        "boot_id": boot_id,
        "time": int(time.time()),
    }


def main(arguments: List[str]) -> int:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(prog="probe")
    parser.add_argument("--base", default=default_base())
    sys.stdout.write(json.dumps(probe(resolved(parser.parse_args(arguments).base))) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
