# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what was built: whole and durable under its name, or not at all."""

from __future__ import annotations

import os
import secrets

from ..errors import BundleFailed


def publish(path: str, content: bytes) -> None:
    """:raises BundleFailed: when it can't be written."""
    temporary = "%s.new-%s" % (path, secrets.token_hex(4))
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)
    except OSError as error:
        raise BundleFailed(path=path, reason=error.strerror or str(error)) from None
