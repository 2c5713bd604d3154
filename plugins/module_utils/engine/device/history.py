# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Git repository with a file for each device, which gets a commit for each change of its document.

Plumbing commands write the commit, so that a bare repository does as well and no working tree is in the way. Processes of
this machine take turns with a lock; against all others the branch moves only from the commit that the new one was built on.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import re
import subprocess
import time
from typing import Any, Dict, List, Optional

from ..errors import GitMissing, HistoryFailed, HistoryLocked
from .compare.compare import compare
from .compare.words import lines

_LOCK = "plantops-imaging-history.lock"
_LOCK_SECONDS = 120.0
_GIT_SECONDS = 60
_TRIES = 30
_MOST_REASON = 300
_MOST_BYTES = 64 << 20
_NAME = "plantops.imaging"
_IDENTITY = {
    "GIT_AUTHOR_NAME": _NAME,
    "GIT_AUTHOR_EMAIL": "plantops.imaging@localhost",
    "GIT_COMMITTER_NAME": _NAME,
    "GIT_COMMITTER_EMAIL": "plantops.imaging@localhost",
}
_ID = re.compile(r"[0-9a-f]{40,64}")
_HELD = re.compile(rb"'([^'\n]+\.lock)': File exists")
_STALE_SECONDS = 600.0  # git holds the lock of a branch for moments


