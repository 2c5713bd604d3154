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
  - Builds C(plantops-recovery.pyz), one file that lists, verifies, restores and copies images on a machine where nothing is installed and
    no network is reached. It is started with C(python3 plantops-recovery.pyz --help).
  - It carries the engine and its packages, and unpacks nothing, so that it also runs from a read-only medium and where C(/tmp) is
    mounted noexec.
  - It always works on the controller, whatever host the task is for.
  - The packages are named, with their hashes, by a lock that is part of this collection. They come from the package index that pip is
    configured for, once, or from a folder.
  - The same collection makes the same bytes, wherever and whenever it runs.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
attributes:
  check_mode:
    support: full
    details: Nothing is downloaded or written, so a program whose packages are not at hand has no RV(sha256).
  diff_mode:
    support: full
    details: Shows the hash of the file before and after.
  idempotent:
    support: full
options:
  destination:
    description: The folder on the controller that the program is written to. It is made when it is missing.
    type: path
    required: true
  platforms:
    description:
      - The platforms that it runs on, as operating system, machine, C library and Python, such as V(linux-x86_64-glibc-cp311).
      - C(linux-x86_64-glibc) with CPython 3.8 to 3.14 when it is not given.
      - There are packages for V(x86_64) and V(aarch64) with V(glibc), and from CPython 3.9 with V(musl). On V(aarch64) and V(musl) the
        program is untested.
    type: list
    elements: str
  cache_folder:
    description:
      - The folder on the controller where downloaded packages are kept.
      - The folder C(plantops-imaging/wheels) in the cache of the user when it is not given.
    type: path
  wheel_folder:
    description:
      - A folder on the controller that holds the packages as wheels. With it no package index is asked.
      - The cache folder of another controller is such a folder.
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
  description: The version of the collection that it is made of.
  returned: success
  type: str
  sample: 0.1.0
platforms:
  description: The platforms that it runs on.
  returned: success
  type: list
  elements: str
  sample: [linux-x86_64-glibc-cp311]
sha256:
  description: The SHA-256 of the file. Null in check mode when packages would have to be downloaded.
  returned: success
  type: str
  sample: 7b2dbd7d0bccb3f6e798228185d7143e2b6f573bb48dde77df6a819627e37767
size_bytes:
  description: The size of the file, null as RV(sha256).
  returned: success
  type: int
  sample: 41991559
replaced:
  description: The SHA-256 of another file that was there before. Null for none.
  returned: success
  type: str
  sample: 93bb7a5d1c44e0167b2dbd7d0bccb3f6e798228185d7143e2b6f573bb48dde77
error_code:
  description: The code of the failure in the catalogue of errors.
  returned: failure
  type: str
  sample: A201
hint:
  description: What to do about the failure.
  returned: failure
  type: str
"""
