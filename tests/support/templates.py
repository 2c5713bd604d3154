# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluates variables as Ansible does, filters of the collection included, in a process of its own: a loader of plugins that was
started once changes how everything after it is imported.

As a program it takes a list of ``[variables, name]`` as JSON and answers with a list of ``{"value": ...}`` or ``{"error": ...}``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

Case = Tuple[Dict[str, Any], str]


def evaluate(cases: List[Case], python: Path = Path(sys.executable)) -> List[Dict[str, Any]]:
    """Return for each case what the variable of that name is, with the ansible-core of ``python``."""
    done = subprocess.run(
        [str(python), __file__],
        input=json.dumps(cases),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return list(json.loads(done.stdout))


def _serve() -> None:
    import ansible.template
    from ansible.errors import AnsibleError
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader()
    # Since 2.19 only texts from trusted places are templates, as those of an inventory are.
    trust = getattr(ansible.template, "trust_as_template", str)

    def trusted(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: trusted(one) for key, one in value.items()}
        if isinstance(value, list):
            return [trusted(one) for one in value]
        return trust(value) if isinstance(value, str) else value

    answers: List[Dict[str, Any]] = []
    for variables, name in json.load(sys.stdin):
        templar = ansible.template.Templar(loader=DataLoader(), variables=trusted(variables))
        try:
            answers.append({"value": templar.template(trust("{{ %s }}" % name))})
        except AnsibleError as error:
            answers.append({"error": str(error)})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    _serve()
