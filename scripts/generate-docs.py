# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what is made from the source: docs/errors.md from the catalogue, and from the table of settings the files of the role and
the documentation of the modules' options. With --check it only says whether they are true."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Dict

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "plugins" / "module_utils"))

import field_test_page  # noqa: E402  # the path is known only now
import settings_pages  # noqa: E402
import settings_reference  # noqa: E402
import settings_schema  # noqa: E402
from engine.errors import catalogue  # noqa: E402

TOPICS = {
    "X": "The engine itself",
    "D": "Disks",
    "N": "Volumes and snapshots",
    "S": "Storage",
    "K": "Passwords and keys",
    "I": "Images",
    "R": "Restore and the recovery program",
    "C": "Copies",
    "J": "Jobs and runs",
    "A": "Agent and archive",
}


def errors_page() -> str:
    lines = [
        "# Errors",
        "",
        "Every failure has a code. The message names the object; the hint says what to do. Codes are never reused.",
        "This page is made from `plugins/module_utils/engine/errors.py` by `make docs`.",
    ]
    topic = ""
    for error in catalogue():
        if error.code[0] != topic:
            topic = error.code[0]
            lines += ["", "## %s: %s" % (topic, TOPICS[topic]), "", "| code | message | what to do |", "|---|---|---|"]
        row = (error.code, error.message.replace(":size}", "}"), error.hint.replace("{{", "{").replace("}}", "}"))
        lines.append("| %s | %s | %s |" % tuple(cell.replace("|", "\\|").replace("\n", " ") for cell in row))
    return "\n".join(lines) + "\n"


def between(path: Path, mark: str, made: str) -> str:
    """Return the file with what stands between its two lines that contain ``mark`` replaced."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    first, last = (number for number, line in enumerate(lines) if mark in line)
    return "".join(lines[: first + 1]) + made + "".join(lines[last:])


def pages() -> Dict[Path, str]:
    role = ROOT / "roles" / "imaging"
    mark = "made by make docs"
    return {
        ROOT / "docs" / "errors.md": errors_page(),
        role / "meta" / "argument_specs.yml": settings_pages.argument_specs(),
        role / "defaults" / "main.yml": settings_pages.defaults(),
        role / "vars" / "main.yml": between(role / "vars" / "main.yml", mark, settings_pages.variables()),
        role / "README.md": between(role / "README.md", mark, settings_pages.readme_table()),
        ROOT / "plugins" / "doc_fragments" / "options.py": settings_pages.doc_fragments(),
        ROOT / "docs" / "schemas" / "settings.json": settings_schema.schema(),
        ROOT / "docs" / "variables.md": settings_reference.reference(),
        field_test_page.PAGE: between(field_test_page.PAGE, mark, field_test_page.tables()),
        ROOT / "docs" / "schemas" / "field-test.json": field_test_page.schema(),
    }


def main() -> int:
    made = pages()
    stale = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print("%s does not match the source: run make docs" % path.relative_to(ROOT))
        return 1 if stale else 0
    for path in stale:
        path.write_text(made[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
