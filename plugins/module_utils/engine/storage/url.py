# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the settings of a storage: no password in its address, ``~`` in the path of a file."""

from __future__ import annotations

import os
import re

from ..errors import StorageUrlInvalid

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE | re.ASCII)
# Text other than a port between a colon and an "@"; a password may hold slashes that were not encoded.
_WITH_PASSWORD = re.compile(r"(?:\\\\)?[^/\\@\[]*:(?![0-9]*(?:[/\\]|$))[^@]*@", re.DOTALL)


def check_url(url: str) -> None:
    """:raises StorageUrlInvalid: when ``url`` has a user or a password in it, which the message does not repeat, or can't be a path."""
    if "\0" in url or any("\ud800" <= character <= "\udfff" for character in url):
        raise StorageUrlInvalid(url=url, reason="it contains a character that is not valid in a path")
    if "@" not in url:
        return
    scheme = _SCHEME.match(url)
    rest = url[scheme.end() :] if scheme else url
    if (scheme and "@" in rest.split("/")[0]) or _WITH_PASSWORD.match(rest):
        raise StorageUrlInvalid(
            url="%s..." % (scheme.group() if scheme else rest[: len(rest) - len(rest.lstrip("\\"))]),
            reason="user and password belong in imaging_storage.username and .password",
        )


def in_home(path: str) -> str:
    """A path with ``~`` and ``~user`` as the machine that uses it knows them: the controller may have other homes."""
    return os.path.expanduser(path)
