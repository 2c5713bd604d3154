# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device documents in images: stored, compared with the previous or a pinned image, by the verbs, and with old images."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import jsonschema
import pytest
from engine.device.document import collect as collecting
from engine.errors import CompareIgnoreInvalid, DeviceDocumentInvalid, EngineError
from engine.image.reader import ImageReader
from engine.storage.local.storage import DirectoryStorage
from engine.verbs import device_documents, device_report
from engine.verbs.dispatch import run_job
from support.imaging import PASSWORD, image, job, run_verb
from support.paths import ROOT
from support.system_trees import PACKAGES, System, build

SCHEMA = json.loads((ROOT / "docs" / "schemas" / "device.json").read_text(encoding="utf-8"))


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """The system that the engine takes for this machine."""
    system = build(tmp_path / "root", "debian12")
    monkeypatch.setattr(device_report, "collect", functools.partial(collecting.collect, str(system.root)))
    return system


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    (tmp_path / "storage").mkdir()
    return tmp_path / "storage"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(range(256)) * 8192)
    return path


def install(system: System, name: str) -> None:
    system.packages(dict(PACKAGES, **{name: "1-1"}))


def keys(comparison: Dict[str, Any]) -> List[str]:
    return [
        entry["key"] for kinds in comparison["sections"].values() for entries in kinds.values() for entry in entries
    ]


def test_a_run_stores_and_compares_the_document(system: System, storage: Path, disk: Path) -> None:
    first = image(storage, disk)
    assert first["comparison"] == {"against": "", "sections": {}, "count": 0, "not_compared": []}
    same = image(storage, disk)
    assert same["comparison"] == {"against": first["image"], "sections": {}, "count": 0, "not_compared": []}
    install(system, "nginx")
    made = image(storage, disk)
    assert made["comparison"]["against"] == same["image"]
    assert keys(made["comparison"]) == ["nginx"]
    assert made["device_changes"] == [{"path": "software/nginx", "before": "", "after": "version 1-1, source dpkg"}]
    device = next(path.name for path in storage.iterdir() if path.is_dir())
    held = ImageReader(DirectoryStorage(str(storage)), device, made["image"], PASSWORD)
    information = json.loads(held.document("device.json"))
    jsonschema.validate({name: information[name] for name in ("schema_version", "sections", "unreadable")}, SCHEMA)
    assert "nginx added" in held.document("job.log").decode()
    assert information["disks"]["disk0"]["layout"]["size_bytes"] == disk.stat().st_size
    assert image(storage, disk, compare="none")["comparison"] is None


def test_rules_and_check_mode(system: System, storage: Path, disk: Path) -> None:
    image(storage, disk)
    install(system, "nginx")
    assert image(storage, disk, check=True)["comparison"]["count"] == 1
    assert image(storage, disk, check=True, compare_ignore=["software/ng*"])["comparison"]["count"] == 0
    with pytest.raises(CompareIgnoreInvalid):
        image(storage, disk, compare_ignore=["sofware/ng*"])


def test_the_baseline_is_the_newest_pinned_image_of_the_job(system: System, storage: Path, disk: Path) -> None:
    first = image(storage, disk, keep=9)["image"]
    missing = image(storage, disk, keep=9, compare="baseline")
    assert missing["comparison"]["against"] == ""
    assert [text for text in missing["warnings"] if "baseline" in text]
    run_verb(storage, "pin", image=first)
    install(system, "nginx")
    for dummy in range(2):
        made = image(storage, disk, keep=9, compare="baseline")
        assert (made["comparison"]["against"], keys(made["comparison"])) == (first, ["nginx"])
    other = image(storage, disk, keep=9, compare="baseline", job="daily", jobs=["daily"])
    assert other["comparison"]["against"] == ""


def test_the_verb_compares_two_images_or_one_with_a_document(system: System, storage: Path, disk: Path) -> None:
    first = image(storage, disk, keep=9)["image"]
    assert list(run_verb(storage, "compare")["comparison"]["sections"]) == []
    install(system, "nginx")
    second = image(storage, disk, keep=9)["image"]
    install(system, "apache")
    third = image(storage, disk, keep=9)["image"]
    newest = run_verb(storage, "compare")
    assert (newest["changed"], newest["image"], newest["comparison"]["against"]) == (False, third, second)
    assert keys(newest["comparison"]) == ["apache", "nginx"]
    chosen = run_verb(storage, "compare", image=second, against=first)
    assert keys(chosen["comparison"]) == ["nginx"]
    assert "software/nginx version: 1-1" in chosen["diff"]["after"]
    now = collecting.collect(str(system.root))
    given = run_verb(storage, "compare", image=third, document=now, compare_ignore=["disks/*", "partitions/*"])
    assert (given["image"], given["comparison"]["count"]) == (None, 0)
    install(system, "lighttpd")
    now = collecting.collect(str(system.root))
    given = run_verb(storage, "compare", image=third, document=now, compare_ignore=["disks/*", "partitions/*"])
    assert keys(given["comparison"]) == ["lighttpd", "apache"]
    with pytest.raises(DeviceDocumentInvalid):
        run_verb(storage, "compare", document={"a": 1})
    with pytest.raises(EngineError):
        run_verb(storage, "compare", against="2001-01-01_00-00-00")


