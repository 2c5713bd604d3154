# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``retire``: the yes that repeats the name, and directories that are not to be touched."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any, Dict, List, Optional

import pytest
from engine.device.identity import claim_directory
from engine.device.machine_identity import MachineIdentity
from engine.entries import Entry
from engine.errors import (
    DeviceMismatch,
    DeviceNameCollision,
    DirectoryMoved,
    EngineError,
    ImageNotFound,
    RequestInvalid,
    RetirementUnconfirmed,
)
from engine.image.format import constants as fmt
from engine.verbs.request import parse
from engine.verbs.request_upkeep import RetireRequest
from engine.verbs.retire import retire_device
from engine.verbs.run_status import RunStatus
from support.plant import Plant
from support.refusing import failing
from support.small_runs import DEVICE, make_small
from support.storages import HookedStorage, MemoryStorage

MACHINE = MachineIdentity("11111111-2222-3333-4444-555555555555", "a" * 32)
OWNER = "%s/%s" % (DEVICE, fmt.DEVICE_ID_NAME)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture
def plant() -> Plant:
    made = Plant(2)
    claim_directory(made.storage, DEVICE, MACHINE, adopt=False)
    return made


class Unasked(MemoryStorage):
    """A storage that must not be asked for anything."""

    def list(self, path: str) -> List[Entry]:
        raise AssertionError(path)

    stat = read = put = list  # type: ignore[assignment]


def asked(**more: Any) -> None:
    retire_device(Unasked(), request(**more), RunStatus(print, lambda: False))


def request(**more: Any) -> RetireRequest:
    parsed = parse(dict({"verb": "retire", "device": DEVICE, "storage": {"url": "/x"}}, **more))
    assert isinstance(parsed, RetireRequest)
    return parsed


def done(plant: Plant, **more: Any) -> Dict[str, Any]:
    events: List[Dict[str, Any]] = []
    status = RunStatus(events.append, lambda: False)
    result = retire_device(plant.storage, request(retire=DEVICE, **more), status)
    result["warnings"] = [*result["warnings"], *(event["message"] for event in events)]
    return result


@pytest.mark.parametrize("named", [None, "", "pc-2", "PC", DEVICE + " ", "yes", "true"])
def test_the_yes_repeats_the_name_of_the_directory(named: Any) -> None:
    with failing(RetirementUnconfirmed, device=DEVICE, named=named or ""):
        asked(retire=named)


def test_the_yes_has_the_alias() -> None:
    with failing(RetirementUnconfirmed, device="press_pc", named=DEVICE):
        asked(alias="press", retire=DEVICE)
    named = request(alias="press", retire="press_pc")
    assert named.device == named.named == "press_pc"


@pytest.mark.parametrize("image", ["latest", "v3", "2026-11-31_00-00-00", "*", "../pc-2"])
def test_one_image_goes_by_its_own_name_only(image: str) -> None:
    with failing(RequestInvalid, reason="imaging_retire_image"):
        request(retire=DEVICE, image=image)


def test_the_result(plant: Plant) -> None:
    sizes = plant.directory.packs()
    foretold = done(plant, check=True)
    assert plant.listed() == plant.names
    first = done(plant)
    assert first["deleted"] == foretold["deleted"] == plant.names
    assert (first["changed"], first["images"], first["is_gone"], first["image"]) == (True, [], False, None)
    assert first["trash"]["bytes"] == sum(sizes.values())
    assert first["trash"]["needs_image"] is False
    assert first["diff"] == {"before": "".join(name + "\n" for name in plant.names), "after": ""}
    again = done(plant)
    assert (again["changed"], again["deleted"]) == (False, [])
    last = done(plant, purge_trash=True)
    assert (last["changed"], last["freed_bytes"], last["is_gone"]) == (True, sum(sizes.values()), True)
    assert not plant.storage.exists(DEVICE)
    nothing = done(plant)
    assert (nothing["changed"], nothing["deleted"], nothing["is_gone"]) == (False, [], True)


def test_a_wrong_password_is_told_and_opens_no_key(plant: Plant) -> None:
    result = done(plant, secrets={"password": "wrong"})
    assert result["deleted"] == plant.names
    assert len(result["warnings"]) == 1


def test_one_image_of_a_device_that_is_gone_does_not_exist() -> None:
    with failing(ImageNotFound, image="2026-11-22_13-45-10"):
        done(Plant(), image="2026-11-22_13-45-10")


@pytest.mark.parametrize("content", [None, b"{}", b""], ids=["missing", "damaged", "empty"])
def test_without_the_document_of_its_owner_a_device_is_retired(plant: Plant, content: Optional[bytes]) -> None:
    """Its images name it, later its packs, and so does the yes; a warning tells it."""
    if content is None:
        del plant.storage.files[OWNER]
    else:
        plant.storage.files[OWNER] = content
    first = done(plant)
    assert (first["deleted"], first["is_gone"], len(first["warnings"])) == (plant.names, False, 1)
    last = done(plant, purge_trash=True)
    assert (last["is_gone"], len(last["warnings"])) == (True, 1)
    assert not plant.storage.exists(DEVICE)


