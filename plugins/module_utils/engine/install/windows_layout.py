# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the agent on a Windows device: its service, its base, an installation. Standard library only.

The service's process imports it before it reports to Windows.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Callable, List, Optional

SERVICE = "plantops-imaging"
DISPLAY = "Plantops Imaging"
DESCRIPTION = "Creates disk images of this computer when the plant's operator asks for them."
IDENTITY = re.compile(r"[0-9][0-9A-Za-z.+_-]{0,63}-[0-9a-f]{16}")
PACKAGE = "engine"
REMOVING = "removing"  # a file in the base from the begin of a removal to its end: the last that a removal deletes


def default_base() -> str:
    """The base in the directory for programs that this Windows has. Its name is in the environment of every process."""
    return os.path.join(os.environ.get("PROGRAMFILES", "C:\\Program Files"), SERVICE)


def python_of(base: str, identity: str, join: Callable[..., str] = os.path.join) -> str:
    """The program of an installation. ``join``: that of Windows where this is another system, such as a controller."""
    return join(base, identity, "python", "python.exe")


def module(name: str, *arguments: str) -> List[str]:
    """The words after the program that run a part of the agent."""
    return ["-I", "-m", "%s.agent.%s" % (PACKAGE, name), *arguments]


def image_of(base: str, identity: str, join: Callable[..., str] = os.path.join) -> str:
    """The command line of the service: every path in it is quoted."""
    return '"%s" -I -m %s.agent.windows_service "%s"' % (python_of(base, identity, join), PACKAGE, base)


def installation_here() -> str:
    """The id of the installation that this process runs from; "" outside of one: ``<base>\\<id>\\python\\python.exe``."""
    name = os.path.basename(os.path.dirname(os.path.dirname(os.path.abspath(sys.executable))))
    return name if IDENTITY.fullmatch(name) else ""


def read_name(base: str, name: str) -> Optional[str]:
    """The id in the file ``name`` (``current``, ``previous``), None when it holds none."""
    try:
        with open(os.path.join(base, name), encoding="ascii") as file:
            text = file.read(200).strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if IDENTITY.fullmatch(text) else None
