# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a rollover, or in check mode the planned one."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from .missing import Missing
from .trash_state import TrashState


class RolloverReport(NamedTuple):
    """The deletions, with ``dry_run`` the planned ones; ``spared`` says why an old image stays."""

    dry_run: bool
    deleted: List[str]
    spared: Dict[str, str]
    trashed_packs: List[str]
    purged_packs: List[str]
    freed_bytes: int
    warnings: List[str]
    before: List[str]  # the complete images that were there, in order
    trash: Optional[TrashState] = None  # its content afterwards; None where the sweep was skipped
    missing: List[Missing] = []  # what only older images of a job hold
    named: List[str] = []  # sentences about that, and about images of jobs that are not defined

    def as_dict(self) -> Dict[str, Any]:
        """The lines of an image run's report."""
        said = ("dry_run", "deleted", "spared", "trashed_packs", "purged_packs", "freed_bytes", "warnings")
        told = {name: value for name, value in self._asdict().items() if name in said}
        return dict(told, trash=self.trash.as_dict() if self.trash is not None else None)
