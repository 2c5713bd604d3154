# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a target raises when a rule is broken."""

from __future__ import annotations


class BrokenRule(AssertionError):
    """The engine accepted what it must not, such as extents outside the volume."""
