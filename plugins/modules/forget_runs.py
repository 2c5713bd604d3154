#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: forget_runs
short_description: Delete ended runs from a device
version_added: 0.1.0
description:
  - Deletes what the agent of a device keeps of runs that have ended. The role calls it when the results of the runs
    are in the directory of results; a play that is killed before leaves them to the next one.
  - A run that is still in progress, or that the device does not know, is left as it is.
  - A device that can't be asked keeps its runs. The task shows a sentence and does not fail, and the next play that
    makes an image or restores one deletes them.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.device
  - plantops.imaging.options.link
attributes:
  check_mode:
    support: full
    details: Check mode deletes nothing.
  diff_mode:
    support: none
    details: The deleted runs are in the result.
  idempotent:
    support: full
options:
  runs:
    description: The handles of the runs.
    type: list
    elements: str
    required: true
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Delete the run from the device
  plantops.imaging.forget_runs:
    runs: [image-0123456789abcdef-20261129-175000-1a2b3c]
"""

RETURN = r"""
forgotten:
  description: The handles of the runs that were deleted.
  returned: success
  type: list
  elements: str
"""
