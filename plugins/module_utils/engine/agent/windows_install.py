# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs, updates and removes the agent and its service on a Windows device: ``windows_install VERB``, one line of JSON out.

Verbs: prepare, copy, switch, install (update is the same), settle, remove, status. Run by an administrator, or by the service as SYSTEM.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import stat
import subprocess
import sys
import time
import traceback
from typing import Any, Dict, Iterator, List

from ..errors import (
    BundleInvalid,
    EngineError,
    InstallationBroken,
    InstallationRunLives,
    WindowsFileChanged,
    uncaught,
)
from ..host.patience import patiently
from ..host.windows_calls import system_folder
from ..host.windows_detached import NO_WINDOW, new_process
from ..install.bundle_document import DOCUMENT
from ..install.owned_files import leads_elsewhere, read_document, remove_file, telling, write_bytes
from ..install.windows.check import check_files, read_folder
from ..install.windows.document import WindowsDocument
from ..install.windows.preflight import check_device
from ..install.windows_base import check_above, check_base, make_base
from ..install.windows_layout import IDENTITY, REMOVING, default_base, image_of, module, python_of, read_name
from ..install.windows_switch import delete, end_orphan, is_in_use, query, start, stop, switch
from .service_files import ServiceFiles
from .spool import Spool

_STATES = {1: "stopped", 2: "starting", 3: "stopping", 4: "running"}
_NEW = ".new-"
_DELETE_SECONDS = 60.0


def prepare(base: str) -> Dict[str, Any]:
    """Make the base with its access list, and the directories in it. :raises AgentFolderUnsafe:"""
    is_new = not os.path.lexists(base)
    make_base(base)
    Spool(base).prepare()
    ServiceFiles(base).prepare()
    return {"ok": True, "changed": is_new, "installed": read_name(base, "current"), "replaced": None}


def copy(base: str, folder: str) -> Dict[str, Any]:
    """Copy an unpacked bundle to its place.

    :raises BundleInvalid: :raises WindowsFileChanged: when a file of it is not that of the bundle.
    """
    prepare(base)
    document = read_folder(folder)
    identity = document.identity
    place = os.path.join(base, identity)
    if os.path.isdir(place) and _is_whole(place, identity):
        return {"ok": True, "changed": False, "installed": identity, "replaced": None}
    with telling("Copying", folder):
        for name in os.listdir(base):
            if name.startswith(_NEW):  # of an installation that was killed
                shutil.rmtree(os.path.join(base, name))
        new = os.path.join(base, _NEW + secrets.token_hex(8))
        try:
            _copy_files(document, folder, new)
            with _room_for(base, identity):
                patiently(lambda: os.rename(new, place))
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
    return {"ok": True, "changed": True, "installed": identity, "replaced": None}


def _is_whole(place: str, identity: str) -> bool:
    """Whether every file of an installation is there: a loss of power may have left zeros, a scanner less."""
    try:
        return check_files(place).identity == identity
    except (BundleInvalid, WindowsFileChanged):
        return False


@contextlib.contextmanager
def _room_for(base: str, identity: str) -> Iterator[None]:
    """Put an installation that is to be replaced aside; one that a program runs from, such as a run, stays as it is.

    A service that runs from it is stopped for that time.

    :raises OSError: while a program runs from it.
    """
    place, aside = os.path.join(base, identity), os.path.join(base, _NEW + "old-" + secrets.token_hex(8))
    if not os.path.lexists(place):
        yield
        return
    found = query()
    serves = found is not None and found.image == image_of(base, identity)
    if serves:
        stop()
    try:
        patiently(lambda: os.rename(place, aside))
        try:
            yield
        except BaseException:
            os.rename(aside, place)
            raise
        shutil.rmtree(aside, ignore_errors=True)  # the next copy sweeps what a program holds
    finally:
        if serves:
            start()


def _copy_files(document: WindowsDocument, folder: str, new: str) -> None:
    """Copy what the bundle names and nothing else: any user may have put more libraries beside these. Check the copy."""
    for name in [DOCUMENT, *(file.name for file in document.files)]:
        path = os.path.join(new, *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.path.join(folder, *name.split("/")), "rb") as source, open(path, "wb") as copied:
            shutil.copyfileobj(source, copied)  # bytes alone: no access list and no stream of the source comes along
    if check_files(new).identity != document.identity:
        raise InstallationBroken(
            installation=document.identity, reason="its bundle.json was changed while it was copied"
        )


