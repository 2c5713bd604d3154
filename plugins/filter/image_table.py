# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the images of several devices as one table."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Sequence

from ansible.errors import AnsibleFilterError
from ansible_collections.plantops.imaging.plugins.module_utils.engine.verbs.image_table import image_table as _table

DOCUMENTATION = r"""
name: image_table
short_description: Show images as a table
version_added: 0.1.0
description:
  - Returns one line for each image of each device, under a line of heads.
positional: _input
options:
  _input:
    description: The devices, as in RV(plantops.imaging.image_info#module:devices).
    type: list
    elements: dict
    required: true
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Show the images of the plant
  ansible.builtin.debug:
    msg: "{{ (press_07_images.devices + press_08_images.devices) | plantops.imaging.image_table }}"
"""

RETURN = r"""
_value:
  description: The lines of the table.
  type: list
  elements: str
"""


def image_table(devices: Sequence[Mapping[str, Any]]) -> List[str]:
    """Return the lines of the table of ``devices``."""
    try:
        return _table(devices)
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError("image_table takes the devices that image_info returns: %r" % error) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"image_table": image_table}
