# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/sentences.py: which sentences the linter refuses, where it looks, and that the held paths are clean."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, List

import pytest

ROOT = Path(__file__).parents[2]


def load() -> Any:
    spec = importlib.util.spec_from_file_location("sentences", ROOT / "scripts" / "sentences.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["sentences"] = module
    spec.loader.exec_module(module)
    return module


LINTER = load()


def found_in(text: str) -> List[str]:
    return [one.found for one in LINTER.check_text(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The agent is installed anew.", "anew"),
        ("This is no absolute path.", "is no"),
        ("These ARE NO images.", "ARE NO"),
        ("A directory that nobody made.", "nobody"),
        ("The run X is under way.", "under way"),
        ("Earlier images are whole.", "are whole"),
        ("Check it; what was sent counts.", "sent counts"),
        ("An image stored in clear.", "in clear"),
        ("It needs some 200 MB.", "some"),
        ("A folder of its own for each run.", "of its own"),
        ("Nothing is written to find out.", "to find out"),
        ("What is wrong stops the run.", "What ..."),
        ("The run ended. Who started it is unknown.", "Who ..."),
        ("There is nobody to ask.", "There is nobody ..."),
    ],
)
def test_what_is_refused(text: str, found: str) -> None:
    assert found in found_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "The agent is not responding correctly; reinstalling it.",
        "There is no disk /dev/sdz.",
        "The lease is no longer held.",
        "The field `left_out` and the path /left_out/x stay as they are.",
        "The value V(anew) of the option O(mend) is code, ``whoever`` too.",
        "What happens when a disk dies?",
        "The secrets are stored in clear text.",
        "It knows some disks.",
    ],
)
def test_what_is_accepted(text: str) -> None:
    assert found_in(text) == []


def test_strings_of_a_program_are_checked_and_docstrings_where_they_are_held() -> None:
    source = '"""Made anew."""\nKEY = "anew"\nTEXT = (\n    "The agent is %s "\n    "installed anew." % 1\n)\n'
    assert [(one.line, one.found) for one in LINTER.check_python(source, with_docstrings=False)] == [(4, "anew")]
    assert [one.line for one in LINTER.check_python(source, with_docstrings=True)] == [1, 4]


def test_comments_are_checked_where_docstrings_are_held() -> None:
    source = '# What is left.\nKEY = "x#anew"  # None where there is none\nkey = 1  # made anew\n'
    assert list(LINTER.check_python(source, with_docstrings=False)) == []
    found = [(one.line, one.found) for one in LINTER.check_python(source, with_docstrings=True)]
    assert found == [(1, "What ..."), (3, "anew")]


def test_code_in_a_document_is_not_prose() -> None:
    source = "# Begin anew\n\n```sh\necho anew\n```\n\n- What is there goes on.\n"
    assert sorted((one.line, one.found) for one in LINTER.check_markdown(source)) == [
        (1, "anew"),
        (7, "What ..."),
        (7, "What is there"),
        (7, "goes on"),
    ]


def test_names_and_messages_of_tasks_are_checked() -> None:
    source = "---\n- name: Install the agent anew\n  ansible.builtin.fail:\n    msg: 'What is wrong'\n"
    assert [one.line for one in LINTER.check_yaml(source)] == [2, 4]


def test_a_held_path_that_does_not_exist_is_a_mistake() -> None:
    with pytest.raises(SystemExit):
        LINTER.files(["plugins/no/such/file.py"])


def test_the_held_paths_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert LINTER.main([]) == 0, capsys.readouterr().out


def test_findings_are_printed_with_their_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("First line.\nMade anew.\n", encoding="utf-8")
    assert LINTER.main([str(page)]) == 1
    assert capsys.readouterr().out.startswith("%s:2: anew -> again" % page)
