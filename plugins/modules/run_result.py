#!/usr/bin/python
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: run_result
short_description: Leave the result of a run as a JSON document
version_added: 0.1.0
description:
  - Composes one document of a run, whether it succeeded or failed, and writes it to
    C(<directory>/<device>/<yyyy-mm-dd_hh-MM-ss>-<verb>.json) on the host that the task is delegated to.
  - The entry points of the role C(plantops.imaging.imaging) use it. C(docs/run-results.md) describes the document, and
    C(docs/schemas/result.json) is its JSON Schema.
  - A document is written whole or not at all, and never replaces that of another run.
extends_documentation_fragment:
  - plantops.imaging.attributes
  - plantops.imaging.attributes.action
attributes:
  check_mode:
    support: full
    details: Check mode writes no document.
  diff_mode:
    support: none
    details: The document is in the result.
  idempotent:
    support: partial
    details: A run of an agent has one document. A run without a handle gets one each time.
options:
  verb:
    description: The verb of the run, as the entry point of the role is called.
    type: str
    required: true
  device_name:
    description: Name of the device, which is the name of its folder.
    type: str
    required: true
  device_alias:
    description: Prefix of O(device_name).
    type: str
    default: ""
  job:
    description: The job of the run.
    type: str
    default: ""
  directory:
    description:
      - Absolute path of the directory of results. It is created if its parent directory exists.
      - Without it the document is only returned.
    type: str
    default: ""
  started:
    description: When the run began, in UTC, as V(2026-11-29T17:50:00Z).
    type: str
    required: true
  moment:
    description: The same in local time, for the name of the file, as V(2026-11-29_17-50-00).
    type: str
    required: true
  result:
    description: The result of the task that did the work. Empty if it did not begin.
    type: dict
    default: {}
  others:
    description: Results of other tasks of the run. The first one that failed is the reason of the failure.
    type: list
    elements: dict
    default: []
  replaces:
    description: Path of an earlier document of this run that the new one replaces.
    type: str
    default: ""
  hook:
    description: The hook that failed - C(hook), C(file) and C(reason). Empty if none did.
    type: dict
    default: {}
  hooks:
    description:
      - The hooks that follow an image, C(after) and C(failed), as far as the site has them.
      - The document of a run whose end no play saw contains the warning that they may not have run for it.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Leave the result of a verification
  plantops.imaging.run_result:
    verb: verify
    device_name: press-07
    directory: /srv/imaging-results
    started: "{{ verification_started }}"
    moment: "{{ now(fmt='%Y-%m-%d_%H-%M-%S') }}"
    result: "{{ verification }}"
  delegate_to: operator.example.com
"""

RETURN = r"""
document:
  description: The document, as docs/run-results.md describes it.
  returned: success
  type: dict
  sample:
    device: press-07
    verb: image
    state: ok
    image: 2026-11-29_17-50-00
path:
  description: The file on the host that the task is delegated to, null if none was written.
  returned: success
  type: str
  sample: /srv/imaging-results/press-07/2026-11-29_17-50-00-image.json
stored_runs:
  description:
    - The agent's handles of runs that ended and whose documents are in the directory now, so that
      M(plantops.imaging.forget_runs) may delete them from the device. These are the run that the task followed to its
      end, and runs whose play did not see their end. A run that the task only looked at is not among them.
  returned: when a document is in the directory
  type: list
  elements: str
  sample: [image-0123456789abcdef-20261129-175000-1a2b3c]
error_code:
  description: The code of the failure in the catalogue of errors.
  returned: failure
  type: str
  sample: J180
hint:
  description: How to fix the failure.
  returned: failure
  type: str
"""
