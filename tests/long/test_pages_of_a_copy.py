# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RECOVERY.html, printed by a browser, is two pages of A4 that can hang at the machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.imaging import image
from support.plain_disks import make_disk
from support.recovery import copy

pytestmark = pytest.mark.long


@pytest.mark.parametrize("disks", [1, 2])
def test_the_page_of_a_usual_image_is_printed_on_two_sheets(disks: int, tmp_path: Path) -> None:
    if not shutil.which("chromium") or not shutil.which("pdfinfo"):
        pytest.fail("install the packages chromium and poppler-utils (make test-long does)")
    paths = [tmp_path / ("disk%d.raw" % number) for number in range(disks)]
    for number, path in enumerate(paths):
        make_disk(path, 16, 8, number + 1)
    image(tmp_path / "storage", *paths)
    copy(tmp_path / "storage", tmp_path / "stick")
    printed = tmp_path / "page.pdf"
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    command += ["--print-to-pdf=%s" % printed, str(tmp_path / "stick" / "pc" / "RECOVERY.html")]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    told = subprocess.run(["pdfinfo", str(printed)], check=True, capture_output=True, text=True).stdout
    assert "A4" in told
    found = re.search(r"^Pages:\s+(\d+)$", told, flags=re.MULTILINE)
    assert found is not None
    assert int(found.group(1)) == 2
