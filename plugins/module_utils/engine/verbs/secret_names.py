# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which keys of a request are secret, for all who take them out, put them back, or keep them out of what is shown."""

from __future__ import annotations

IMAGE_SECRETS = ("password", "password_previous")  # in the mapping ``secrets``
STORAGES = ("storage", "copy_storage", "archive")  # the mappings that hold settings of a storage
STORAGE_SECRETS = ("password", "private_key", "private_key_passphrase")  # in each of them