def install(base: str, folder: str) -> Dict[str, Any]:
    """Copy the bundle and let the service run it. :raises EngineError: what was installed before runs on then."""
    was_removing = _is_removing(base)
    copied = copy(base, folder)
    identity, current = str(copied["installed"]), read_name(base, "current")
    if is_in_use(base, identity) and not was_removing:
        return dict(copied, changed=False)
    old = python_of(base, current) if current and current != identity else ""
    if old and os.path.exists(old) and not was_removing:  # a removal may have deleted a part of it
        answer = _ask([old, *module("windows_install", "switch", "--base", base, "--to", identity)])
    else:
        answer = switch(base, identity)
    if answer.get("ok") and was_removing:
        with telling("Deleting", base):
            remove_file(os.path.join(base, REMOVING))
    return _pruned(base, dict(answer, interrupted=was_removing))


def _is_removing(base: str) -> bool:
    """Whether a removal was interrupted. The service may be disabled or gone then, and files of the base, too."""
    return os.path.lexists(os.path.join(base, REMOVING))


def settle(base: str) -> Dict[str, Any]:
    """Look at what the share of a device does not show after the first start there, and delete old installations.

    :raises InstallationError: for a device that can't keep the agent, such as one whose write filter is active.
    """
    check_above(base)
    identity = read_name(base, "current")
    if identity is None:
        raise InstallationBroken(installation="current", reason="the file does not name an installation")
    check_device(read_folder(os.path.join(base, identity)).platform, base, 0)
    return _pruned(base, {"ok": True, "changed": False, "installed": identity, "replaced": None})


def _pruned(base: str, answer: Dict[str, Any]) -> Dict[str, Any]:
    """Prune after a change that worked; what can't be deleted now goes after the next one."""
    if answer.get("ok"):
        with contextlib.suppress(EngineError, OSError):
            prune(base)
    return answer


def _ask(words: List[str]) -> Dict[str, Any]:
    """The answer of the installation in use, whose code goes back when the new one does not work."""
    done = subprocess.run(  # pylint: disable=ansible-bad-function
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    lines = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.startswith("{")]
    if not lines:
        reason = "the installation in use gave no answer (exit status %d)" % done.returncode
        raise InstallationBroken(installation=words[-1], reason=reason)
    return dict(json.loads(lines[-1]))


def prune(base: str) -> None:
    """Delete all installations but the current one and the one before, unless a run, which may need one, is in progress."""
    kept = {read_name(base, "current"), read_name(base, "previous")}
    if Spool(base).living() or read_name(base, "current") is None:
        return
    for name in os.listdir(base):
        if IDENTITY.fullmatch(name) and name not in kept:
            shutil.rmtree(os.path.join(base, name), ignore_errors=True)


def remove(base: str) -> Dict[str, Any]:
    """Delete the service and the base, also after a removal that was interrupted at any step.

    :raises InstallationRunLives: while a run is in progress.
    """
    if not os.path.lexists(base):
        is_there = query() is not None
        delete()
        return {"ok": True, "changed": is_there, "installed": None, "replaced": None, "interrupted": is_there}
    check_base(base)
    if Spool(base).living():
        raise InstallationRunLives(base=base)
    was_removing = _is_removing(base)
    write_bytes(os.path.join(base, REMOVING), b"", durable=True)
    try:
        delete()
    except BaseException:
        with telling("Deleting", base):
            remove_file(os.path.join(base, REMOVING))
        raise
    if os.path.abspath(sys.executable).lower().startswith(os.path.join(base, "").lower()):
        # This program can't delete itself: cmd.exe of Windows does, when it has ended.
        line = deletion_line(base, _folders(base), system_folder())
        new_process(line, flags=NO_WINDOW, folder=system_folder())
    else:
        _delete_base(base)
    return {"ok": True, "changed": True, "installed": None, "replaced": None, "interrupted": was_removing}


def _delete_base(base: str) -> None:
    """Delete the base, also from under a service that Windows started in the moment of its deletion.

    The cmd.exe that an earlier removal left to delete it may be quicker.

    :raises AgentFileFailed:
    """
    deadline = time.monotonic() + _DELETE_SECONDS
    with telling("Deleting", base):
        while os.path.lexists(base):
            with contextlib.suppress(EngineError):  # it has ended in between
                end_orphan(base)
            try:
                patiently(lambda: _delete_files(base))
                return
            except OSError:
                if time.monotonic() > deadline and os.path.lexists(base):
                    raise


