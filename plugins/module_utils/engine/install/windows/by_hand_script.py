# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``install.cmd`` of a bundle for Windows: installs, updates and removes the agent by hand, without remote access.

The script looks for the updates that Python needs before it starts Python, which can't say what it lacks. All else is in ``by_hand.py``.
``field-test.cmd`` starts the field test, which installs nothing.
"""

from __future__ import annotations

from ...errors import EngineError, WindowsBlocked, WindowsRuntimeMissing, WindowsUpdateMissing
from .lock import WindowsPlatform

_HEAD = r"""@echo off
rem Copyright: plantops.imaging contributors
rem GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
rem SPDX-License-Identifier: GPL-3.0-or-later
rem Run as administrator: install.cmd [install, update, remove or check]
setlocal
set "HERE=%~dp0"
set "VERB=%~1"
if "%VERB%"=="" set "VERB=install"
if /i "%VERB%"=="install" goto known
if /i "%VERB%"=="update" goto known
if /i "%VERB%"=="remove" goto known
if /i "%VERB%"=="check" goto known
echo The imaging agent {version} for {platform}.
echo Usage: install.cmd [install, update, remove or check]
exit /b 2
:known
"""
_RUNTIME = r"""if exist "%SystemRoot%\System32\ucrtbase.dll" goto runtime
echo {runtime} 1>&2
exit /b 1
:runtime
"""
# A program that Windows can't load has a status below zero, which "if errorlevel 1" takes for success.
_START = r""""%HERE%python\python.exe" -I -B -c "import _socket" >nul 2>nul
if "%errorlevel%"=="0" goto starts
"""
_UPDATE = r"""findstr /m /c:AddDllDirectory "%SystemRoot%\System32\kernel32.dll" >nul 2>nul
if "%errorlevel%"=="0" goto blocked
echo {update} 1>&2
exit /b 1
:blocked
"""
_TAIL = r"""echo {blocked} 1>&2
exit /b 1
:starts
"%HERE%python\python.exe" -I -B -m engine.agent.windows_by_hand "%VERB%"
if "%errorlevel%"=="0" exit /b 0
exit /b 1
"""
_FIELD_TEST = r"""@echo off
rem Copyright: plantops.imaging contributors
rem GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
rem SPDX-License-Identifier: GPL-3.0-or-later
rem Tests what the imaging agent needs of this Windows, and installs nothing: field-test.cmd [--without-shadow-copies]
setlocal
set "REPORT=%USERPROFILE%\plantops-field-test.json"
"%~dp0python\python.exe" -I -B -m engine.agent.field_test --to "%REPORT%" %*
"""


def field_test_cmd() -> bytes:
    """Return the script. Its status is that of the test."""
    return _FIELD_TEST.replace("\n", "\r\n").encode("ascii")


def install_cmd(platform: WindowsPlatform, version: str) -> bytes:
    """Return the script. On Windows 7 it also looks for the two updates that CPython 3.8 can't do without."""
    words = {
        "version": version,
        "platform": platform.name,
        "runtime": _words(WindowsRuntimeMissing()),
        "update": _words(WindowsUpdateMissing()),
        "blocked": _words(WindowsBlocked(path="python\\python.exe", reason="it did not start")),
    }
    pieces = (_HEAD, _RUNTIME, _START, _UPDATE, _TAIL) if platform.for_windows_7 else (_HEAD, _START, _TAIL)
    text = "".join(pieces).format(**words)
    return text.replace("\n", "\r\n").encode("ascii")


def _words(error: EngineError) -> str:
    """The error as cmd.exe prints it: these signs would mean something else there."""
    text = "%(message)s %(hint)s (%(code)s)" % error.as_dict()
    return "".join("^" + sign if sign in "^&|<>()" else sign for sign in text).replace("%", "%%")
