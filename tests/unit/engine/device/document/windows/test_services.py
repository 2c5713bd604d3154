# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services and drivers by the values of their keys."""

from __future__ import annotations

import pytest
from engine.device.document.windows.services import read_drivers, read_services
from support.windows.registries import reader

SERVICES = r"SYSTEM\CurrentControlSet\Services"


def test_a_service_with_its_library_and_a_masked_secret() -> None:
    program = r"C:\visu\svc.exe --password=hidden"
    keys = {
        SERVICES + r"\Visu": {
            "Type": 0x10,
            "Start": 2,
            "DelayedAutostart": 1,
            "ImagePath": program,
            "ObjectName": "plant\\svc",
        },
        SERVICES + r"\Visu\Parameters": {"ServiceDll": r"C:\visu\svc.dll"},
        SERVICES + r"\disk": {"Type": 1, "Start": 0, "ImagePath": r"System32\drivers\disk.sys", "Group": "Boot"},
        SERVICES + r"\.NET Data": {},
    }
    assert read_services(reader(keys)) == {
        "Visu": {
            "start": "automatic, delayed",
            "program": r"C:\visu\svc.exe --password=***; C:\visu\svc.dll",
            "user": r"plant\svc",
        }
    }
    drivers = read_drivers(reader(keys))
    assert list(drivers) == ["disk"]
    assert (drivers["disk"]["start"], drivers["disk"]["driver"]) == ("boot", r"System32\drivers\disk.sys")


@pytest.mark.parametrize(("start", "word"), [(2, "automatic"), (3, "manual"), (4, "disabled"), (9, "unknown")])
def test_how_a_service_starts(start: int, word: str) -> None:
    keys = {SERVICES + r"\x": {"Type": 0x20, "Start": start}}
    assert read_services(reader(keys))["x"]["start"] == word


def test_services_that_a_login_makes_are_left_out() -> None:
    """Their names change with each login: they would be differences of every run."""
    keys = {
        SERVICES + r"\CDPUserSvc": {"Type": 0x60, "Start": 2},
        SERVICES + r"\CDPUserSvc_1a2b3": {"Type": 0xE0, "Start": 2},
    }
    assert list(read_services(reader(keys))) == ["CDPUserSvc"]
