# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renames the directory of a device; the module of the same name documents it."""

from __future__ import annotations

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import RENAME
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.operator_action import OperatorAction


class ActionModule(OperatorAction):
    """The verb ``rename``."""

    verb = "rename"
    spec = RENAME