@pytest.mark.parametrize(("content", "kind"), [(None, ImageNotFound), (b"{}", DeviceMismatch)])
def test_a_directory_that_nothing_proves_to_be_a_devices_is_left_alone(content: Optional[bytes], kind: Any) -> None:
    plant = Plant()
    plant.storage.make_directory("%s/%s" % (DEVICE, fmt.PACKS))
    plant.storage.put("%s/notes.txt" % DEVICE, [b"mine"])
    if content is not None:
        plant.storage.put(OWNER, [content])
    before = dict(plant.storage.files)
    with failing(kind, device=DEVICE):
        done(plant)
    assert plant.storage.files == before


def test_the_images_of_another_device_prove_nothing(plant: Plant) -> None:
    plant.storage.rename(DEVICE, "mill")
    del plant.storage.files["mill/%s" % fmt.DEVICE_ID_NAME]
    plant.storage.put("mill/notes.txt", [b"mine"])
    parsed = parse({"verb": "retire", "device": "mill", "retire": "mill", "storage": {"url": "/x"}})
    assert isinstance(parsed, RetireRequest)
    with failing(ImageNotFound, device="mill"):
        retire_device(plant.storage, parsed, RunStatus(print, lambda: False))


def test_a_removal_whose_directory_got_a_folder_of_the_storages_system_is_finished(plant: Plant) -> None:
    done(plant, purge_trash=True)
    plant.storage.make_directory("%s/@eaDir" % DEVICE)
    result = done(plant)
    assert (result["changed"], result["is_gone"]) == (True, True)
    assert not plant.storage.exists(DEVICE)


def test_a_directory_of_another_device_is_left_alone(plant: Plant) -> None:
    """It was copied or moved there by hand."""
    claim_directory(plant.storage, "mill", MACHINE, adopt=False)
    plant.storage.files[OWNER] = plant.storage.files["mill/%s" % fmt.DEVICE_ID_NAME]
    with failing(DirectoryMoved, device=DEVICE, named="mill"):
        done(plant)
    assert plant.listed() == plant.names


def test_a_directory_that_was_moved_by_hand_is_left_alone(plant: Plant) -> None:
    plant.storage.rename(DEVICE, "mill")
    moved = Plant()
    moved.storage = plant.storage
    parsed = parse({"verb": "retire", "device": "mill", "retire": "mill", "storage": {"url": "/x"}})
    assert isinstance(parsed, RetireRequest)
    with failing(DirectoryMoved, device="mill", named=DEVICE):
        retire_device(plant.storage, parsed, RunStatus(print, lambda: False))


def test_a_directory_that_a_share_takes_for_another_one_is_left_alone(plant: Plant) -> None:
    plant.storage.make_directory("PC")
    with failing(DeviceNameCollision, device=DEVICE, other="PC"):
        done(plant)
    assert plant.listed() == plant.names


def test_a_removal_that_was_cut_off_right_before_its_end_is_finished(plant: Plant) -> None:
    done(plant, purge_trash=True)
    plant.storage.make_directory(DEVICE)
    plant.storage.put("%s/lease.json" % DEVICE, [b'{"released": true}'])
    foretold = done(plant, check=True)
    assert (foretold["changed"], foretold["is_gone"]) == (True, True)
    assert plant.storage.exists(DEVICE)
    result = done(plant)
    assert (result["changed"], result["is_gone"]) == (True, True)
    assert not plant.storage.exists(DEVICE)


class Cut(BaseException):
    """A kill: nothing cleans up after it."""


def test_a_removal_that_is_killed_at_any_change_is_finished(plant: Plant) -> None:
    for at in range(200):
        one, left = plant.copy(), [at]

        def cut(left: List[int], moment: str, operation: str, dummy_path: str) -> None:
            if moment == "before" and operation in ("put", "rename", "delete", "remove_directory"):
                left[0] -= 1
                if left[0] < 0:
                    raise Cut

        whole = one.storage
        with contextlib.suppress(Cut):
            one.storage = HookedStorage(whole, partial(cut, left))  # type: ignore[assignment]
            done(one, purge_trash=True)
        one.storage = whole
        if left[0] >= 0:
            return
        one.storage.files.pop("%s/lease.json" % DEVICE, None)
        result = done(one, purge_trash=True)
        assert result["is_gone"], result
        assert not one.storage.exists(DEVICE)
    pytest.fail("it has no end")


def test_the_error_of_the_yes_names_both() -> None:
    with pytest.raises(EngineError) as caught:
        asked(retire="mill")
    assert (caught.value.code, caught.value.fields) == ("J189", {"device": DEVICE, "named": "mill"})
