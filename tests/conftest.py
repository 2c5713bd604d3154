# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share. A missing program is a failure, never a skip."""

from __future__ import annotations

import os
import shutil

import pytest

os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
os.environ.setdefault("LC_ALL", "C.UTF-8")


@pytest.fixture
def need():
    """Return a function that fails the test when one of the named programs is missing."""

    def check(*programs: str) -> None:
        missing = [program for program in programs if shutil.which(program) is None]
        if missing:
            pytest.fail("these programs are missing: %s (bindep.txt lists their packages)" % ", ".join(missing))

    return check
