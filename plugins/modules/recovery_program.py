#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_program
short_description: Build the recovery program
version_added: 0.1.0
description:
  - Builds C(plantops-recovery.pyz), a single file that lists, verifies, restores and copies images on a machine
    without installed packages and without a network. Start it with C(python3 plantops-recovery.pyz --help).
  - It contains the engine and its packages and does not unpack files, so it also runs from a read-only medium and if
    C(/tmp) is mounted noexec.
  - The module always runs on the controller, regardless of the host of the task.
  - A lock file of this collection lists the packages with their hashes. They are downloaded once from the package
    index that pip is configured for, or taken from a folder.
  - Builds are reproducible, so the same version of the collection always produces the same bytes.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
attributes:
  check_mode:
    support: full
    details: Check mode does not download or write files, so a program whose packages are missing has no RV(sha256).
  diff_mode:
    support: full
    details: Shows the hash of the file before and after.
  idempotent:
    support: full
options:
  destination:
    description: The folder on the controller for the program. It is created if it is missing.
    type: path
    required: true
  platforms:
    description:
      - The platforms of the program, as operating system, machine, C library and Python, such as
        V(linux-x86_64-glibc-cp311).
      - The default is C(linux-x86_64-glibc) with CPython 3.8 to 3.14.
      - Packages exist for V(x86_64) and V(aarch64) with V(glibc), and from CPython 3.9 with V(musl). On V(aarch64)
        and V(musl) the
        program is untested.
    type: list
    elements: str
  cache_folder:
    description:
      - The folder on the controller where downloaded packages are kept.
      - The default is the folder C(plantops-imaging/wheels) in the cache of the user.
    type: path
  wheel_folder:
    description:
      - A folder on the controller that contains the packages as wheels. With it the package index is not used.
      - The cache folder of another controller can be used here.
    type: path
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Build the recovery program
  plantops.imaging.recovery_program:
    destination: /srv/recovery

- name: Build one for machines with 64-bit ARM processors as well
  plantops.imaging.recovery_program:
    destination: /srv/recovery
    platforms:
      - linux-x86_64-glibc-cp311
      - linux-aarch64-glibc-cp311
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /srv/recovery/plantops-recovery.pyz
version:
  description: The version of the collection that built it.
  returned: success
  type: str
  sample: 0.1.0
platforms:
  description: The platforms of the program.
  returned: success
  type: list
  elements: str
  sample: [linux-x86_64-glibc-cp311]
sha256:
  description: The SHA-256 of the file. Null in check mode if packages would have to be downloaded.
  returned: success
  type: str
  sample: 7b2dbd7d0bccb3f6e798228185d7143e2b6f573bb48dde77df6a819627e37767
size_bytes:
  description: The size of the file, null like RV(sha256).
  returned: success
  type: int
  sample: 41991559
replaced:
  description: The SHA-256 of the file that was replaced, or null.
  returned: success
  type: str
  sample: 93bb7a5d1c44e0167b2dbd7d0bccb3f6e798228185d7143e2b6f573bb48dde77
error_code:
  description: The code of the failure in the catalogue of errors.
  returned: failure
  type: str
  sample: A201
hint:
  description: How to fix the failure.
  returned: failure
  type: str
"""
