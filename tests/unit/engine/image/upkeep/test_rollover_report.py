# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image run says of the rollover behind it: fields of plain values, the same in check mode and in earnest."""

from __future__ import annotations

import json

import pytest
from support.plant import DAY, NOW, Plant
from support.small_runs import make_small


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def test_a_report_tells_the_same_before_and_after() -> None:
    plant = Plant(3)
    gone = plant.names[:2]
    told = plant.roll(1, dry_run=True).as_dict()
    done = plant.roll(1).as_dict()
    assert (told.pop("dry_run"), done.pop("dry_run")) == (True, False)
    assert told == done
    assert done["deleted"] == gone
    assert set(done["trashed_packs"]) == plant.trashed() > set()
    assert json.loads(json.dumps(done)) == done


def test_a_report_holds_what_was_there_before_and_what_was_freed_after_a_day() -> None:
    plant = Plant(2)
    names = list(plant.names)
    sizes = plant.directory.packs()
    report = plant.roll(1)
    assert report.before == names
    assert (report.purged_packs, report.freed_bytes) == ([], 0)
    plant.make()
    later = plant.roll(2, NOW + DAY)
    assert set(later.purged_packs) == set(report.trashed_packs)
    assert later.freed_bytes == sum(sizes[pack] for pack in later.purged_packs)
    assert later.before == [names[1], plant.names[-1]]


def test_an_image_run_is_not_told_what_only_a_rollover_of_its_own_says() -> None:
    assert {"before", "missing", "named"} & set(Plant(1).roll(1).as_dict()) == set()
