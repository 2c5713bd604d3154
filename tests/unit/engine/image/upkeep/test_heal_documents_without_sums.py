# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What mends an image's documents takes a list of sums that lacks what every list of ours has."""

from __future__ import annotations

import pytest
from engine.image.format import constants as fmt
from engine.image.upkeep.heal_documents import heal_documents
from support.plant import Plant
from support.small_runs import DEVICE, make_small


def test_a_list_without_the_manifest_is_no_defect_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    plant = Plant(images=1)
    path = "%s/%s/%s" % (DEVICE, plant.names[0], fmt.SUMS_NAME)
    lines = plant.storage.files[path].splitlines(keepends=True)
    whole = plant.storage.files[path]
    for left_out in range(len(lines)):
        plant.storage.files[path] = b"".join(lines[:left_out] + lines[left_out + 1 :])
        heal_documents(plant.directory, plant.directory.images(), None)
        assert plant.storage.files[path] == whole, lines[left_out]