def test_the_verb_history_commits_what_changed(system: System, storage: Path, disk: Path, tmp_path: Path) -> None:
    repository = tmp_path / "history.git"
    subprocess.run(["git", "init", "-q", "--bare", str(repository)], check=True)
    image(storage, disk)
    tried = run_verb(storage, "history", repository=str(repository), check=True)
    assert (tried["changed"], tried["commit"]) == (True, "")
    assert run_verb(storage, "history", repository=str(repository))["changed"] is True
    image(storage, disk)
    assert run_verb(storage, "history", repository=str(repository))["changed"] is False
    install(system, "nginx")
    image(storage, disk)
    assert run_verb(storage, "history", repository=str(repository))["commit"]
    subjects = subprocess.run(
        ["git", "-C", str(repository), "log", "--format=%s"], check=True, capture_output=True, text=True
    )
    assert [line.split(": ")[1] for line in subjects.stdout.splitlines()] == ["1 difference", "first device document"]


def test_the_information_of_release_one_is_still_compared(
    system: System, storage: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_report, "_information", _of_release_one)
    image(storage, disk)
    monkeypatch.undo()
    monkeypatch.setattr(device_report, "collect", functools.partial(collecting.collect, str(system.root)))
    made = image(storage, disk)
    assert made["comparison"]["count"] == 0
    assert "software" in [one["section"] for one in made["comparison"]["not_compared"]]


def _of_release_one(opened: Any) -> Dict[str, Any]:
    described = [device_report.describe(number, one) for number, one in enumerate(opened.disks)]
    return {
        "version": 1,
        "operating_system": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.1.0-26-amd64",
        "architecture": "x86_64",
        "disks": {one["name"]: one for one in described},
        "drives": {},
    }


@pytest.mark.usefixtures("system")
def test_a_comparison_with_the_baseline_does_not_warn_of_the_previous_image(storage: Path, disk: Path) -> None:
    first, second = (image(storage, disk, keep=9)["image"] for dummy in range(2))
    device = next(path for path in storage.iterdir() if path.is_dir())
    (device / second / "device.json").write_bytes(b"{}")
    (device / second / "copies.tar").unlink()
    run_verb(storage, "pin", image=first)
    looked = image(storage, disk, check=True, compare="baseline")
    assert looked["comparison"]["against"] == first
    assert [text for text in looked["warnings"] if second in text or "not compared" in text] == []


@pytest.mark.usefixtures("system")
def test_a_crowd_of_unreadable_images_makes_few_warnings_and_a_bounded_search(
    storage: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = image(storage, disk, timestamp="2026-11-01_10-00-00", keep=99)["image"]
    last = image(storage, disk, timestamp="2026-11-20_10-00-00", keep=99)["image"]
    device = next(path for path in storage.iterdir() if path.is_dir())
    for number in range(30):
        folder = device / ("2026-11-10_10-00-%02d" % number)
        folder.mkdir()
        (folder / "image.json").write_bytes(b"junk")
    events: List[Dict[str, Any]] = []
    found = run_job(job(storage, "compare", image=last, against="previous"), events.append, lambda: False)
    assert found["comparison"]["against"] == first
    assert 0 < len([event for event in events if event["event"] == "warning"]) < 7
    (device / last / "device.json").write_bytes(b"{}")
    (device / last / "copies.tar").unlink()
    looked = image(storage, disk, check=True)
    assert looked["comparison"]["against"] == first
    assert 0 < len([text for text in looked["warnings"] if "skips" in text]) < 7
    monkeypatch.setattr(device_documents, "_MOST_MANIFESTS", 10)
    assert image(storage, disk, check=True)["comparison"]["against"] == ""


@pytest.mark.usefixtures("system")
def test_a_damaged_document_is_named_and_the_image_before_it_is_compared(storage: Path, disk: Path) -> None:
    first, second = (image(storage, disk, keep=9)["image"] for dummy in range(2))
    device = next(path for path in storage.iterdir() if path.is_dir())
    for damaged in (second, first):
        (device / damaged / "device.json").write_bytes(b"{}")
        (device / damaged / "copies.tar").unlink()
        looked = image(storage, disk, check=True)
        named = [text for text in looked["warnings"] if damaged in text]
        assert named, looked["warnings"]
        assert looked["comparison"]["against"] == ("" if damaged == first else first)
        assert not [text for text in image(storage, disk, check=True, compare="none")["warnings"] if damaged in text]
    run_verb(storage, "pin", image=first)
    baseline = image(storage, disk, check=True, compare="baseline")
    assert [text for text in baseline["warnings"] if first in text]
    assert baseline["comparison"]["against"] == ""
