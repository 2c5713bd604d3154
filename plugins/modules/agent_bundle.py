#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: agent_bundle
short_description: Build the bundles that install the agent
version_added: 0.1.0
description:
  - Builds for each platform one file that holds the agent with everything it needs besides Python.
  - The file can be carried to a site that no controller reaches and installs itself there with C(python3 <bundle> install).
  - It always works on the controller, whatever host the task is for.
  - The packages that go into a bundle are named, with their hashes, by a lock that is part of this collection. They come from
    the package index that pip is configured for, once, or from a folder.
  - The same collection makes the same bytes, wherever and whenever it runs.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
attributes:
  check_mode:
    support: full
    details: Nothing is downloaded or written, so a bundle that is not there yet has no RV(bundles[].sha256).
  diff_mode:
    support: full
    details: Shows the hash of each file before and after.
  idempotent:
    support: full
options:
  platforms:
    description:
      - The platforms to build for, as operating system, machine, C library and Python, such as V(linux-x86_64-glibc-cp311).
      - There are bundles for CPython 3.8 to 3.14 on V(x86_64) and V(aarch64) with V(glibc), and from CPython 3.9 with V(musl).
      - The platform of a device is in what C(installer.pyz probe) and a bundle for the wrong platform say.
    type: list
    elements: str
    required: true
  destination:
    description: The folder on the controller that the bundles are written to. It is made when it is missing.
    type: path
    required: true
  version:
    description: The version that the bundles bear. That of this collection when it is not given.
    type: str
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
- name: Build the bundles for a site that is not connected
  plantops.imaging.agent_bundle:
    platforms:
      - linux-x86_64-glibc-cp39
      - linux-x86_64-glibc-cp311
    destination: /srv/carry

- name: Build one where no package index is reached
  plantops.imaging.agent_bundle:
    platforms: [linux-aarch64-glibc-cp311]
    destination: /srv/bundles
    wheel_folder: /media/stick/wheels
"""

RETURN = r"""
bundles:
  description: The bundles, in the order of O(platforms).
  returned: success
  type: list
  elements: dict
  contains:
    platform:
      description: The platform that it is for.
      type: str
      sample: linux-x86_64-glibc-cp311
    path:
      description: The file.
      type: str
      sample: /srv/carry/plantops-imaging-agent-0.1.0-linux-x86_64-glibc-cp311.pyz
    sha256:
      description: The SHA-256 of the file. Null in check mode when it would have to be built.
      type: str
      sample: 7b2dbd7d0bccb3f6e798228185d7143e2b6f573bb48dde77df6a819627e37767
    size_bytes:
      description: The size of the file, null as RV(bundles[].sha256).
      type: int
      sample: 13676160
    identity:
      description: The id of the installation that it makes on a device, null as RV(bundles[].sha256).
      type: str
      sample: 0.1.0-9dd74c0a11b3f100
    changed:
      description: Whether the file was written, or would be.
      type: bool
      sample: true
    replaced:
      description: The SHA-256 of another file that was there before. Null for none.
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
