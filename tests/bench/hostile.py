# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Peak memory of each verb against a hostile storage, as the table of docs/performance.md.

``python tests/bench/hostile.py FOLDER [--storage directory|SFTP|SMB] [--only WORD] [--scale SHARE] [--crowd NAMES] [--times]
[--more]``: the folder needs room for as many files as ``--crowd`` says. ``--only`` chooses attacks by a part of their names,
``--more`` the verbs that read a second storage as well.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterable, Optional

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "plugins" / "module_utils")]

from support.hostile_storage import ATTACKS, CROWD, FUTURE, LISTINGS, SOON, Attacker, Measured, measure, reached  # noqa: E402
from support.recovery import stand_in  # noqa: E402

VERBS: Dict[str, Dict[str, Any]] = {
    "image": {"verb": "image", "limit_read_rate": 0, "keep": 9},
    "list": {"verb": "list"},
    "verify quick": {"verb": "verify", "level": "quick"},
    "verify storage": {"verb": "verify", "level": "storage"},
    "verify full": {"verb": "verify", "level": "full"},
    "verify theirs": {"verb": "verify", "level": "full", "password": ""},
    "restore": {"verb": "restore"},
    "rollover": {"verb": "rollover", "keep": 9},
    "pin": {"verb": "pin", "image": "latest"},
    "check": {"verb": "check"},
}
MORE: Dict[str, Dict[str, Any]] = {
    "copy": {"verb": "copy"},
    "check in": {"verb": "archive"},
    "verify versions": {"verb": "archive", "state": "verified"},
    "devices": {"verb": "devices"},
}


def measured(storage: Path, reach: Optional[Dict[str, Any]], name: str, folder: Path) -> Measured:
    settings = dict({**VERBS, **MORE}[name])
    if name == "image":
        settings["drives"] = [str(folder / "drive")]
    if name == "restore":
        settings.update(map={"disk0": os.path.join(tempfile.gettempdir(), "hostile-restored")}, overwrite=True)
    if name == "copy":
        settings.update(directory=str(folder / "copies"), program=str(stand_in()))
    if settings["verb"] == "archive":
        (folder / "archive").mkdir(exist_ok=True)
        settings["archive"] = {"url": str(folder / "archive")}
    if name == "verify theirs":
        planted = [one for one in (SOON, FUTURE) if (storage / "pc" / one).exists()]
        settings["image"] = planted[0] if planted else "latest"
    return measure(storage, reach=reach, **settings)


def row(
    kind: str, title: str, folder: Path, scale: float, crowd: int, with_times: bool, verbs: Iterable[str] = tuple(VERBS)
) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "drive").write_bytes(os.urandom(4 << 20))
    with reached(kind, folder) as (storage, reach):
        first = measured(storage, None, "image", folder)
        ATTACKS[title](Attacker(storage, first.last["image"], scale, crowd))
        cells = []
        for name in verbs:
            started = time.monotonic()
            done = measured(storage, reach, name, folder)
            note = "" if done.status == 0 else " %s" % done.last.get("code", "?")
            took = ", %.0f s" % (time.monotonic() - started) if with_times else ""
            cells.append("%d%s%s" % (done.peak_bytes >> 20, took, note))
            print(name, cells[-1], done.last.get("message", ""), file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    return "| %s | %s |" % (title, " | ".join(cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--storage", default="directory", choices=("directory", "SFTP", "SMB"))
    parser.add_argument("--only", default="")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--crowd", type=int, default=CROWD)
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--more", action="store_true")
    wanted = parser.parse_args()
    verbs = MORE if wanted.more else VERBS
    print("| in the storage (%s) | %s |" % (wanted.storage, " | ".join(verbs)))
    print("|---%s|" % ("|---" * len(verbs)))
    titles = ATTACKS if wanted.storage == "directory" else LISTINGS
    for title in titles:
        if wanted.only in title:
            folder = wanted.folder / "hostile"
            line = row(wanted.storage, title, folder, wanted.scale, wanted.crowd, wanted.times, verbs)
            print(line, flush=True)


if __name__ == "__main__":
    main()
