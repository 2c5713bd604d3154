# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive whose account may only create and read, set up as docs/security.md says: check-ins need no more than that."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from engine.errors import EngineError
from engine.image.archive import numbers
from engine.storage.contract import Storage
from engine.verbs import archive as verb
from support.archiving import NAMES, assert_whole, at_once, check_in, make_images, records
from support.imaging import job
from support.killing import Moments, kill_in_child
from support.limited_servers import GRACE_SECONDS, IMAGES, Site, openssh, samba
from support.plain_disks import make_disk
from support.storages import HookedStorage

DEVICE = "press-07"


@pytest.fixture(params=[pytest.param(openssh, id="openssh"), pytest.param(samba, id="samba", marks=pytest.mark.long)])
def site(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(numbers, "_PATIENCE_SECONDS", 2.0)
    with request.param(tmp_path) as running:
        yield running


def storage_with_images(folder: Path) -> Path:
    disk = folder / "disk.raw"
    make_disk(disk, 8, 2, 1)
    list(make_images(folder / "storage", disk, 256, device=DEVICE))
    return folder / "storage"


def fetched(site: Site, folder: Path) -> Path:
    """What is stored on the server, copied by the server's own tools."""
    folder.mkdir()
    site.place.run("cp -r %s/%s %s/" % (IMAGES, DEVICE, folder))
    return folder


def checked_in(site: Site, storage: Path, **settings: Any) -> Dict[str, Any]:
    return check_in(storage, site.device, device=DEVICE, **settings)


def killed(site: Site, storage: Path, operation: str, word: str) -> None:
    """Check the second image in, and be killed after the first such operation on such a path."""

    def work(moments: Moments) -> None:
        opened = verb.open_storage

        def hook(moment: str, name: str, path: str) -> None:
            if moment == "after" and name == operation and word in path:
                moments.step()

        def watched(*arguments: Any) -> Storage:
            return HookedStorage(opened(*arguments), hook)

        verb.open_storage = watched  # type: ignore[assignment]  # in the child alone
        checked_in(site, storage, image=NAMES[1])

    assert kill_in_child(work, 1) is None


def test_an_account_that_may_only_create_checks_in(site: Site, tmp_path: Path) -> None:
    storage = storage_with_images(tmp_path)
    assert checked_in(site, storage, image=NAMES[0])["version"] == 1
    before = site.tree()
    # Killed among the packs, after its number was taken, and between the two places of its record.
    for number, (operation, word) in enumerate(
        [("put", "/packs/"), ("make_directory", "/versions/2"), ("put", "/records/%s/archived" % NAMES[1])]
    ):
        killed(site, storage, operation, word)
        copied = fetched(site, tmp_path / ("killed-%d" % number))
        assert_whole(copied, DEVICE)
        assert sorted(records(copied, DEVICE)) == [1]
    done = checked_in(site, storage, image=NAMES[1])
    # Killed after its record was stored: the number is known. Killed before, another one may be skipped.
    assert done["version"] in (2, 3)
    assert checked_in(site, storage, image=NAMES[1])["changed"] is False
    third = checked_in(site, storage, image=NAMES[2])
    assert third["version"] == done["version"] + 1
    copied = fetched(site, tmp_path / "copied")
    assert_whole(copied, DEVICE)
    assert [one["image"] for one in records(copied, DEVICE).values()] == list(NAMES)
    for account in (site.device, site.operator):
        found = check_in(storage, account, device=DEVICE, state="verified")
        assert found["ok"], found["problems"]
    after = site.tree()
    assert {path: after[path] for path in before} == before


@pytest.mark.long
def test_a_pack_that_this_account_may_not_replace_is_named(site: Site, tmp_path: Path) -> None:
    storage = storage_with_images(tmp_path)
    assert checked_in(site, storage, image=NAMES[0])["version"] == 1
    known = {path.name for path in (fetched(site, tmp_path / "one") / DEVICE / "packs").rglob("*")}
    lines = (storage / DEVICE / NAMES[1] / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    packs = [line.partition("../")[2] for line in lines if "../packs/" in line and line[:64] not in known]
    size_bytes = (storage / DEVICE / packs[0]).stat().st_size
    place = "%s/%s/%s" % (IMAGES, DEVICE, packs[0])
    owner = "--reference=%s/%s" % (IMAGES, DEVICE)
    site.place.run(
        "mkdir -p $(dirname {0}); head -c {1} /dev/zero > {0}; chown {2} $(dirname {0}) {0}; chmod {3} $(dirname {0}); chmod 0460 {0}".format(
            place, size_bytes, owner, 2770
        )
    )
    time.sleep(GRACE_SECONDS + 1)
    with pytest.raises(EngineError) as caught:
        checked_in(site, storage, image=NAMES[1])
    assert caught.value.code == "A337"
    assert caught.value.fields["path"] == "%s/%s" % (DEVICE, packs[0])
    assert sorted(records(fetched(site, tmp_path / "two"), DEVICE)) == [1]
    site.place.run("rm -f " + place)  # as the message says
    assert checked_in(site, storage, image=NAMES[1])["version"] == 2


@pytest.mark.long
def test_two_check_ins_without_a_lease_get_a_number_each(site: Site, tmp_path: Path) -> None:
    storage = storage_with_images(tmp_path)
    assert checked_in(site, storage, image=NAMES[0])["version"] == 1
    request = job(storage, "archive", device=DEVICE, archive=site.device)
    ended = at_once([dict(request, image=name) for name in (NAMES[1], NAMES[2], NAMES[2])])
    numbers_of = {one["image"]: one["version"] for one in ended}
    assert len(set(numbers_of.values())) == 2
    assert ended[1]["version"] == ended[2]["version"]
    copied = fetched(site, tmp_path / "copied")
    assert_whole(copied, DEVICE)
    assert {one["image"]: number for number, one in records(copied, DEVICE).items()} == dict(
        numbers_of, **{NAMES[0]: 1}
    )
    assert check_in(storage, site.operator, device=DEVICE, state="verified")["ok"]
