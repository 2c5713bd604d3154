# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last image of a device in the directory of results: only what is known, whatever is in there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.last_image import LastImages

NOW = 1_795_978_400.0  # 2026-11-29T18:53:20Z


def leave(folder: Path, name: str, **document: Any) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


@pytest.fixture
def known(tmp_path: Path) -> LastImages:
    images = LastImages()
    images.learn(
        "press-01",
        "press-01",
        leave(tmp_path / "press-01", "2026-11-29_18-00-00-image.json", state="failed", image=None),
    )
    return images


def test_the_newest_image_of_earlier_plays(tmp_path: Path, known: LastImages) -> None:
    for name, image, ended in (
        ("2026-11-26", "a", "2026-11-26T22:00:00Z"),
        ("2026-11-27", "b", "2026-11-27T22:00:00Z"),
    ):
        leave(tmp_path / "press-01", name + "_22-00-00-image.json", state="ok", image=image, ended=ended)
    leave(tmp_path / "press-01", "2026-11-28_22-00-00-image.json", state="failed", image=None)
    leave(tmp_path / "press-01", "2026-11-28_23-00-00-verify.json", state="ok", image="v")
    assert known.words("press-01", NOW) == "b, 44 h ago"
    assert known.words("press-01", NOW + 86400) == "b, 2 days ago"


def test_a_device_that_was_not_reached_has_the_folder_of_its_name(tmp_path: Path, known: LastImages) -> None:
    leave(tmp_path / "press-05", "2026-11-27_22-00-00-image.json", image="c", ended="2026-11-29T17:00:00Z")
    leave(tmp_path / "plant_press-06", "2026-11-27_22-00-00-image.json", image="d", ended="nonsense")
    assert known.words("press-05", NOW) == "c, 1 h ago"
    assert known.words("press-06", NOW) == ""
    known.learn("press-02", "plant_press-02", None)
    assert known.words("press-06", NOW) == "d"


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000, b'{"image": 5}', b'{"image": null}', b"\xff"])
def test_other_files_tell_nothing(tmp_path: Path, known: LastImages, content: bytes) -> None:
    (tmp_path / "press-05").mkdir()
    (tmp_path / "press-05" / "2026-11-27_22-00-00-image.json").write_bytes(content)
    assert known.words("press-05", NOW) == ""
    assert known.words("press-09", NOW) == ""


def test_without_results_and_on_another_operator_nothing_is_known(tmp_path: Path) -> None:
    images = LastImages()
    images.learn("press-01", "press-01", None)
    images.learn("press-01", "press-01", str(tmp_path / "press-01" / "2026-11-29_18-00-00-image.json"))
    leave(tmp_path / "press-05", "2026-11-27_22-00-00-image.json", image="c")
    assert images.words("press-05", NOW) == ""


def test_a_name_of_a_host_leads_nowhere_else(tmp_path: Path, known: LastImages) -> None:
    leave(tmp_path.parent / "outside", "2026-11-27_22-00-00-image.json", image="c")
    assert known.words("../outside", NOW) == ""
