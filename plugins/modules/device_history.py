#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: device_history
short_description: Commit the device document of an image to a Git repository
version_added: 0.1.0
description:
  - Writes the device document of an image to the file C(<device>.json) of a Git repository, as one commit. C(git log -p) then shows the
    history of the device.
  - No commit is made if the repository already contains the document.
  - Many tasks may commit to one repository at the same time.
  - B(The documents in the repository are not encrypted), even if the image is. They list accounts, software, services and addresses of
    the device. Restrict the access to the repository.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
  - plantops.imaging.options.storage
  - plantops.imaging.options.device_directory
  - plantops.imaging.options.password
  - plantops.imaging.options.device_history
attributes:
  check_mode:
    support: full
    details: Returns whether a commit would be made.
  diff_mode:
    support: none
    details: Use C(git log -p).
  idempotent:
    support: full
requirements:
  - Python 3.8 or newer on the host that runs the task, with C(blake3), C(cryptography) and C(zstandard).
  - C(paramiko) for an SFTP server, C(smbprotocol) for a share.
  - C(git) on the host that runs the task.
seealso:
  - module: plantops.imaging.image
  - module: plantops.imaging.device_info
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Add the newest image of a device to the history of the plant
  plantops.imaging.device_history:
    storage:
      url: /srv/images
    device_name: press-07
    password: "{{ vault_imaging_password }}"
    repository: /srv/history.git
"""

RETURN = r"""
image:
  description: The image.
  returned: success
  type: str
  sample: 2026-11-22_13-45-10
commit:
  description: Id of the new commit; empty if the document has not changed, and in check mode.
  returned: success
  type: str
  sample: 5f2b8d7c41c0e5d9a7e6d4c3b2a1908f7e6d5c4b
repository:
  description: The repository.
  returned: success
  type: str
  sample: /srv/history.git
storage_host_key:
  description: Fingerprint of the host key that the SFTP server presented.
  returned: success, if the task connected to an SFTP server
  type: str
  sample: SHA256:d6KNsk3bmZ8Cx4Gmkqz5bA1zVJ3mS8rBxkH3qkqkqk0
storage_host_key_is_new:
  description: Whether V(accept-new) accepted the key without a check. Compare it with the server's own key and set it
    as C(host_key).
  returned: success, if the task connected to an SFTP server
  type: bool
  sample: false
error_code:
  description: The code of the failure in the catalogue of errors.
  returned: failure
  type: str
  sample: K100
hint:
  description: How to fix the failure.
  returned: failure
  type: str
"""
