# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the inventory that a play was started with, before Ansible loads the variables of any host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: inventory_findings
short_description: Check the settings of a whole inventory
description:
  - Reads the inventory sources that Ansible was started with, shows all errors and warnings, and fails if there is an
    error. It connects to no host and opens no vault.
  - The playbook C(plantops.imaging.validate) uses it as its pattern of hosts, because Ansible evaluates that before it
    loads variables of hosts, which requires the password of each encrypted file.
  - Returns an empty list, so that the play has no hosts.
options:
  _terms:
    description: Sources of inventory instead of those that Ansible was started with.
    type: list
    elements: str
  report:
    description: Path without suffix of the report; a C(.json) and a C(.xml) file (JUnit) are written.
    type: str
    default: ""
author:
  - plantops.imaging contributors (@plantops)
"""

EXAMPLES = r"""
- name: Validate the inventory
  hosts: "{{ query('plantops.imaging.inventory_findings') }}"
"""

RETURN = r"""
_list:
  description: Always empty.
  type: list
  elements: str
"""
_AWX = ("AWX_PRIVATE_DATA_DIR", "AWX_HOST")

import json
import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from ansible import context
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    InventoryInvalid,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._inventory import check, finding, sources


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible has no types
    """The lookup."""

    def run(self, terms: Sequence[str], variables: Optional[Dict[str, Any]] = None, **kwargs: Any) -> List[str]:
        """Show every finding, write the report, and fail where one is an error."""
        if context.CLIARGS.get("syntax"):
            return []
        inventory = sources.read([str(one) for one in terms] or [str(one) for one in context.CLIARGS["inventory"]])
        awx = any(name in os.environ for name in _AWX) or "awx_job_id" in (variables or {})
        found = check.findings(inventory, awx=awx)
        display = Display()
        for level, sentence in finding.lines(found):
            display.display(
                "%s: %s" % (level.upper(), sentence), color="red" if level == finding.ERROR else "bright purple"
            )
        hosts = len(inventory.hosts)
        wrong = sum(one.level == finding.ERROR for one in found)
        counts = (hosts, "" if hosts == 1 else "s", wrong, len(found) - wrong)
        display.display("%d host%s checked: %d errors, %d warnings" % counts)
        report = str(kwargs.get("report") or "")
        if report:
            _write(Path(report), found, list(inventory.hosts))
        if wrong:
            raise AnsibleError(str(InventoryInvalid(errors=wrong, warnings=len(found) - wrong)))
        return []


def _write(path: Path, found: List[finding.Finding], hosts: List[str]) -> None:
    texts = {".json": json.dumps(finding.as_json(found), indent=2) + "\n", ".xml": finding.as_junit(found, hosts)}
    try:
        path.parent.mkdir(exist_ok=True)
        for suffix, text in texts.items():
            Path(str(path) + suffix).write_text(text, encoding="utf-8")
    except OSError as error:
        raise AnsibleError("The report %s can't be written: %s." % (path, error.strerror)) from error
