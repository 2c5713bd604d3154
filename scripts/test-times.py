# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print where the time of the last ``make test`` went: for each file the seconds of its tests and the processor seconds of
them, for each folder the sums, and the slowest tests."""

from __future__ import annotations

import sys
import xml.etree.ElementTree
from collections import Counter
from pathlib import Path
from typing import Tuple

REPORT = Path(__file__).resolve().parent.parent / "build" / "tests.xml"
MOST = 60
PROPERTY = "processor_seconds"  # tests/support/processor_time.py


def place_of(class_name: str) -> Tuple[str, str]:
    """Return folder and file of a test, from the dotted name that pytest reports."""
    words = class_name.split(".")
    folder = "/".join(words[1:3] if words[1] == "integration" else words[1:2])
    return folder, "/".join(words) + ".py"


def main(report: Path) -> None:
    folders, files, tests = Counter[str](), Counter[str](), Counter[str]()
    used: Counter[str] = Counter()
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        seconds = float(case.get("time", 0))
        folder, file = place_of(case.get("classname", "tests.unit"))
        test = "%s::%s" % (file, case.get("name"))
        found = [one.get("value", "0") for one in case.iter("property") if one.get("name") == PROPERTY]
        for counted, name in ((folders, folder), (files, file), (tests, test)):
            counted[name] += seconds  # type: ignore[assignment]  # a counter of seconds
            used[name] += sum(map(float, found))  # type: ignore[assignment]
    for title, counted in (("folder", folders), ("file", files), ("test", tests)):
        print("seconds  processor  %s" % title)
        for name, seconds in counted.most_common(MOST):
            print("%7.1f  %9.1f  %s" % (seconds, used[name], name))
    print("%7.1f  %9.1f  all, summed over the processes" % (sum(files.values()), sum(used[name] for name in files)))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPORT)
