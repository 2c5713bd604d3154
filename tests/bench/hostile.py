# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Peak memory of each verb against a hostile storage, as the table of docs/performance.md: ``python tests/bench/hostile.py FOLDER [WORD]``.

``WORD`` chooses attacks by a part of their name. The folder needs room for a million files.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "plugins" / "module_utils")]

from support.hostile_storage import ATTACKS, PASSWORD, Attacker, measure  # noqa: E402

VERBS = {
    "image": {"limit_read_rate": 0, "keep": 9},
    "list": {},
    "verify": {"level": "full"},
    "rollover": {"keep": 9},
    "pin": {"image": "latest"},
    "check": {},
}


def main() -> None:
    folder = Path(sys.argv[1])
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    print("| in the storage | %s |" % " | ".join(VERBS))
    print("|---%s|" % ("|---" * len(VERBS)))
    for title, attack in ATTACKS.items():
        if word not in title:
            continue
        shutil.rmtree(folder / "storage", ignore_errors=True)
        drive = folder / "drive"
        drive.write_bytes(os.urandom(4 << 20))
        first = measure(folder / "storage", "image", drives=[str(drive)], limit_read_rate=0)
        attack(Attacker(folder / "storage", first.last["image"]))
        cells = []
        for verb, settings in VERBS.items():
            more = {"drives": [str(drive)]} if verb == "image" else {}
            started = time.monotonic()
            done = measure(folder / "storage", verb, **settings, **more)
            note = "" if done.status == 0 else " " + str(done.last.get("code", "?"))
            print(verb, done.last.get("message", ""), done.last.get("warnings", ""), file=sys.stderr)
            cells.append("%d, %.0f s%s" % (done.peak_bytes >> 20, time.monotonic() - started, note))
        print("| %s | %s |" % (title, " | ".join(cells)), flush=True)
    assert PASSWORD


if __name__ == "__main__":
    main()
