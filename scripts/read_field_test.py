# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares a report of the field test with what the code relies on: ``python3 scripts/read_field_test.py REPORT``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins" / "module_utils"))

from engine.agent.field_test.__main__ import main  # the path is known only now

if __name__ == "__main__":
    sys.exit(main(["--read", *sys.argv[1:]]))
