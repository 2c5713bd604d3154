# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renaming a device's directory: its images stay usable and are followed, at every moment the same call continues."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any, Dict, List, Optional

import pytest
from engine.device import renaming
from engine.device.identity import claim_directory, stored_identity
from engine.device.machine_identity import MachineIdentity
from engine.device.other_directories import directories_of, second_directory_warnings
from engine.device.renaming import rename_directory
from engine.errors import (
    DeviceNameCollision,
    DirectoryMoved,
    ImageDamaged,
    ImageNotFound,
    LeaseHeld,
    NameInUseAgain,
    RenameRefused,
    StoragePermissionDenied,
)
from engine.image import former_names
from engine.image.access import Passwords, newest_image, openable_key
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.former_names import encode
from engine.image.reader import ImageReader
from engine.image.upkeep.retire import retire
from engine.image.upkeep.rollover import roll_over
from engine.image.upkeep.verify import verify_image
from engine.storage import lease as leases
from engine.verbs.rename import rename_device
from engine.verbs.request import parse
from engine.verbs.request_upkeep import RenameRequest
from engine.verbs.run_status import RunStatus
from support.plant import NOW, Plant
from support.refusing import failing
from support.small_runs import DEVICE, make_small, run_image
from support.storages import HookedStorage, MemoryStorage

