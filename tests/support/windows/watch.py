# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches every Python of the double, as its sitecustomize.

Wine maps names that begin with "/" onto the host, so that a program which asks for /etc would be answered by it: here such a
name fails. Its WMI is a stub that ends the process, which Python 3.12 and newer ask for the version of Windows. It derives owners
and access lists from the modes of the host's files: its only user stands for the administrators, and each list counts as
protected.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Callable, Optional, Tuple

_FORBIDDEN = ("/", "\\??\\unix", "\\\\?\\unix")
_EVENTS = frozenset(["open", "os.listdir", "os.scandir", "os.chdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir"])


class HostSeen(RuntimeError):
    """The program asked for a file of the machine that runs the double."""


def _check(name: object) -> None:
    text = os.fsdecode(name) if isinstance(name, (bytes, os.PathLike)) else name
    if isinstance(text, str) and text.startswith(_FORBIDDEN) and not text.startswith("//"):
        sys.stderr.write("double: a file of the host was asked for: %s\n" % text)
        raise HostSeen(text)


def _watch(event: str, arguments: Tuple[Any, ...]) -> None:
    if event in _EVENTS and arguments:
        _check(arguments[0])


def _watched(call: Callable[..., Any]) -> Any:
    def checked(name: object, *arguments: Any, **named: Any) -> Any:
        if not isinstance(name, int):
            _check(name)
        return call(name, *arguments, **named)

    return checked


class _AccessLists:
    """Finds the module that asks for access lists, and corrects its answers."""

    def find_spec(self, name: str, *dummy_rest: object) -> Optional[ModuleSpec]:
        if not name.endswith("host.windows_security"):
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        loader = spec.loader
        assert loader is not None
        load = loader.exec_module

        def load_and_correct(module: ModuleType) -> None:
            load(module)
            ask = module.descriptor_of
            module.descriptor_of = lambda path: (  # type: ignore[attr-defined]
                ask(path).replace("S-1-5-21-0-0-0-1000", "BA").replace("D:(", "D:P(")
            )

        loader.exec_module = load_and_correct  # type: ignore[method-assign]
        return spec


sys.modules["_wmi"] = None  # type: ignore[assignment]
sys.addaudithook(_watch)
os.stat, os.lstat, os.readlink = _watched(os.stat), _watched(os.lstat), _watched(os.readlink)
sys.meta_path.insert(0, _AccessLists())
