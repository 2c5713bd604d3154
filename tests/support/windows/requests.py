# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs several requests in one process: a list of them on standard input, one line of JSON an answer. Runs in the double."""

from __future__ import annotations

import json
import sys

from engine.errors import EngineError
from engine.verbs.dispatch import run_document

for request in json.loads(sys.stdin.read()):
    try:
        answer = run_document(request, lambda event: None, lambda: False)
    except EngineError as error:
        answer = error.as_dict()
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
