# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request of the verb ``archive``."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..errors import RequestInvalid
from ..image.access import Passwords
from ..image.archive.version_record import MAX_AUTHOR_CHARACTERS, MAX_COMMENT_CHARACTERS
from .archive_fields import ARCHIVE_STATES, rhythm_of, text_of_version, versions_of
from .fields import Fields
from .request_parts import StorageSettings, chosen_job, image_of, storage_of

ARCHIVE_KEYS = (
    *("image", "archive", "state", "versions", "comment", "author", "every", "keep_source", "coming", "limit_io_rate"),
)


class ArchiveRequest(NamedTuple):
    """Check an image in as a version of the archive, or examine or compare the versions that are there."""

    device: str
    storage: StorageSettings
    check: bool
    passwords: Passwords
    job: Optional[str]
    image: str
    archive: StorageSettings
    state: str
    versions: List[str]  # two, to be compared
    comment: str
    author: str
    every_seconds: int  # between two versions; 0 for each image
    keep_source: bool
    coming: bool  # in check mode: the image that a run is going to make
    limit_io_bytes: float  # a second; 0 for no limit
    unused: Tuple[str, ...] = ()


def archive_request(fields: Fields, head: Dict[str, Any], is_check: bool) -> ArchiveRequest:
    """:raises RequestInvalid: naming the setting that is wrong."""
    state = fields.choice("state", ARCHIVE_STATES, "present")
    coming = fields.yes("coming")
    if coming and not is_check:
        raise RequestInvalid(reason="coming is for check mode only")
    archive = storage_of(fields, is_check, "archive")
    if not archive.url:
        raise RequestInvalid(reason="imaging_archive has no url")
    return ArchiveRequest(
        **head,
        job=chosen_job(fields),
        image=image_of(fields, head["device"], head["storage"]),
        archive=archive,
        state=state,
        versions=versions_of(fields, state == "compared"),
        comment=text_of_version(fields, "comment", MAX_COMMENT_CHARACTERS, may_break=True),
        author=text_of_version(fields, "author", MAX_AUTHOR_CHARACTERS),
        every_seconds=rhythm_of(fields),
        keep_source=fields.given("keep_source") is None or fields.yes("keep_source"),
        coming=coming,
        limit_io_bytes=fields.rate("limit_io_rate"),
    )
