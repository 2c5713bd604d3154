# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that imports third-party packages: guarded, so that a missing one is an error of the catalogue on use."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from .errors import LibraryMissing


def require(module: str, package: str) -> Any:
    """Import ``module`` of the PyPI ``package``.

    :raises LibraryMissing: when it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise LibraryMissing(package=package, interpreter=sys.executable) from None


def aead() -> Any:
    """``cryptography.hazmat.primitives.ciphers.aead``: AESGCM."""
    return require("cryptography.hazmat.primitives.ciphers.aead", "cryptography")


def blake3() -> Any:
    """The hash function itself: ``blake3(data, key=...)``."""
    return require("blake3", "blake3").blake3


def x25519() -> Any:
    """``cryptography.hazmat.primitives.asymmetric.x25519``: key pairs for one exchange."""
    return require("cryptography.hazmat.primitives.asymmetric.x25519", "cryptography")


def serialization() -> Any:
    """``cryptography.hazmat.primitives.serialization``: keys as bytes."""
    return require("cryptography.hazmat.primitives.serialization", "cryptography")


def zstandard() -> Any:
    return require("zstandard", "zstandard")


def paramiko() -> Any:
    """SSH: ``Transport`` and keys."""
    return require("paramiko", "paramiko")


def smbprotocol(module: str) -> Any:
    """A module of smbprotocol: ``connection``, ``session``, ``tree``, ``open``, ``exceptions``."""
    return require("smbprotocol." + module, "smbprotocol")


def load_all() -> None:
    """Load every package: the trial of an installation.

    :raises LibraryMissing: when one is not there.
    """
    aead()
    blake3()
    zstandard()
    paramiko()
    smbprotocol("connection")
