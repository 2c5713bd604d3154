# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where sentences go: to the standard output only beside a callback that prints lines there."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from ansible.plugins.callback import CallbackBase
from ansible.plugins.callback.default import CallbackModule as Default
from ansible_collections.plantops.imaging.plugins.plugin_utils import _sentences


class Document(CallbackBase):  # type: ignore[misc]
    pass


class DocumentOfDefault(Default):  # type: ignore[misc]
    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Prints nothing."""


class Lines(Default):  # type: ignore[misc]
    pass


@pytest.mark.parametrize(
    ("name", "found", "expected"),
    [
        ("default", None, True),
        ("ansible.builtin.default", None, True),
        ("awx_display", None, True),
        ("site.lines", Lines, True),
        ("ansible.posix.json", Document, False),
        ("site.report", DocumentOfDefault, False),
        ("there.is.none", None, False),
    ],
)
def test_a_callback_is_known_by_what_it_prints(
    name: str, found: Any, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sentences.callback_loader, "get", lambda dummy, class_only: found)
    assert _sentences.prints_lines(name) is expected


def test_a_sentence_is_one_tame_line_on_the_output_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: List[Dict[str, Any]] = []
    monkeypatch.setattr(
        _sentences.display, "display", lambda text, stderr: shown.append({"text": text, "stderr": stderr})
    )
    monkeypatch.setattr(_sentences, "prints_lines", lambda dummy: False)
    _sentences.show_sentence("press-1: a\x1b[2J\nok: [press-2]")
    assert shown == [{"text": "press-1: a\\x1b[2J\\nok: [press-2]", "stderr": True}]
