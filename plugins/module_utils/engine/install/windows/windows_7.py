# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for imports that Windows 7 can't satisfy: there the loader refuses the file, and no test elsewhere notices it.

The list holds what CPython 3.8 and the last wheels for Windows 7 import, not all that Windows 7 exports. So a new wheel may
be refused that would run, but none passes that would not.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, FrozenSet, Iterator, Mapping, Set

from ...errors import WindowsFileUnfit, WindowsImportTooNew
from .pe import PeFile, PeInvalid

_LIST = Path(__file__).with_name("windows_7_exports.json")
# The API sets of Windows 7 itself; what they hold is in kernel32 or advapi32. All newer numbers came with Windows 8.
# Those of the universal C runtime (api-ms-win-crt-*) come with KB2999226 and are in the list.
_SETS_OF_7 = re.compile(
    r"api-ms-win-(core-(console|datetime|debug|delayload|errorhandling|fibers|file|handle|heap|interlocked|io|libraryloader"
    r"|localization|localregistry|memory|misc|namedpipe|processenvironment|processthreads|profile|rtlsupport|string|synch"
    r"|sysinfo|threadpool|ums|util|xstate)-l1-1-0|security-(base|lsalookup|sddl)-l1-1-0"
    r"|service-(core|management|winsvc)-l1-1-0|service-management-l2-1-0)\.dll"
)
Exports = Mapping[str, FrozenSet[str]]


def windows_7_exports() -> Dict[str, FrozenSet[str]]:
    """Return the functions of each library, which has a name in small letters."""
    content: Dict[str, Any] = json.loads(_LIST.read_text(encoding="utf-8"))
    return {library: frozenset(names) for library, names in content["libraries"].items()}


def check_windows_7(files: Mapping[str, PeFile]) -> None:
    """Refuse a bundle that Windows 7 would not load.

    :param files: its executables and libraries by their names in the bundle.
    :raises WindowsImportTooNew: with the first such file and function. :raises WindowsFileUnfit: when one is damaged.
    """
    exports = windows_7_exports()
    own: Dict[str, Set[str]] = {}
    for name, file in files.items():
        if not name.endswith(".exe"):
            own.setdefault(name.rpartition("/")[2].lower(), set()).update(_exports(name, file))
    for name in sorted(files):
        for wrong in _too_new(name, files[name], own, exports):
            raise wrong


def _exports(name: str, file: PeFile) -> Set[str]:
    try:
        return set(file.exports())
    except PeInvalid as error:
        raise WindowsFileUnfit(file=name, reason=str(error)) from None


def _too_new(name: str, file: PeFile, own: Mapping[str, Set[str]], exports: Exports) -> Iterator[WindowsImportTooNew]:
    try:
        imports = file.imports()
    except PeInvalid as error:
        raise WindowsFileUnfit(file=name, reason=str(error)) from None
    for library, function in imports:
        if library in own:
            # A function without a name is one of the library's own table, which was built together with the file.
            known = function in own[library] or function.startswith("#")
        elif _SETS_OF_7.fullmatch(library):
            known = function in exports["kernel32.dll"] | exports["advapi32.dll"] | exports["ntdll.dll"]
        else:
            known = function in exports.get(library, frozenset())
        if not known:
            yield WindowsImportTooNew(file=name, function=function, library=library)
