# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents inside an image: read for who may read them, within what a result can carry."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from engine.errors import EngineError, PasswordMissing, PasswordWrong, RequestInvalid
from engine.image.access import Passwords
from engine.verbs import read_documents
from engine.verbs.dispatch import call_verb
from engine.verbs.request import parse
from engine.verbs.run_status import RunStatus
from support.plant import Plant
from support.small_runs import DEVICE, make_small, run_image


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


LOG = ["The first line.", "The sécond line."]


def plant_with_log(password: str) -> Plant:
    plant = Plant()
    run_image(plant.storage, plant.disk, Passwords(password or None), warnings=list(LOG))
    return plant


def listed(plant: Plant, events: List[Dict[str, Any]], password: str = "", **more: Any) -> Dict[str, Any]:
    document = dict({"verb": "list", "device": DEVICE, "storage": {"url": "/x"}}, **more)
    request = parse(dict(document, secrets={"password": password} if password else {}))
    images: List[Dict[str, Any]] = call_verb(plant.storage, request, RunStatus(events.append, lambda: False))["images"]
    return images[0]


@pytest.mark.parametrize("password", ["", "word"])
def test_the_log_and_the_description_of_an_image(password: str) -> None:
    plant = plant_with_log(password)
    found = listed(plant, [], password, image="latest", documents=["log", "device"])
    assert found["device_document"] == {"model": "test"}
    assert LOG[0] in "".join(found["log"])
    assert "log" not in listed(plant, [], password, image="latest")


@pytest.mark.parametrize(("password", "error"), [("", PasswordMissing), ("wrong", PasswordWrong)])
def test_documents_of_an_encrypted_image_need_the_password(password: str, error: type) -> None:
    plant = Plant()
    plant.make(password="word")
    with pytest.raises(error) as caught:
        listed(plant, [], password, image=plant.names[0], documents=["log"])
    assert isinstance(caught.value, EngineError)
    assert listed(plant, [], password, image=plant.names[0])["image"] == plant.names[0]


def test_documents_are_read_from_one_image() -> None:
    with pytest.raises(RequestInvalid):
        listed(Plant(1), [], documents=["log"])


def test_what_is_too_large_for_a_result_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = plant_with_log("")
    whole = listed(plant, [], image="latest", documents=["log"])["log"]
    size = sum(len(line) + 1 for line in whole)
    monkeypatch.setattr(read_documents, "_MOST_LOG_BYTES", size - 1)
    monkeypatch.setattr(read_documents, "_MOST_DEVICE_BYTES", 3)
    events: List[Dict[str, Any]] = []
    found = listed(plant, events, image="latest", documents=["log", "device"])
    assert found["log"] == whole[1:], "the last lines, from the beginning of one"
    assert found["device_document"] is None
    assert len(events) == 2
