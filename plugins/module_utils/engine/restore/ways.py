# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of ``imaging_restore_proof``, for code that checks a request and restores nothing."""

from __future__ import annotations

AUTO, FIRST, WHILE_WRITING = "auto", "first", "while_writing"
PROOFS = (AUTO, FIRST, WHILE_WRITING)
