# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls that change a service: what they leave as it is, and which refusals count."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from engine.host import windows_services
from engine.host.windows_services import MARKED_FOR_DELETION

ACCESS_DENIED = 5
IMAGE, NO_CHANGE, AUTOMATIC = "C:\\a.exe", 0xFFFFFFFF, 2


class Function:
    """One function of advapi32."""

    def __init__(self, library: Library, name: str) -> None:
        self._library = library
        self._name = name
        self.restype: Any = None

    def __call__(self, *words: Any) -> int:
        self._library.asked.setdefault(self._name, []).append([getattr(word, "value", word) for word in words])
        return int(self._name not in self._library.refused)


class Library:
    """Stands in for advapi32; functions in ``refused`` fail with that error."""

    def __init__(self) -> None:
        self.asked: Dict[str, List[List[Any]]] = {}
        self.refused: Dict[str, int] = {}

    def __getattr__(self, name: str) -> Function:
        return Function(self, name)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()
    monkeypatch.setattr(windows_services, "system_library", lambda name: made)
    monkeypatch.setattr(windows_services, "last_error", lambda: next(iter(made.refused.values())))
    monkeypatch.setattr(windows_services, "failure", lambda code: OSError(code, "refused"))
    return made


def test_a_changed_service_starts_with_windows_again(library: Library) -> None:
    """Its removal may have ended between the disabling and the deletion."""
    windows_services.change("odd", IMAGE)
    (words,) = library.asked["ChangeServiceConfigW"]
    assert words[1:5] == [NO_CHANGE, AUTOMATIC, NO_CHANGE, IMAGE]
    assert words[5:] == [None] * 6
    assert len(library.asked["CloseServiceHandle"]) == 2


@pytest.mark.parametrize("is_automatic", [False, True])
def test_the_start_of_a_service_that_is_marked_for_deletion_needs_no_change(
    library: Library, is_automatic: bool
) -> None:
    """A removal that is repeated finds it while a program holds it open."""
    library.refused["ChangeServiceConfigW"] = MARKED_FOR_DELETION
    windows_services.set_automatic("odd", is_automatic)
    assert len(library.asked["ChangeServiceConfigW"]) == 1
    library.refused["ChangeServiceConfigW"] = ACCESS_DENIED
    with pytest.raises(OSError, match="refused") as caught:
        windows_services.set_automatic("odd", is_automatic)
    assert caught.value.errno == ACCESS_DENIED
