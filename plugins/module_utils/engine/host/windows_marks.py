# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks of this product in the registry: until Windows starts again, or until they are removed.

Only administrators may write below ``HKEY_LOCAL_MACHINE\\SOFTWARE``, so that no other user can forge a mark. Sources: RegCreateKeyEx
(REG_OPTION_VOLATILE), RegSetValueEx, RegDeleteValue, RegDeleteKeyEx of the Windows API.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
from typing import Any, Dict, Iterator, NamedTuple

from .windows_calls import failure, system_library
from .windows_registry import RunningRegistry

_ROOT = 0x80000002  # HKEY_LOCAL_MACHINE
_LASTING, _VOLATILE = 0, 1
_WRITE_64 = 0x20006 | 0x100  # KEY_WRITE, KEY_WOW64_64KEY


class Marks(NamedTuple):
    """The values of one key. The key goes with its last value."""

    key: str
    is_lasting: bool

    def all(self) -> Dict[str, str]:
        """:raises OSError:"""
        return {name: value for name, value in RunningRegistry().values(self.key).items() if isinstance(value, str)}

    def set(self, name: str, value: str) -> None:
        """:raises OSError:"""
        with _opened(self.key, _LASTING if self.is_lasting else _VOLATILE) as (winreg, key):
            winreg.SetValueEx(key, name, 0, winreg.REG_SZ, value)

    def remove(self, name: str) -> None:
        """:raises OSError:"""
        winreg = importlib.import_module("winreg")
        with contextlib.suppress(FileNotFoundError):
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, self.key, 0, _WRITE_64) as key:
                winreg.DeleteValue(key, name)
        if not self.all():
            with contextlib.suppress(FileNotFoundError):
                winreg.DeleteKeyEx(winreg.HKEY_LOCAL_MACHINE, self.key, 0x100)


@contextlib.contextmanager
def _opened(path: str, options: int) -> Iterator[Any]:
    """The key, made where it is missing. winreg makes lasting keys only."""
    winreg = importlib.import_module("winreg")
    handle = ctypes.c_void_p()
    create = system_library("advapi32").RegCreateKeyExW
    create.argtypes = [
        *(ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32),
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
    ]
    code = create(ctypes.c_void_p(_ROOT), path, 0, None, options, _WRITE_64, None, ctypes.byref(handle), None)
    if code:
        raise failure(code)
    try:
        yield winreg, handle.value
    finally:
        winreg.CloseKey(handle.value)
