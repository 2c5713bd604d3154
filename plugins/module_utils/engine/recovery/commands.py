# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands: each builds the request that the module of the same purpose sends, and runs it through the same dispatch."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Callable, Dict, List, Optional

from ..amounts import size
from ..errors import (
    PasswordMissing,
    PasswordWrong,
    RecoveryArgumentInvalid,
    RecoveryCommandLater,
    RecoveryPasswordNeeded,
)
from ..restore.matching import AUTO, EVERY
from ..storage.url import check_url
from ..verbs.dispatch import run_document
from . import asking, words
from .arguments import is_server, place, storage_settings, targets

_TRIES = 3
Report = Callable[[Dict[str, Any]], None]


class Command:
    """One run of the program: what was asked for, and the secrets that were given for it."""

    def __init__(self, options: argparse.Namespace, program: Optional[str], report: Report) -> None:
        self.options = options
        self.program = program
        self.secrets: List[str] = []  # to be kept out of what is shown
        self.may_have_written = False
        self._report = report
        self._password: Optional[str] = None
        self._storage: Dict[str, Any] = {}

    def run(self) -> Dict[str, Any]:
        """Do it; the result has ``ok``.

        :raises EngineError: what was refused or went wrong.
        """
        if getattr(self.options, "level", "") == "boot":
            raise RecoveryCommandLater(command="verify --level boot")
        if self.options.password_fd is not None:
            self._password = self._secret("--password-fd", self.options.password_fd)
        self._storage = self._access("", self.options.storage)
        return _COMMANDS[self.options.command](self)

    def say(self, *lines: str) -> None:
        """Show lines to a person; a program gets them as part of the result."""
        if not self.options.json:
            sys.stdout.write("".join(line + "\n" for line in lines))
            sys.stdout.flush()

    def _secret(self, option: str, descriptor: int) -> str:
        secret = asking.read_secret(option, descriptor)
        self.secrets.append(secret)
        return secret

    def _access(self, prefix: str, url: str) -> Dict[str, Any]:
        """The settings of a storage; on a terminal the password of a server's user is asked for."""
        check_url(url)  # before it is shown anywhere
        option = "%sstorage-password-fd" % prefix
        values = vars(self.options)
        prefix = prefix.replace("-", "_")
        user, descriptor = values["%suser" % prefix], values["%sstorage_password_fd" % prefix]
        key_file, host_key = values["%sprivate_key_file" % prefix], values["%shost_key" % prefix]
        if url.startswith("sftp://") and not user:
            raise RecoveryArgumentInvalid(
                option=url, reason="an SFTP server requires --%suser" % option[: -len("storage-password-fd")]
            )
        password: Optional[str] = None
        if descriptor is not None:
            password = self._secret("--" + option, descriptor)
        elif is_server(url) and user and not key_file and asking.has_terminal():
            password = asking.ask_secret("Password of %s on %s (Enter for none)" % (user, url))
            self.secrets.extend([password] if password else [])
        return storage_settings(url, user, password, key_file, host_key, values["%sstorage_port" % prefix])

    def _request(self, verb: str, **settings: Any) -> Dict[str, Any]:
        request = dict({"verb": verb, "storage": self._storage, "secrets": {}}, **settings)
        if getattr(self.options, "device", None):
            request["device"] = self.options.device
        if hasattr(self.options, "image"):
            request["image"] = self.options.image
        if self._password:
            request["secrets"] = {"password": self._password}
        return request

    def _run(self, verb: str, **settings: Any) -> Dict[str, Any]:
        return run_document(self._request(verb, **settings), self._report, lambda: False)

    def _run_with_password(self, verb: str, **settings: Any) -> Dict[str, Any]:
        """Run what needs the image password where the image is encrypted: then it is asked for."""
        tries = 0
        while True:
            try:
                return self._run(verb, **settings)
            except PasswordMissing as error:
                if not asking.has_terminal():
                    raise RecoveryPasswordNeeded(device=self.options.device) from error
            except PasswordWrong:
                if not tries or tries >= _TRIES or not asking.has_terminal():
                    raise
                sys.stderr.write("The password opens no key slot of %s.\n" % self.options.device)
            tries += 1
            self._password = asking.ask_secret("Image password of %s" % self.options.device)
            self.secrets.extend([self._password] if self._password else [])
            if not self._password:
                raise RecoveryPasswordNeeded(device=self.options.device)

    # -- the commands -------------------------------------------------------------------------------------------------

    def images(self) -> Dict[str, Any]:
        if self.options.device:
            found = {self.options.device: self._run("list", image="all")["images"]}
        else:
            found = {one["device"]: one["images"] for one in self._run("devices")["devices"]}
        self.say(*words.images(found))
        return {"ok": True, "devices": [{"device": name, "images": found[name]} for name in sorted(found)]}

    def show(self) -> Dict[str, Any]:
        one = self._run("list")["images"][0]
        self.say(*words.shown(self.options.device, one))
        return {"ok": True, "device": self.options.device, "image": one}

    def verify(self) -> Dict[str, Any]:
        needs_key = self.options.level == "full"
        run = self._run_with_password if needs_key else self._run
        # Reading writes no record and moves no file: other programs may write to the storage, which may be a stick.
        found = run("verify", level=self.options.level, check=True)
        if found["ok"]:
            self.say("The image %s of %s is intact (level %s)." % (found["image"], self.options.device, found["level"]))
        else:
            self.say("The image %s of %s is DAMAGED:" % (found["image"], self.options.device))
            self.say(*("  %s" % problem for problem in found["problems"]))
        return dict(found)

    def plan(self) -> Dict[str, Any]:
        return dict(self._planned(), ok=True)

    def restore(self) -> Dict[str, Any]:
        planned = self._planned()
        question = "The restore will overwrite the targets listed above."
        if planned["already_restored"]:
            self.say("The targets already contain the image; the restore is complete.")
            if not planned.get("changed"):
                return dict(planned, ok=True)
            question = "The restore will create a boot entry in the firmware of this machine."
        asking.confirm(self.options.yes, question)
        self.may_have_written = True
        # The disks that the plan showed, also where "auto" would find others by now.
        shown = {one["disk"]: one["target"] for one in planned["restore_plan"]["disks"]}
        settings = self._restore_settings()
        settings.update(image=planned["image"], map=shown)
        done = self._run("restore", **settings)
        self._warn(done)
        whole = not done.get("damaged")
        for disk in done["disks"]:
            self.say("%s was restored to %s." % (disk.get("disk", "The disk"), disk.get("target", "its target")))
        for one in done.get("boot", {}).get("disks", []):
            self.say(*words.boot(one))
        self.say("Done in %s." % words.duration(int(done.get("seconds", 0))))
        return dict(done, ok=whole)

    def copy(self) -> Dict[str, Any]:
        to = self.options.to
        target: Dict[str, Any] = {"directory": place(to)}
        if is_server(to):
            target = {"copy_storage": self._access("to-", to)}
        self.may_have_written = True
        done = self._run("copy", program=self.program, **target)
        self._warn(done)
        self.say(
            "The image %s of %s is stored in %s: %s copied, %s already stored; every byte was read back."
            % (
                done["image"],
                self.options.device,
                done["target"],
                size(done["bytes_copied"]),
                size(done["bytes_kept"]),
            ),
            "RECOVERY.txt and RECOVERY.html beside it contain the instructions for a restore.",
        )
        return dict(done, ok=True)

    def _restore_settings(self) -> Dict[str, Any]:
        return {
            "map": targets(self.options.to) if self.options.to else {EVERY: AUTO},
            "partitions": self.options.only or [],
            "read_back": not self.options.no_read_back,
            "overwrite": self.options.overwrite,
            "damaged": self.options.damaged,
            "replace_table": self.options.replace_table or [],
            "proof": self.options.proof.replace("-", "_"),
            "grow": self.options.grow or "",
            "shrink": self.options.shrink,
            "identity": self.options.identity,
            "boot_fallback": self.options.boot_fallback,
            "free_space": self.options.free_space,
            "scratch": os.path.abspath(self.options.scratch) if self.options.scratch else "",
        }

    def _planned(self) -> Dict[str, Any]:
        planned = self._run_with_password("restore", check=True, **self._restore_settings())
        self.say("Plan for the image %s of %s:" % (planned["image"], self.options.device))
        self.say(*("  %s." % sentence for sentence in planned["plan"]))
        self.say(*("  %s now: %s" % (one["target"], one["before"]) for one in planned["targets"]))
        self._warn(planned)
        return planned

    def _warn(self, result: Dict[str, Any]) -> None:
        for text in result.get("warnings", []):
            self._report({"event": "warning", "message": text})


_COMMANDS: Dict[str, Callable[[Command], Dict[str, Any]]] = {
    "images": Command.images,
    "show": Command.show,
    "verify": Command.verify,
    "plan": Command.plan,
    "restore": Command.restore,
    "copy": Command.copy,
}
