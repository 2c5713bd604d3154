# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that failed has saved all the same, said in the sentence of its error."""

from __future__ import annotations

import contextlib
from typing import Iterator

from ...errors import EngineError, LeaseHeld, StorageError


def tell_saved(error: EngineError, sent_bytes: int, has_images: bool) -> None:
    """Add to the message what is whole and what the next run need not send again.

    :param sent_bytes: packs that this run stored and read back.
    """
    saved = ["earlier images are whole"] if has_images else []
    size = "%.1f MB" % (sent_bytes / 1e6) if sent_bytes >= 100_000 else "%d kB" % max(1, sent_bytes // 1000)
    saved.append("%s sent count for the next run" % size if sent_bytes else "nothing was sent yet")
    error.args = ("%s; %s." % (str(error).rstrip("."), ", ".join(saved)),)


@contextlib.contextmanager
def nothing_sent() -> Iterator[None]:
    """Say of a storage that fails in this block, before it is known which images there are, that nothing was sent."""
    try:
        yield
    except LeaseHeld:
        raise  # the other run goes on, and says what it saved
    except StorageError as error:
        tell_saved(error, 0, has_images=False)
        raise


def tell_committed(error: EngineError, image: str) -> None:
    """Say that the image was made, and that only what follows its commit was not done."""
    error.args = ("%s; the image %s is made." % (str(error).rstrip("."), image),)


def tell_doubt(error: EngineError, image: str) -> None:
    """Say that the line was lost while the image was being published, so that it may be made."""
    error.args = ("%s; whether the image %s is made, image_info says." % (str(error).rstrip("."), image),)