def _delete_files(base: str) -> None:
    """Delete what is in the base, then the base with the mark of its removal."""
    for name in _folders(base):
        shutil.rmtree(os.path.join(base, name))
    for name in os.listdir(base):
        if name != REMOVING:
            remove_file(os.path.join(base, name))
    shutil.rmtree(base)


def _folders(base: str) -> List[str]:
    """The directories in the base, without what only leads to one elsewhere."""
    found = [(name, os.lstat(os.path.join(base, name))) for name in sorted(os.listdir(base))]
    return [name for name, status in found if stat.S_ISDIR(status.st_mode) and not leads_elsewhere(status)]


def deletion_line(base: str, folders: List[str], system: str) -> str:
    """The command line that deletes the base as soon as no program runs from it, and ends then.

    The base goes when its directories have gone, and so does the mark of the removal in it. Programs are named in full:
    cmd.exe looks into the current directory first, and into directories of the search path.
    """
    wait = '"%s" -n 2 127.0.0.1 >nul' % os.path.join(system, "ping.exe")
    paths = [os.path.join(base, name) for name in folders]
    steps = [wait, *('rmdir /s /q "%s"' % path for path in paths)]
    steps.append('(%srmdir /s /q "%s")' % ("".join('if not exist "%s" ' % path for path in paths), base))
    step = '(%s & if not exist "%s" exit)' % (" & ".join(steps), base)
    return '"%s" /d /s /c "for /l %%i in (1,1,30) do %s"' % (os.path.join(system, "cmd.exe"), step)


def status(base: str) -> Dict[str, Any]:
    """Say what is installed; changes nothing."""
    unsafe = None
    if os.path.lexists(base):
        try:
            check_base(base)
        except EngineError as error:
            unsafe = str(error)
    found = query()
    state = None if found is None else _STATES.get(found.state, "in state %d" % found.state)
    current = read_name(base, "current")
    facts: Dict[str, Any] = {
        "installed": current,
        "service": state,
        "image": found.image if found else None,
        "base": base,
    }
    facts.update(unsafe=unsafe, state=_shown(base), interrupted=_is_removing(base))
    return dict(facts, ok=True, changed=False, replaced=None)


def _shown(base: str) -> Dict[str, Any]:
    state = read_document(os.path.join(base, "service", "state.json")) or {}
    return {name: state.get(name) for name in ("state", "installation", "pid")}


def main(arguments: List[str]) -> int:
    """Run the verb; exit status 0 when it succeeded."""
    parser = argparse.ArgumentParser(prog="windows_install", allow_abbrev=False)
    parser.add_argument(
        "verb", choices=("prepare", "copy", "switch", "install", "update", "remove", "status", "settle")
    )
    parser.add_argument("--base", default=default_base())
    parser.add_argument("--from", dest="folder", default="")
    parser.add_argument("--to", dest="identity", default="")
    options = parser.parse_args(arguments)
    try:
        answer = _answer(options, os.path.abspath(options.base))
    except EngineError as error:
        answer = dict(error.as_dict(), ok=False)
    except Exception as error:  # a defect of the engine: reported under its code, with the place on stderr
        traceback.print_exc()
        answer = dict(uncaught(error).as_dict(), ok=False)
    if not answer["ok"]:
        sys.stderr.write("%s %s (%s)\n" % (answer.get("message"), answer.get("hint"), answer.get("code")))
    with contextlib.suppress(OSError):
        sys.stdout.write(json.dumps(answer, sort_keys=True) + "\n")
        sys.stdout.flush()
    return 0 if answer["ok"] else 1


def _answer(options: argparse.Namespace, base: str) -> Dict[str, Any]:
    if options.verb == "prepare":
        return prepare(base)
    if options.verb == "copy":
        return copy(base, options.folder)
    if options.verb == "switch":
        check_above(base)
        check_base(base)
        if not IDENTITY.fullmatch(options.identity):
            raise InstallationBroken(installation=options.identity[:80], reason="this is not the id of an installation")
        return _pruned(base, switch(base, options.identity))
    if options.verb == "settle":
        return settle(base)
    if options.verb == "remove":
        return remove(base)
    if options.verb == "status":
        return status(base)
    return install(base, options.folder)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
