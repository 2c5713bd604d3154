# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests of the verbs that list images: list, devices."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..errors import RequestInvalid
from ..image.access import Passwords
from .fields import Fields
from .request_parts import StorageSettings, chosen_job, image_of

LIST_KEYS = ("image", "documents")
DEVICE, LOG = DOCUMENTS = ("device", "log")
ALL = "all"


class ListRequest(NamedTuple):
    """Tell which images there are; ``image`` may be ``all``."""

    device: str
    storage: StorageSettings
    check: bool
    passwords: Passwords
    job: Optional[str]
    image: str
    timestamp: str  # now, by the clock that names images; ages are measured from it
    documents: Tuple[str, ...] = ()  # those to be read, of one image
    unused: Tuple[str, ...] = ()


class DevicesRequest(NamedTuple):
    """Tell which images each device of the storage has. ``device`` is empty."""

    device: str
    storage: StorageSettings
    check: bool
    passwords: Passwords
    timestamp: str
    unused: Tuple[str, ...] = ()


def list_request(fields: Fields, head: Dict[str, Any], timestamp: str) -> ListRequest:
    """:raises RequestInvalid: naming the setting that is wrong."""
    image = image_of(fields, head["device"], head["storage"], ALL)
    documents: List[str] = fields.names("documents")
    unknown = [name for name in documents if name not in DOCUMENTS]
    if unknown:
        raise fields.refuse(
            "documents", "contains %r, which is not one of %s" % (unknown[0][:40], ", ".join(DOCUMENTS))
        )
    if documents and image == ALL:
        raise RequestInvalid(reason="documents are read from one image: set imaging_image to latest or to a name")
    chosen = tuple(name for name in DOCUMENTS if name in documents)
    return ListRequest(**head, job=chosen_job(fields), image=image, timestamp=timestamp, documents=chosen)
