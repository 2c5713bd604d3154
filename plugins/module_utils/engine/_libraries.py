# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that imports third-party packages: guarded, so that a missing one is an error of the catalogue on use."""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import Any, List

from .errors import (
    EngineError,
    LibraryBlocked,
    LibraryBroken,
    LibraryForeign,
    LibraryMissing,
    LibraryNeedsAnother,
    LibraryUnreadable,
)

_MAX_REASON_CHARACTERS = 300
# Messages of the loader of glibc or musl, or of the import system.
_BLOCKED = re.compile(
    r"failed to map segment|cannot enable executable stack|cannot apply additional memory protection"
    r"|cannot restore segment prot|cannot make segment writable|Operation not permitted"
)
_FOREIGN = re.compile(
    r"version [`'\"][A-Za-z_]+[0-9.]+' not found|GLIBC|libc\.musl|ld-linux|ld-musl|libc\.so\.6|wrong ELF class|invalid ELF header"
    r"|Exec format error|ELF load command|[Nn]ot a valid|symbol not found|undefined symbol|Error relocating"
    r"|ABI|API versions? mismatch|different version"
)
_REFUSED = re.compile(r"Permission denied|EACCES")
# Modules of other packages: for packages that hide a missing one behind another error.
_NEEDS = {"cryptography": ("_cffi_backend",), "paramiko": ("bcrypt", "nacl.signing"), "smbprotocol": ("spnego",)}
_LACKS_FILE = re.compile(
    r"(?:Error loading shared library )?([^\s:]+\.so[.0-9]*): (?:cannot open shared object file|No such file)"
)


def require(module: str, package: str) -> Any:
    """Import ``module`` of the PyPI ``package``.

    :raises LibraryMissing: when it is not installed. :raises LibraryUnusable: when it is, and can't be loaded.
    """
    try:
        loaded = importlib.import_module(module)
    except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:  # packages written in Rust panic with a special exception
        raise _told(module, package, error) from None
    top = module.partition(".")[0]
    # a folder of that name whose content is missing or unreadable
    if getattr(sys.modules.get(top), "__file__", None) is None:
        sys.modules.pop(top, None)
        raise _told(module, package, ModuleNotFoundError("No module named %r" % top, name=top))
    return loaded


def _told(module: str, package: str, error: BaseException) -> EngineError:
    """Return the error of the catalogue for what an import raised."""
    about = {"package": package, "interpreter": sys.executable}
    first = _first(error)
    reason = ("%s: %s" % (type(first).__name__, first))[:_MAX_REASON_CHARACTERS].rstrip(".")
    lacking = getattr(first, "name", None) if isinstance(first, ModuleNotFoundError) else None
    top = module.partition(".")[0]
    if lacking == top:
        closed = _closed_folder(top)
        return LibraryUnreadable(reason=closed, **about) if closed else LibraryMissing(**about)
    if lacking:
        if lacking.partition(".")[0] == top:  # its compiled part, which is there for another Python
            return LibraryForeign(reason=reason, **about)
        return LibraryNeedsAnother(needed="the Python module %s" % lacking, reason=reason, **about)
    words = str(first)
    refused = bool(_REFUSED.search(words))
    # A file that may be read but not mapped is a matter of policy, not of its mode.
    if _BLOCKED.search(words) or (refused and _is_readable(first)):
        return LibraryBlocked(reason=reason, **about)
    if _FOREIGN.search(words):
        return LibraryForeign(reason=reason, **about)
    if refused:
        return LibraryUnreadable(reason=reason, **about)
    file = _LACKS_FILE.search(words)
    if file:
        return LibraryNeedsAnother(needed="the library %s" % file.group(1), reason=reason, **about)
    for need in _NEEDS.get(top, ()):
        try:
            importlib.import_module(need)
        except ImportError as lack:
            return LibraryNeedsAnother(needed="the Python module %s" % need, reason=str(lack).rstrip("."), **about)
    return LibraryBroken(reason=reason, **about)


def _first(error: BaseException) -> BaseException:
    """The first error of the chain: a package may wrap it in one that says less, or panic over it."""
    seen: List[BaseException] = []
    while error not in seen and len(seen) < 20:
        seen.append(error)
        before = error.__cause__ or (None if isinstance(error, ModuleNotFoundError) else error.__context__)
        if not isinstance(before, (ImportError, OSError)):
            break
        error = before
    return error


def _is_readable(error: BaseException) -> bool:
    path = getattr(error, "path", None) or getattr(error, "filename", None)
    return path is not None and os.access(path, os.R_OK)


def _closed_folder(top: str) -> str:
    """Say which folder of the search path, or of the package, this user may not read: the import system passes it by."""
    for folder in sys.path:
        path = os.path.join(folder, top)
        for one in (folder, path):
            if os.path.isdir(one) and not os.access(one, os.R_OK | os.X_OK):
                return "%s: Permission denied" % one
    return ""


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


def x509() -> Any:
    """``cryptography.x509``: certificates."""
    return require("cryptography.x509", "cryptography")


def hashes() -> Any:
    """``cryptography.hazmat.primitives.hashes``: names of hash functions."""
    return require("cryptography.hazmat.primitives.hashes", "cryptography")


def padding() -> Any:
    """``cryptography.hazmat.primitives.asymmetric.padding``: how RSA signs."""
    return require("cryptography.hazmat.primitives.asymmetric.padding", "cryptography")


def cryptography_exceptions() -> Any:
    """``cryptography.exceptions``: InvalidSignature, UnsupportedAlgorithm."""
    return require("cryptography.exceptions", "cryptography")


def zstandard() -> Any:
    return require("zstandard", "zstandard")


def paramiko() -> Any:
    """SSH: ``Transport`` and keys."""
    return require("paramiko", "paramiko")


def smbprotocol(module: str) -> Any:
    """A module of smbprotocol: ``connection``, ``session``, ``tree``, ``open``, ``exceptions``."""
    return require("smbprotocol." + module, "smbprotocol")


def ntlm_credential(username: str, password: str) -> Any:
    """A user for a login by the NTLM of pyspnego, which the login of Windows does not accept."""
    digest = require("spnego._ntlm_raw.crypto", "pyspnego").ntowfv1(password)
    return require("spnego", "pyspnego").NTLMHash(username, nt_hash=digest.hex())


def load_all() -> None:
    """Load every package: the trial of an installation.

    :raises LibraryMissing: when one is not there.
    """
    aead()
    blake3()
    zstandard()
    paramiko()
    smbprotocol("connection")