class HistoryRepository:
    """A repository of device documents, bare or with a working tree, on the branch that its HEAD names."""

    def __init__(self, path: str) -> None:
        """:raises GitMissing: when there is no program git. :raises HistoryFailed: when ``path`` is not a repository."""
        self._path = path
        if not os.path.isabs(path) or not os.path.isdir(path):
            raise self.failed("it is not an absolute path of a directory")
        self._folder = os.path.join(path, self._git("rev-parse", "--git-dir").strip())
        self._is_bare = self._git("rev-parse", "--is-bare-repository").strip() == "true"
        top = "" if self._is_bare else self._git("rev-parse", "--show-toplevel").strip()
        if top and os.path.realpath(top) != os.path.realpath(path):
            raise self.failed("it is a directory inside the repository %s" % top)
        self._branch = self._git("symbolic-ref", "HEAD").strip()
        self._held = ""  # the lock of another git that was in the way of the last attempt

    def commit(self, device: str, document: Dict[str, Any], image: str, is_trial: bool = False) -> Optional[str]:
        """Return the id of the new commit, None where the document is already that of the branch.

        :param is_trial: write nothing, and return an empty id for a commit that would be made.
        """
        name = device + ".json"
        data = json.dumps(document, sort_keys=True, indent=1, ensure_ascii=True).encode("ascii") + b"\n"
        if is_trial:
            parent = self._parent()
            blob = self._git("hash-object", "--stdin", "-t", "blob", data=data).strip()
            return None if self._blob_of(parent, name) == blob else ""
        with self._locked():
            for number in range(_TRIES):
                parent = self._parent()
                blob = self._git("hash-object", "-w", "--stdin", "-t", "blob", data=data).strip()
                before = self._blob_of(parent, name)
                if before == blob:
                    self._bring_back(name, blob)
                    return None
                message = self._message(device, before, document, image)
                commit = self._write(parent, name, blob, message)
                if self._moves(commit, parent):
                    self._checkout(name)
                    break
                self._delete_stale()
                time.sleep(random.uniform(0.01, 0.05) * (number + 1))
            else:
                if self._held:
                    raise HistoryLocked(repository=self._path, lock=self._held)
                raise self.failed("other programs hold or move %s all the time" % self._branch)
        self._tidy()
        return commit

    def _tidy(self) -> None:
        """Have git pack its objects where it is time. It takes minutes in a large history, so it continues in the background;
        the commit is made, and what prevents it is met again by the next one."""
        with contextlib.suppress(HistoryFailed):
            self._run(["gc", "--auto", "--quiet"])

    def _parent(self) -> str:
        answer = self._run(["rev-parse", "--verify", "--quiet", self._branch + "^{commit}"])
        found = answer.stdout.decode("ascii", "replace").strip()
        return found if answer.returncode == 0 and _ID.fullmatch(found) else ""

    def _blob_of(self, parent: str, name: str) -> str:
        if not parent:
            return ""
        listed = self._git("ls-tree", "-z", parent, "--", name)
        return listed.split("\t")[0].split(" ")[2] if listed.startswith("100") else ""

    def _write(self, parent: str, name: str, blob: str, message: str) -> str:
        entries = self._git("ls-tree", "-z", parent).split("\0") if parent else []
        kept = [entry for entry in entries if entry and entry.split("\t", 1)[1] != name]
        listed = "\0".join([*kept, "100644 blob %s\t%s" % (blob, name)]) + "\0"
        tree = self._git("mktree", "-z", data=listed.encode("utf-8", "surrogateescape")).strip()
        parents = ["-p", parent] if parent else []
        return self._git("commit-tree", tree, *parents, data=message.encode("utf-8")).strip()

    def _moves(self, commit: str, parent: str) -> bool:
        """Move the branch, unless another program did. An empty parent means that the branch does not exist yet."""
        words = ["update-ref", "-m", "device document", self._branch, commit, parent]
        answer = self._run(words)
        self._held = _lock_in(
            answer
        )  # of git of another machine, of the packing of an earlier commit, or of a killed git
        if answer.returncode and not self._held and self._parent() == parent:
            raise self.failed(_reason(answer))
        return answer.returncode == 0

    def _delete_stale(self) -> None:
        """Delete the lock of a branch that a killed git left, by the clock of the file system that has it.

        This process holds the lock among those that write here, so that it is not the lock of one of them.
        """
        own, folder = os.path.join(self._folder, _LOCK), os.path.realpath(os.path.join(self._folder, "refs"))
        if not os.path.realpath(self._held or own).startswith(folder + os.sep):
            return
        with contextlib.suppress(OSError):
            os.utime(own)
            if os.stat(own).st_mtime - os.lstat(self._held).st_mtime > _STALE_SECONDS:
                os.unlink(self._held)

    def _bring_back(self, name: str, blob: str) -> None:
        """Bring a file to the working tree that an earlier commit could not, because of a lock.

        It is missing then, or as an earlier commit left it. Any other content is the work of a user, and stays.
        """
        path = os.path.join(self._path, name)
        if self._is_bare:
            return
        if not os.path.lexists(path):
            self._checkout(name)
        elif os.path.isfile(path) and not os.path.islink(path):
            found = self._git("hash-object", "--", name).strip()
            if found != blob and self._was_committed(name, found):
                self._checkout(name)

    def _was_committed(self, name: str, blob: str) -> bool:
        """Whether the file had this content on the branch. The history is read only for content that git has at all."""
        if self._run(["cat-file", "-e", blob]).returncode:
            return False
        words = ["log", "-1", "--no-show-signature", "--format=%H", "--find-object=" + blob, self._branch, "--", name]
        return bool(self._git(*words).strip())

    def _checkout(self, name: str) -> None:
        """Bring the file of the device to the working tree, where there is one; other files of it are left as they are."""
        if self._is_bare:
            return
        answer = self._run(["checkout", "--quiet", "HEAD", "--", name])
        lock = _lock_in(answer)
        if lock:
            raise HistoryLocked(repository=self._path, lock=lock)
        if answer.returncode:
            raise self.failed(_reason(answer))

    def _message(self, device: str, before: str, document: Dict[str, Any], image: str) -> str:
        """The subject is the device and how much changed; the body has the differences and the image."""
        earlier = self._document(before)
        if earlier is None:
            return "%s: first device document\n\nImage: %s\n" % (device, image)
        comparison = compare(earlier, document)
        count = comparison["count"]
        subject = "%s: %d difference%s" % (device, count, "" if count == 1 else "s")
        return "\n".join([subject, "", *lines(comparison), "", "Image: %s" % image, ""])

    def _document(self, blob: str) -> Optional[Dict[str, Any]]:
        if not blob:
            return None
        data = self._run(["cat-file", "blob", blob]).stdout
        try:
            found = json.loads(data[:_MOST_BYTES].decode("utf-8"))
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def _locked(self) -> _Lock:
        return _Lock(os.path.join(self._folder, _LOCK), self)

    def _git(self, *words: str, data: bytes = b"") -> str:
        answer = self._run(list(words), data)
        if answer.returncode:
            raise self.failed(_reason(answer))
        return answer.stdout.decode("utf-8", "surrogateescape")

    def _run(self, words: List[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment.update(_IDENTITY, LC_ALL="C", GIT_TERMINAL_PROMPT="0", GIT_LITERAL_PATHSPECS="1")
        # No program that the repository names is run: neither a hook nor a monitor of its files.
        command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", *words]
        try:
            return subprocess.run(  # pylint: disable=ansible-bad-function
                command,
                input=data,
                cwd=self._path,
                env=environment,
                timeout=_GIT_SECONDS,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError:
            if os.path.isdir(self._path):
                raise GitMissing(repository=self._path) from None
            raise self.failed("its directory was removed") from None
        except (OSError, subprocess.SubprocessError) as error:
            raise self.failed(str(error)) from None

    def failed(self, reason: str) -> HistoryFailed:
        """Return the error with a reason."""
        return HistoryFailed(repository=self._path, reason=reason.rstrip("."))


class _Lock:
    """The lock of a repository among the processes of this machine."""

    def __init__(self, path: str, repository: HistoryRepository) -> None:
        self._path = path
        self._repository = repository
        self._number = -1

    def __enter__(self) -> _Lock:
        try:
            self._number = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise self._repository.failed("%s: %s" % (self._path, error.strerror)) from None
        ends = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self
            except OSError:
                if time.monotonic() > ends:
                    os.close(self._number)
                    raise self._repository.failed("another process holds %s" % self._path) from None
                time.sleep(random.uniform(0.02, 0.1))

    def __exit__(self, *dummy: object) -> None:
        os.close(self._number)


def _lock_in(answer: subprocess.CompletedProcess[bytes]) -> str:
    """Return the lock that git says is in its way, "" where it says nothing of one."""
    match = _HELD.search(answer.stderr) if answer.returncode else None
    return os.fsdecode(match.group(1)) if match else ""


def _reason(answer: subprocess.CompletedProcess[bytes]) -> str:
    text = " ".join(answer.stderr.decode("utf-8", "replace").split())
    return text[:_MOST_REASON] or "git failed"
