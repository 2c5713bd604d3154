# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order for a run of the writer, and its result."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ...disk.extents import ExtentSet
from ...disk.source import BlockSource
from ...storage.limit import Limit, no_limit
from ...storage.notices import Notices
from ..access import Passwords
from ..format import job_name
from ..format.contents import DiskContents
from ..format.keys import MasterKey
from ..upkeep.keeping import Policy
from ..upkeep.missing import Missing
from ..upkeep.scrub import BUDGET_BYTES
from ..upkeep.seen import Seen
from .coming import ComingDisk


class DiskInput(NamedTuple):
    """A disk to be imaged: where its bytes come from and which of them are in use."""

    source: BlockSource
    used: ExtentSet
    stable_id: str
    contents: DiskContents = DiskContents()

    @property
    def coming(self) -> ComingDisk:
        """The disk as it is compared with those of earlier images."""
        return ComingDisk(self.stable_id, self.source.size_bytes, self.contents)


class ImageOrder(NamedTuple):
    """All that a run needs to know."""

    device: str
    timestamp: str
    disks: List[DiskInput]
    passwords: Passwords = Passwords()
    snapshot: str = "offline"
    device_information: Dict[str, Any] = {}
    created: str = ""
    warnings: List[str] = []
    notes: List[str] = []  # lines for the job's log
    late_warnings: Callable[[], List[str]] = list  # what is known when all disks were read
    late_snapshot: Callable[[], str] = str  # as ``snapshot`` when all disks were read, "" for the same
    compression_level: int = 1
    workers: int = 2
    limit: Limit = no_limit  # of what is sent and fetched of packs
    cancelled: Callable[[], bool] = lambda: False
    progress: Callable[[str, int, int, int], None] = lambda phase, done, total, stored: None
    notices: Notices = Notices()
    lease_ttl_seconds: float = 90.0
    takes_lease: bool = True  # False for an account that may only create: it could never give one back
    scrub_bytes: int = BUDGET_BYTES
    job: str = job_name.DEFAULT
    policy: Policy = Policy({})  # of the rollover that follows: which disks and jobs are not to be missed
    sleep: Callable[[float], None] = time.sleep


class ImageResult(NamedTuple):
    """The result of a run; sizes in bytes."""

    image: str
    sequence: int
    in_use_bytes: int
    stored_bytes: int
    reused_bytes: int
    new_packs: Dict[str, int]
    seconds: float
    warnings: List[str]
    key: Optional[MasterKey]
    healed_packs: List[str]
    earlier: List[str]  # the complete images that were there before, oldest first
    missing: List[Missing] = []  # what only earlier images of the job hold; the warnings name it
    seen: Seen = Seen()  # what the rollover after this run need not ask for again

    @property
    def key_id(self) -> str:
        return self.key.key_id if self.key else ""
