# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections ``services`` and ``drivers`` of Windows: how each starts, from which file, as which user.

Source: "CreateServiceW function" for the values; "Database of Installed Services" for their place in the registry.
"""

from __future__ import annotations

from typing import Callable

from ..items import Item, Items
from ..masking import masked
from .reading import Reader, Values

_SERVICES = r"SYSTEM\CurrentControlSet\Services"
_STARTS = {0: "boot", 1: "system", 2: "automatic", 3: "manual", 4: "disabled"}
_DRIVERS = 0x0B  # SERVICE_KERNEL_DRIVER, _FILE_SYSTEM_DRIVER, _RECOGNIZER_DRIVER
_PROGRAMS = 0x30  # SERVICE_WIN32_OWN_PROCESS, _SHARE_PROCESS
_INSTANCE = 0x80  # SERVICE_USERSERVICE_INSTANCE: made at each login, with another name each time


def read_services(reader: Reader) -> Items:
    return _read(reader, _is_program, _service)


def read_drivers(reader: Reader) -> Items:
    return _read(reader, lambda kind: bool(kind & _DRIVERS), _driver)


def _is_program(kind: int) -> bool:
    return bool(kind & _PROGRAMS) and not kind & _INSTANCE


def _read(reader: Reader, wanted: Callable[[int], bool], item: Callable[[Reader, str, Values], Item]) -> Items:
    items: Items = {}
    for name in reader.names(_SERVICES):
        path = "%s\\%s" % (_SERVICES, name)
        values = reader.values(path)
        if wanted(values.number("Type") or 0):
            items[name] = item(reader, path, values)
    return items


def _service(reader: Reader, path: str, values: Values) -> Item:
    """A service that shares a process has its program in a library."""
    library = reader.values(path + r"\Parameters").text("ServiceDll") or values.text("ServiceDll")
    return {
        "start": _start(values),
        "program": masked("; ".join(filter(None, (values.text("ImagePath"), library)))),
        "user": values.text("ObjectName"),
    }


def _driver(dummy_reader: Reader, dummy_path: str, values: Values) -> Item:
    known = {"start": _start(values), "driver": values.text("ImagePath"), "group": values.text("Group")}
    return dict(known, module=None, version=None)


def _start(values: Values) -> str:
    number = values.number("Start")
    word = _STARTS.get(-1 if number is None else number, "unknown")
    return "automatic, delayed" if word == "automatic" and values.number("DelayedAutostart") == 1 else word
