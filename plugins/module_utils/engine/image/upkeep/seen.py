# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The listings of a run right after its commit, so that the rollover which follows at once does not ask the storage
again."""

from __future__ import annotations

from typing import AbstractSet, NamedTuple, Optional

from ..pack_listing import InUse


class Seen(NamedTuple):
    """A listing that is a moment old errs on the safe side: a pack that came since is neither counted nor swept.

    ``listing``: the packs in use and the partial files; ``examined``: images whose records were read and whose small files
    were healed.
    """

    listing: Optional[InUse] = None
    examined: AbstractSet[str] = frozenset()
