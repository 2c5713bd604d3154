# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes of the modules."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of what a module supports; each module states its support."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return what it would change, without changing anything.
  diff_mode:
    description: Will return details on what has changed when in diff mode.
  idempotent:
    description: When run twice in a row with the same arguments, the second run changes nothing.
  action_group:
    description: Use C(group/plantops.imaging.imaging) in C(module_defaults) to set defaults for these modules.
    support: full
    membership:
      - plantops.imaging.imaging
"""

    ACTION = r"""
options: {}
attributes:
  action:
    description: Has an action plugin, so some of its work is done on the controller.
    support: full
"""
