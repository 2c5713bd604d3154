# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of verifications: the result, its date and its author.

With a date each verification is a new fact and a new file. So that a daily verification of one image does not push its
other records out of the number that is read, an older record of the same facts goes when there are several. Each record
of a success carries the date of the first one, which so outlives the records that go.
"""

from __future__ import annotations

import contextlib
import getpass
import socket
from typing import Any, Dict, List, Optional

from ...errors import EngineError, StorageFailed, StorageNotFound, StoragePermissionDenied
from ...moments import moment
from .. import records
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format import documents
from ..format.keys import MasterKey
from ..verify_levels import LEVELS, Level

_MOST_ALIKE = 4  # records of verifications before older ones go
_MOST_KEPT = 128  # of an account that may not delete; half of what is read of one image
_NEW = frozenset([records.VERIFIED_AT, records.AUTHOR, records.AUTHENTICATION, records.GOOD_SINCE])


def author_here() -> str:
    """The user and the host that verify, as ``user@host``."""
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):  # no such user in the password database, as in some containers
        user = ""
    host = socket.gethostname()
    return "%s@%s" % (user, host) if user else host


def good_since(directory: DeviceDirectory, image: str, level: Level, key: Optional[MasterKey]) -> str:
    """Return when a verification of this level, or of a deeper one, first found the image intact, without a failure since.

    "" where no record says so.
    """
    found: List[records.Record] = []
    with contextlib.suppress(StoragePermissionDenied, StorageFailed):
        found = [one for one in records.read(directory, image, key) if one.kind == records.VERIFIED]
    failed = max((one.verified_at for one in found if one.ok is False), default="")
    has_failed = any(one.ok is False for one in found)
    deep = LEVELS[LEVELS.index(level) :]
    good = [one for one in found if one.ok and one.is_believed and one.level in deep and one.verified_at]
    after = [one for one in good if not has_failed or one.verified_at > failed]
    return min((_first(one, failed) for one in after), default="")


def _first(record: records.Record, failed: str) -> str:
    """The date that a record names as the first, as far as it can be right."""
    is_possible = failed < record.good_since <= record.verified_at
    return record.good_since if is_possible else record.verified_at


def record_verification(
    directory: DeviceDirectory, image: str, facts: Dict[str, Any], key: Optional[MasterKey], since: str = ""
) -> None:
    """Add the record of a verification that ends now.

    :param since: when an earlier one first found the image intact, without a failure since.
    :raises StorageError: as :func:`records.add`.
    """
    names: List[str] = []
    with contextlib.suppress(StoragePermissionDenied, StorageFailed):  # what stands in the way is the caller's to judge
        names = records.names_of(directory, image, records.VERIFIED)
    dated = dict(
        facts,
        **{
            records.VERIFIED_AT: moment(),
            records.AUTHOR: records.printable(author_here()),
        },
    )
    if facts["ok"]:
        dated[records.GOOD_SINCE] = since or dated[records.VERIFIED_AT]
    older: List[str] = []
    if len(names) >= _MOST_ALIKE:
        with contextlib.suppress(StoragePermissionDenied, StorageFailed):
            older = _superseded(directory, image, names, dated, key)
    if len(names) >= _MOST_KEPT and facts["ok"] and not _delete(directory, older[:1]):
        return
    directory.add_record(image, records.VERIFIED, dated, key)
    _delete(directory, older)


def _superseded(
    directory: DeviceDirectory, image: str, names: List[str], facts: Dict[str, Any], key: Optional[MasterKey]
) -> List[str]:
    """The paths of those of ``names`` that say the same as the record to be added, the oldest first; nothing else proves
    less than before."""
    own = _comparable(dict(facts, kind=records.VERIFIED, image=image))
    same = []
    for name in names:
        path = directory.path(fmt.RECORDS, image, name)
        try:
            found = documents.parse(directory.storage.get(path, 0, fmt.MAX_RECORD_BYTES + 1), fmt.MAX_RECORD_VALUES)
        except (ValueError, EngineError):
            continue
        # A record without authentication does not stand in for one with it.
        if _comparable(found) == own and (key is not None or records.AUTHENTICATION not in found):
            same.append((str(found.get(records.VERIFIED_AT)), path))
    return [path for dummy, path in sorted(same)]


def _delete(directory: DeviceDirectory, paths: List[str]) -> bool:
    """Delete these records, as far as this account may; return whether there is now one less."""
    is_gone = False
    with contextlib.suppress(StoragePermissionDenied, StorageFailed):
        for path in paths:
            with contextlib.suppress(StorageNotFound):  # another verification was quicker
                directory.storage.delete(path)
            is_gone = True
    return is_gone


def _comparable(document: Dict[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in document.items() if name not in _NEW}
