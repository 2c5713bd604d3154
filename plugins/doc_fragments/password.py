# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option that opens encrypted images."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the image password."""

    DOCUMENTATION = r"""
options:
  password:
    description:
      - Password of the device's images.
      - It reaches the engine in memory; no command line, environment or log holds it.
    type: str
"""
