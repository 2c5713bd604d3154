# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that are planned but that this version does not have.

They are refused: one that is silently not obeyed, such as a common rate for all devices, would harm a plant. But they are not
taken for misspelt.
"""

from __future__ import annotations

LATER = frozenset(
    (
        "fetch_directory",
        "fetch_paths",
        "max_age",
        "parallel_per_storage",
        "report_directory",
        "rescue_iso",
        "start_delay",
        "stick",
        "stick_overwrite",
        "storage_limit_io_rate",
        "time_zone",
    )
)
