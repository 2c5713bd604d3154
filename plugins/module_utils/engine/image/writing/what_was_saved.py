# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds to the error of a failed run which images are intact and how much the next run reuses."""

from __future__ import annotations

import contextlib
from typing import Iterator

from ...amounts import size
from ...errors import EngineError, LeaseHeld, StorageError


def tell_saved(error: EngineError, sent_bytes: int, has_images: bool) -> None:
    """Add to the message whether earlier images are intact and how much the next run reuses.

    :param sent_bytes: the size of the packs that this run uploaded and read back.
    """
    saved = ["earlier images are intact"] if has_images else []
    sent = "the next run will reuse the %s already uploaded" % size(sent_bytes)
    saved.append(sent if sent_bytes else "nothing was uploaded yet")
    error.fields.update(has_images=has_images, uploaded_bytes=sent_bytes)
    error.args = ("%s; %s." % (str(error).rstrip("."), "; ".join(saved)),)


@contextlib.contextmanager
def nothing_sent() -> Iterator[None]:
    """Add to a storage error in this block, before the images are listed, that nothing was uploaded yet."""
    try:
        yield
    except LeaseHeld:
        raise  # the other run continues and reports what it saved
    except StorageError as error:
        tell_saved(error, 0, has_images=False)
        raise


def tell_committed(error: EngineError, image: str) -> None:
    """Add that the image was committed, and that only the steps after its commit failed."""
    error.fields["committed"] = image
    error.args = ("%s; the image %s was committed." % (str(error).rstrip("."), image),)


def tell_doubt(error: EngineError, image: str) -> None:
    """Add that the connection was lost during the commit, so that the image may exist."""
    error.fields["in_doubt"] = image
    text = "%s; the connection was lost during the commit: the playbook show tells whether the image %s exists."
    error.args = (text % (str(error).rstrip("."), image),)
