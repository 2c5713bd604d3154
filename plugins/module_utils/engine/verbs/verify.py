# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``verify``."""

from __future__ import annotations

from typing import Any, Dict, List

from ..image.access import openable_key
from ..image.archive.chain import Problem, chain_of
from ..image.archive.find import what_is_wrong
from ..image.archive.held import numbers_taken, read_versions
from ..image.archive.version_record import StoredRecord
from ..image.copying.directory_sums import changed_since_copied
from ..image.device_directory import DeviceDirectory
from ..image.newest import few
from ..image.upkeep.verify import VerifyReport, verify_image
from ..install.recovery_program import PROGRAM_NAME
from ..storage.contract import Storage
from .copy import PAGE_NAMES
from .request import VerifyRequest
from .run_status import RunStatus


def verify(storage: Storage, request: VerifyRequest, status: RunStatus) -> Dict[str, Any]:
    """Verify an image; in check mode no record of it is kept."""
    found = verify_image(
        storage,
        request.device,
        request.image,
        request.level,
        password=request.passwords.password,
        progress=status.progress,
        record=not request.check,
        job=request.job,
    )
    found = _with_version(storage, request, found)
    if request.level != "quick":
        beside = changed_since_copied(storage, request.device, PAGE_NAMES, PROGRAM_NAME)
        found = found._replace(warnings=found.warnings + beside)
    for text in found.warnings:
        status.warn(text)
    return dict(found.as_dict(), changed=False)


def _with_version(storage: Storage, request: VerifyRequest, found: VerifyReport) -> VerifyReport:
    """Add, in an archive, what is wrong with the version that the image is; other versions' problems are warnings."""
    directory = DeviceDirectory(storage, request.device)
    if not numbers_taken(directory):
        return found
    key = openable_key(directory, request.passwords.password)
    chain = chain_of(read_versions(directory, key), key is not None)
    own = [link.record for link in chain.links if link.record.version.image == found.image]
    numbers = {record.version.number for record in own}
    problems = [one.sentence for one in chain.problems if one.number in numbers]
    problems += [Problem(one.version.number, reason).sentence for one in own for reason in _reasons(directory, one)]
    others = few([one.sentence for one in chain.problems if one.number not in numbers])
    return found._replace(problems=found.problems + problems, warnings=found.warnings + others)


def _reasons(directory: DeviceDirectory, record: StoredRecord) -> List[str]:
    reason = what_is_wrong(directory, record)
    return [reason] if reason else []
