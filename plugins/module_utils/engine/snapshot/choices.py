# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of ``imaging_snapshot``, for code that checks a request without freezing."""

from __future__ import annotations

SETTINGS = ("required", "preferred", "none")