MACHINE = MachineIdentity("11111111-2222-3333-4444-555555555555", "a" * 32)
OTHER = MachineIdentity("99999999-2222-3333-4444-555555555555", "b" * 32)
PASSWORD = "horse battery"
NEW = "hall2-pc"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture(params=["", PASSWORD], ids=["clear", "encrypted"])
def password(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made(images: int, password: str) -> Plant:
    plant = Plant()
    claim_directory(plant.storage, DEVICE, MACHINE, adopt=False)
    for dummy in range(images):
        plant.make(password=password or None)
    return plant


def renamed(plant: Plant, *passwords: str, device: str = DEVICE, to: str = NEW, **more: Any) -> Any:
    return rename_directory(plant.storage, device, to, [one for one in passwords if one], **more)


def whole(plant: Plant, device: str, password: str, *images: str) -> None:
    """Verified in full, and what a restore reads is what was imaged."""
    for image in images:
        report = verify_image(plant.storage, device, image, "full", password=password or None, record=False)
        assert report.ok, report.problems
        disk = ImageReader(plant.storage, device, image, password or None).disk(0)
        data = bytearray(disk.size_bytes)
        for piece in disk.stream():
            if piece.data is not None:
                data[piece.offset_bytes : piece.offset_bytes + piece.length_bytes] = piece.data
        assert bytes(data) == plant.expected[image]


def follow(plant: Plant, device: str, password: str) -> str:
    """The next image, as a run of the device makes it under the new name."""
    claim_directory(plant.storage, device, MACHINE, adopt=False)
    plant.disk.write(1)
    result = run_image(plant.storage, plant.disk, Passwords(password=password or None), device=device)
    plant.names.append(result.image)
    plant.expected[result.image] = plant.disk.expected()
    return result.image


def listed(plant: Plant, device: str, key: Any = None) -> List[str]:
    return [one.image for one in DeviceDirectory(plant.storage, device).images({}, key)]


def test_images_stay_usable_and_new_ones_follow(password: str) -> None:
    plant = made(2, password)
    foretold = renamed(plant, password, dry_run=True)
    assert plant.storage.exists(DEVICE)
    done = renamed(plant, password)
    assert foretold == done
    assert (done.moves, done.is_done, done.images) == (True, False, plant.names)
    assert not plant.storage.exists(DEVICE)
    assert "%s/%s" % (NEW, leases.LEASE_NAME) not in plant.storage.files
    assert stored_identity(plant.storage, NEW) == MACHINE
    assert NEW.encode("ascii") in plant.storage.files["%s/%s" % (NEW, fmt.README_NAME)]
    directory = DeviceDirectory(plant.storage, NEW)
    key = openable_key(directory, password or None)
    assert listed(plant, NEW, key) == listed(plant, NEW) == plant.names
    whole(plant, NEW, password, *plant.names)
    again = renamed(plant, password)
    assert (again.moves, again.is_done) == (False, True)

    packs = set(directory.packs())
    image = follow(plant, NEW, password)
    manifest = directory.manifest(image, key)
    assert (manifest.device, manifest.sequence) == (NEW, 3)
    assert len(set(directory.packs()) - packs) < 3, "the chunks of the images before are used again"
    assert newest_image(directory, password or None).manifest.image == image
    whole(plant, NEW, password, *plant.names)

    report = roll_over(
        plant.storage, NEW, 1, openable_key=key.key_id if key else "", key=key, now=lambda: NOW, dry_run=False
    )
    assert report.deleted == plant.names[:2]
    whole(plant, NEW, password, image)
    assert retire(plant.storage, NEW, None, key=key, purge=True).is_gone
    assert not plant.storage.exists(NEW)


def test_renamed_twice_and_back(password: str) -> None:
    plant = made(1, password)
    renamed(plant, password)
    follow(plant, NEW, password)
    renamed(plant, password, device=NEW, to="press")
    follow(plant, "press", password)
    whole(plant, "press", password, *plant.names)
    renamed(plant, password, device="press", to=DEVICE)
    whole(plant, DEVICE, password, *plant.names)
    assert listed(plant, DEVICE, openable_key(plant.directory, password or None)) == plant.names


class Cut(BaseException):
    """A kill: nothing cleans up after it."""


def _cut(left: List[int], moment: str, operation: str, dummy_path: str) -> None:
    if moment in ("before", "after") and operation in ("put", "rename", "delete"):
        left[0] -= 1
        if left[0] < 0:
            raise Cut


def test_killed_at_any_moment_and_called_again(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases.Lease, "_is_dead", lambda dummy_self, dummy_content: True)
    first = made(1, password)
    for at in range(200):
        plant, left = first.copy(), [at]
        storage = HookedStorage(plant.storage, partial(_cut, left))
        with contextlib.suppress(Cut):
            rename_directory(storage, DEVICE, NEW, [password] if password else [])
        if left[0] >= 0:
            assert at > 10
            return
        place = DEVICE if plant.storage.exists(DEVICE) else NEW
        assert plant.storage.exists(DEVICE) != plant.storage.exists(NEW)
        if place == DEVICE:
            whole(plant, DEVICE, password, *plant.names)
        renamed(plant, password)
        whole(plant, NEW, password, *plant.names)
        assert stored_identity(plant.storage, NEW) == MACHINE
    pytest.fail("it has no end")


def test_a_directory_that_was_moved_by_hand_is_repaired(password: str) -> None:
    plant = made(2, password)
    plant.storage.rename(DEVICE, NEW)
    with pytest.raises(DirectoryMoved) as caught:
        stored_identity(plant.storage, NEW)
    hint = caught.value.as_dict()["hint"]
    assert "playbook rename" in hint
    assert "imaging_device_name: %s" % DEVICE in hint
    assert "imaging_rename_to: %s" % NEW in hint
    assert listed(plant, NEW) == []
    done = renamed(plant, password)
    assert (done.moves, done.is_done, done.images) == (False, False, plant.names)
    whole(plant, NEW, password, *plant.names)
    follow(plant, NEW, password)
    assert renamed(plant, password).is_done


def test_a_directory_that_was_moved_by_hand_and_adopted_is_repaired(password: str) -> None:
    plant = made(1, password)
    plant.storage.rename(DEVICE, NEW)
    claim_directory(plant.storage, NEW, MACHINE, adopt=True)
    assert listed(plant, NEW) == []
    assert not renamed(plant, password).is_done
    whole(plant, NEW, password, *plant.names)


def test_numbers_go_on_while_former_images_are_not_accepted(password: str) -> None:
    """After the repair the image of the run in between is not the oldest, and a rollover keeps it."""
    plant = made(3, password)
    before = {one.image: one.sequence for one in DeviceDirectory(plant.storage, DEVICE).images()}
    plant.storage.rename(DEVICE, NEW)
    claim_directory(plant.storage, NEW, MACHINE, adopt=True)
    between = run_image(plant.storage, plant.disk, Passwords(password=password or None), device=NEW)
    assert between.sequence > max(before.values())
    renamed(plant, password)
    key = openable_key(DeviceDirectory(plant.storage, NEW), password or None)
    report = roll_over(plant.storage, NEW, 2, openable_key=key.key_id if key else "", key=key)
    assert between.image not in report.deleted
    assert len(report.deleted) == 2


def test_never_onto_another_directory(password: str) -> None:
    plant = made(1, password)
    claim_directory(plant.storage, NEW, OTHER, adopt=False)
    before = dict(plant.storage.files)
    with failing(RenameRefused, device=DEVICE, to=NEW):
        renamed(plant, password)
    with failing(RenameRefused, device=DEVICE, to=DEVICE):
        renamed(plant, password, to=DEVICE)
    plant.storage.make_directory("HALL3-PC")
    with failing(DeviceNameCollision, other="HALL3-PC"):
        renamed(plant, password, to="hall3-pc")
    assert plant.storage.files == before


def test_a_rival_that_takes_the_name_in_the_last_moment(password: str) -> None:
    plant = made(1, password)

    def claim(moment: str, operation: str, path: str) -> None:
        if (moment, operation, path) == ("before", "rename", DEVICE):
            claim_directory(plant.storage, NEW, OTHER, adopt=False)

    with failing(RenameRefused, to=NEW):
        rename_directory(HookedStorage(plant.storage, claim), DEVICE, NEW, [password] if password else [])
    whole(plant, DEVICE, password, *plant.names)
    assert stored_identity(plant.storage, NEW) == OTHER


def test_what_is_not_this_devices_is_left_alone(password: str) -> None:
    plant = made(1, password)
    claim_directory(plant.storage, "mill", OTHER, adopt=False)
    with failing(ImageNotFound, device="press"):
        renamed(plant, password, device="press", to="lathe")
    with failing(ImageNotFound, device="press"):
        renamed(plant, password, device="press", to="mill")
    plant.storage.rename("mill", "drill")
    with failing(DirectoryMoved, named="mill"):
        renamed(plant, password, device="press", to="drill")
    with failing(DirectoryMoved, named="mill"):
        renamed(plant, password, device="drill", to="lathe")
    assert stored_identity(plant.storage, DEVICE) == MACHINE


def test_while_a_run_lives_it_is_refused(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setattr(leases.Lease, "_is_dead", lambda dummy_self, dummy_content: False)
    plant = made(1, password)
    other = leases.Lease(plant.storage, DEVICE, heartbeat_seconds=0.05)
    other.acquire()
    try:
        with failing(LeaseHeld, device=DEVICE):
            renamed(plant, password)
    finally:
        other.release()
    assert "%s/%s" % (DEVICE, fmt.NAMES_NAME) not in plant.storage.files
    whole(plant, DEVICE, password, *plant.names)


def test_an_account_that_may_only_create_changes_nothing(password: str) -> None:
    plant = made(1, password)

    def refuse(moment: str, operation: str, path: str) -> None:
        if moment == "before" and operation in ("delete", "rename"):
            raise StoragePermissionDenied(storage="memory", operation=operation, path=path)

    with failing(StoragePermissionDenied, path=DEVICE):
        rename_directory(HookedStorage(plant.storage, refuse), DEVICE, NEW, [password] if password else [])
    assert plant.storage.exists(DEVICE)
    assert "%s/%s" % (DEVICE, fmt.NAMES_NAME) not in plant.storage.files


@pytest.mark.parametrize("given", ["", "wrong"])
def test_without_the_password_it_is_refused(given: str) -> None:
    plant = made(2, PASSWORD)
    with failing(RenameRefused, reason=plant.names[1]):
        renamed(plant, given)
    assert plant.storage.exists(DEVICE)


def test_each_key_has_to_be_opened() -> None:
    plant = made(1, "one")
    plant.make(password="two", new_key=True)
    with failing(RenameRefused, reason=plant.names[0]):
        renamed(plant, "two")
    renamed(plant, "two", "one")
    whole(plant, NEW, "one", plant.names[0])
    whole(plant, NEW, "two", plant.names[1])


def test_a_machine_is_found_under_its_new_name() -> None:
    plant = made(1, "")
    renamed(plant)
    assert directories_of(plant.storage, MACHINE, DEVICE) == [NEW]
    (warning,) = second_directory_warnings(plant.storage, MACHINE, DEVICE)
    assert "imaging_device_name: %s" % NEW in warning


def test_images_of_another_device_with_the_same_password_are_refused_under_a_false_document() -> None:
    """An account of the storage copies the images of another device, and says that the directory was called so."""
    plant = made(1, PASSWORD)
    stranger = Plant()
    stranger.storage = plant.storage
    image = run_image(plant.storage, stranger.disk, Passwords(password=PASSWORD), "2026-11-24_20-00-00", device="mill")
    for path, data in [one for one in plant.storage.files.items() if one[0].startswith("mill/")]:
        copied = DEVICE + path[len("mill") :]
        plant.storage.make_directory(copied.rpartition("/")[0])
        if not plant.storage.exists(copied):
            plant.storage.put(copied, [data])
    claim: Dict[str, Any] = {"kind": "names", "device": DEVICE, "former": ["mill"], "key_id": ""}
    own = openable_key(DeviceDirectory(plant.storage, "mill"), PASSWORD)
    assert own is not None
    for entry in (claim, dict(claim, key_id=own.key_id), dict(claim, key_id=own.key_id, authentication="0" * 64)):
        _write(plant.storage, entry)
        with pytest.raises(ImageDamaged):
            ImageReader(plant.storage, DEVICE, image.image, PASSWORD)
        with pytest.raises(ImageDamaged):
            plant.directory.manifest(image.image, own)
    whole(plant, DEVICE, PASSWORD, *plant.names)


def _write(storage: MemoryStorage, *entries: Dict[str, Any]) -> None:
    storage.put("%s/%s" % (DEVICE, fmt.NAMES_NAME), [encode(list(entries))], replace=True)


def _claim(*former: str, **more: Any) -> Dict[str, Any]:
    return dict({"kind": "names", "device": DEVICE, "former": list(former), "key_id": ""}, **more)


@pytest.mark.parametrize(
    "claims",
    [
        [_claim("x%d" % number, device="mill-%d" % number) for number in range(256)],
        [_claim("x%d" % number, key_id=str(number)) for number in range(256)],
        [_claim(*("%02d-%d-%s" % (number, one, "x" * 80) for one in range(40))) for number in range(60)],
        [_claim(*("x%d" % number for number in range(64)))],
        [_claim(*("%d-%d" % (number, one) for one in range(60))) for number in range(100)],
    ],
    ids=["entries", "keys", "bytes", "names", "values"],
)
def test_a_crowd_of_claims_leaves_no_image_behind(claims: List[Dict[str, Any]], password: str) -> None:
    """An account that may only create files stores them before the first renaming."""
    plant = made(2, password)
    _write(plant.storage, *claims)
    renamed(plant, password)
    whole(plant, NEW, password, *plant.names)
    assert listed(plant, NEW) == plant.names
    assert renamed(plant, password).is_done
    renamed(plant, password, device=NEW, to="press")
    whole(plant, "press", password, *plant.names)


def _few_names(monkeypatch: pytest.MonkeyPatch) -> int:
    for module in (former_names, renaming):
        monkeypatch.setattr(module, "MAX_NAMES", 5)
    return former_names.MAX_NAMES


def test_more_names_than_a_document_holds_are_refused_before_anything_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unencrypted images with more former names than there is room for: nothing tells which ones are true."""
    plant = made(1, "")
    claims = ["x%d" % number for number in range(_few_names(monkeypatch))]
    _write(plant.storage, _claim(*claims))
    for number, name in enumerate(claims):
        timestamp = "2026-11-24_%02d-%02d-00" % divmod(number, 60)
        image = run_image(plant.storage, plant.disk, timestamp=timestamp, device=name).image
        plant.storage.rename("%s/%s" % (name, image), "%s/%s" % (DEVICE, image))
    before = dict(plant.storage.files)
    for dry_run in (True, False):
        with failing(RenameRefused, reason=fmt.NAMES_NAME):
            renamed(plant, dry_run=dry_run)
    assert plant.storage.exists(DEVICE)
    assert plant.storage.files == before


def test_renamed_more_often_than_a_document_holds_names(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = made(1, PASSWORD)
    names = [DEVICE, *("pc-%d" % number for number in range(2 * _few_names(monkeypatch)))]
    for name, following in zip(names, names[1:]):
        renamed(plant, PASSWORD, device=name, to=following)
    whole(plant, names[-1], PASSWORD, *plant.names)


def test_keys_that_have_other_names_are_done_too() -> None:
    """The images of one key were made under another former name than those of the other."""
    plant = made(1, "one")
    renamed(plant, "one")
    disk = plant.disk
    disk.write(1)
    claim_directory(plant.storage, NEW, MACHINE, adopt=False)
    second = run_image(plant.storage, disk, Passwords(password="two", new_key=True), device=NEW).image
    plant.expected[second] = disk.expected()
    first = renamed(plant, "two", "one", device=NEW, to="press")
    assert not first.is_done
    assert renamed(plant, "two", "one", device=NEW, to="press").is_done
    whole(plant, "press", "one", *plant.names)
    whole(plant, "press", "two", second)


def test_former_names_of_the_new_name_are_kept() -> None:
    """Moved by hand, adopted there, and moved back: the repair does not forget the name before."""
    plant = made(1, PASSWORD)
    renamed(plant, PASSWORD)
    plant.storage.rename(NEW, "third")
    claim_directory(plant.storage, "third", MACHINE, adopt=True)
    plant.storage.rename("third", NEW)
    assert not renamed(plant, PASSWORD, device="third").is_done
    whole(plant, NEW, PASSWORD, *plant.names)


def test_an_image_that_is_unreadable_is_named() -> None:
    plant = made(2, PASSWORD)
    for path in [one for one in plant.storage.files if one.startswith("%s/%s/" % (DEVICE, plant.names[0]))]:
        plant.storage.files[path] = b"{}"
    request = parse(
        {"verb": "rename", "device": DEVICE, "to": NEW, "storage": {"url": "/x"}, "secrets": {"password": PASSWORD}}
    )
    assert isinstance(request, RenameRequest)
    for changed in (True, False):
        result = rename_device(plant.storage, request, RunStatus(print, lambda: False))
        assert (result["changed"], result["images"]) == (changed, plant.names[1:])
        (warning,) = result["warnings"]
        assert plant.names[0] in warning


def test_a_false_manifest_of_the_key_does_not_prevent_it() -> None:
    """Any account may store a manifest that names the key of the others and is newer."""
    plant = made(2, PASSWORD)
    false = "2026-12-31_20-00-00"
    for path, data in list(plant.storage.files.items()):
        if path == "%s/%s/%s" % (DEVICE, plant.names[1], fmt.MANIFEST_NAME):
            plant.storage.make_directory("%s/%s" % (DEVICE, false))
            plant.storage.put(
                "%s/%s/%s" % (DEVICE, false, fmt.MANIFEST_NAME), [data.replace(plant.names[1].encode(), false.encode())]
            )
    renamed(plant, PASSWORD)
    whole(plant, NEW, PASSWORD, *plant.names)


def test_a_run_under_the_old_name_after_a_cut_does_not_end_in_a_loop(password: str) -> None:
    """Cut off between the move and the document of the owner; the nightly run comes with the old inventory."""
    plant = made(2, password)

    def cut(moment: str, operation: str, path: str) -> None:
        if (moment, operation, path) == ("before", "put", "%s/%s" % (NEW, fmt.DEVICE_ID_NAME)):
            raise Cut

    with contextlib.suppress(Cut):
        rename_directory(HookedStorage(plant.storage, cut), DEVICE, NEW, [password] if password else [])
    assert not plant.storage.exists(DEVICE)
    (warning,) = second_directory_warnings(plant.storage, MACHINE, DEVICE)
    assert warning.startswith("%s: " % DEVICE)
    claim_directory(plant.storage, DEVICE, MACHINE, adopt=False)
    second = run_image(plant.storage, plant.disk, Passwords(password=password or None), "2026-11-24_20-00-00").image
    plant.expected[second] = plant.disk.expected()

    with failing(DirectoryMoved, named=DEVICE):
        stored_identity(plant.storage, NEW)
    with failing(NameInUseAgain, device=DEVICE, to=NEW) as caught:
        renamed(plant, password)
    spare = caught.value.fields["spare"]
    for text in (warning, caught.value.as_dict()["hint"]):
        assert "imaging_rename_to: %s" % spare in text
    renamed(plant, password, to=spare)
    renamed(plant, password)
    whole(plant, NEW, password, *plant.names)
    whole(plant, spare, password, second)
    assert stored_identity(plant.storage, NEW) == stored_identity(plant.storage, spare) == MACHINE


def test_a_run_under_the_old_name_after_a_renaming_is_told(password: str) -> None:
    plant = made(1, password)
    renamed(plant, password)
    claim_directory(plant.storage, DEVICE, MACHINE, adopt=False)
    with failing(NameInUseAgain, device=DEVICE, to=NEW):
        renamed(plant, password)


def test_a_claim_that_no_key_proves_is_not_carried_on() -> None:
    plant = made(1, PASSWORD)
    _write(plant.storage, {"kind": "names", "device": DEVICE, "former": ["mill"], "key_id": ""})
    renamed(plant, PASSWORD)
    directory = DeviceDirectory(plant.storage, NEW)
    key = openable_key(directory, PASSWORD)
    assert directory.was_called(DEVICE, key)
    assert not directory.was_called("mill", key)


def test_the_verb(password: str) -> None:
    plant = made(1, password)
    secrets: Optional[Dict[str, str]] = {"password": password} if password else {}
    document = {"verb": "rename", "device": DEVICE, "to": NEW, "storage": {"url": "/x"}, "secrets": secrets}
    request = parse(document)
    assert isinstance(request, RenameRequest)
    result = rename_device(plant.storage, request, RunStatus(print, lambda: False))
    assert result == {
        "changed": True,
        "device": NEW,
        "former": DEVICE,
        "moved": True,
        "images": plant.names,
        "warnings": [],
        "diff": {"before": DEVICE + "\n", "after": NEW + "\n"},
    }
    again = rename_device(plant.storage, request, RunStatus(print, lambda: False))
    assert (again["changed"], again["moved"], again["diff"]["before"]) == (False, False, NEW + "\n")
