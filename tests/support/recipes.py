# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipes of docs/security.md, taken from the document and followed in a place of their own."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List

from .paths import ROOT

_DOCUMENT = ROOT / "docs" / "security.md"


def recipe(name: str) -> str:
    """The code block that follows ``<!-- recipe: name -->``."""
    text = _DOCUMENT.read_text(encoding="utf-8")
    found = re.findall(r"<!-- recipe: %s -->\n+```[a-z]*\n(.*?)```" % re.escape(name), text, re.DOTALL)
    assert len(found) == 1, "the document has %d recipes %s" % (len(found), name)
    return str(found[0])


def verdicts() -> Dict[str, List[str]]:
    """What the document says of each attack: the cells after its name."""
    text = _DOCUMENT.read_text(encoding="utf-8").split("<!-- attacks -->")[1]
    rows = [row.strip("|").split("|") for row in text.strip().split("\n\n")[0].splitlines()[2:]]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


class Elsewhere:
    """A mount namespace with an /etc and a /srv of its own: accounts and files that recipes make are gone with it."""

    def __init__(self, holder: subprocess.Popen[bytes]) -> None:
        self.prefix = ["nsenter", "--target", str(holder.pid), "--mount", "--wd=/"]

    def run(self, script: str) -> str:
        command = [*self.prefix, "sh", "-euc", script]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, done.stdout
        return done.stdout


@contextlib.contextmanager
def elsewhere(folder: Path) -> Iterator[Elsewhere]:
    """A namespace that lives as long as the block; ``folder`` takes the copy of /etc."""
    copy = folder / "etc"
    copy.mkdir(parents=True)
    subprocess.run(["cp", "-a", "/etc/.", str(copy)], check=True)
    script = 'mount --bind "$1" /etc; mount -t tmpfs -o mode=755 tmpfs /srv; echo ready; exec cat'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", script, "sh", str(copy)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        yield Elsewhere(holder)
    finally:
        holder.communicate()  # its input ends, and so does the namespace
