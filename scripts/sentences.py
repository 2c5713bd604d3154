# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the sentences that users read: plain words, a component as the subject, one word per concept.

Prints ``path:line: phrase -> better phrase`` for each finding. The rules apply to the paths in ``HELD`` alone; a room
joins the list when its sentences are rewritten. Docstrings and comments are checked in the paths in ``HELD_DOCSTRINGS``.
Other paths can be named on the command line, which shows what is left to rewrite there.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Pattern, Set, Tuple

ROOT = Path(__file__).resolve().parent.parent

HELD: Tuple[str, ...] = (
    "plugins/**/*.py",
    "roles/**/*.yml",
    "playbooks/*.yml",
    "roles/imaging/README.md",
    "CONTRIBUTING.md",
    "README.md",
    "changelogs/fragments/*.yml",
    "docs/agent.md",
    "docs/architecture.md",
    "docs/archive.md",
    "docs/concurrency.md",
    "docs/device-information.md",
    "docs/fuzzing.md",
    "docs/guide_first_image.md",
    "docs/guide_the_night.md",
    "docs/guide_windows_device.md",
    "docs/image-format.md",
    "docs/performance.md",
    "docs/progress.md",
    "docs/ten_minutes_with_windows.md",
    "docs/recovery.md",
    "docs/safety-rules.md",
    "docs/security.md",
    "extensions/molecule/README.md",
    "plugins/**/README.md",
    "roles/setting_names/README.md",
)
HELD_DOCSTRINGS: Tuple[str, ...] = ("plugins/**/*.py",)

# Regular expression of what is written (case ignored) -> what to write.
SUBSTITUTIONS: Dict[str, str] = {
    r"anew|afresh": "again; or: reinstall, resend, recreate",
    r"whoever|whomever|whosoever": "the administrator, the user that ...",
    r"whatever": "any ..., everything that ...",
    r"meanwhile": "in the meantime; or leave it out",
    r"nobody|no one|somebody|someone|anybody|anyone": "the component or user by its name",
    r"(?<!there )(?<!there's )(?:is|are|was|were) no(?! longer\b| more\b|t\b|-)": "is not a",
    r"under way": "in progress",
    r"at work": "in progress, running",
    r"(?:sent|uploaded)(?: already)? counts?": "the next run reuses what was uploaded",
    r"count(?:s|ed)? for the next run": "the next run reuses ...",
    r"(?:is|are|was|were|stays?|became) whole": "intact",
    r"in (?:the )?clear(?! text)": "unencrypted, in clear text",
    r"all the same": "anyway",
    r"as (?:it|they) should": "correctly",
    r"(?:goes|go|went|going|gone) on": "continue",
    r"(?:lies|lie|lay|lain) (?:in|on|at|beside|outside|inside|below|under|behind|there|among)": "is in, is stored in",
    r"br(?:ings?|ought) (?:its|their) own": "includes",
    r"br(?:ings?|ought) (?:it|them|these|those)? ?along": "also installs, includes",
    r"by (?:itself|themselves)": "automatically; or: on its own",
    r"let (?:it|them) end": "wait for it to end",
    r"some(?= (?:\d|%[sd.]|\{))": "about",
    r"mend(?:s|ed|ing)?": "repair",
    r"foretell?s?|foretold|forecasts?": "estimate",
    r"in earnest": "without check mode; or: really",
    r"left out|leaves? out|leaving out": "excluded, skipped",
    r"leftovers?|left behind|left-behind": "stale snapshots, stale task folders, orphan packs",
    r"of (?:ours|yours|theirs|hers)": "our, your, their; or name the component",
    r"of (?:its|their|his) own": "its own ..., a separate ...",
    r"(?:shows|gives|presents) the host key": "presented host key",
    r"no honest": "sent an invalid response",
    r"once more": "again",
    r"now and then": "occasionally",
    r"till": "until",
    r"thereof|therein|thereby|whereby|wherein|hereby|herein|therewith": "a plain clause",
    r"hinders?|hindered": "prevent",
    r"last word": "a result",
    r"(?:has|have|had) (?:nothing|none) of (?:it|them)": "is not part of, does not contain",
    r"what (?:is|was|were|are) there": "what exists; or name the objects",
    r"that there (?:is|are)$": "name the objects",
    r"is told|are told|be told|was told": "is reported",
    r"(?:is|are) gone": "is missing, was deleted",
    r"in whose|in somebody": "name the component",
    r"nothing that": "which is not a ...",
    r"comes? to nothing|for nothing": "has no effect",
    r"takes? (?:it|them) for": "treats it as",
    r"names? what": "lists the ...",
    r"to find out": "to detect, to check",
    r"trickl(?:es?|ing)": "stalled",
    r"as long as it may": "up to the limit",
}

# A sentence that begins like this has no component as its subject.
OPENINGS = re.compile(
    r"(?:^|(?<=[.!:;] ))(?:What|Who|Whose|Whom|Nobody|Nothing|Somebody|There is nobody|None)\b(?![^.]*\?)"
)

_RULES: List[Tuple[Pattern[str], str]] = [
    (re.compile(r"\b(?:%s)(?!\w)" % phrase, re.IGNORECASE), better) for phrase, better in SUBSTITUTIONS.items()
]
_CODE = re.compile(r"``[^`]*``|`[^`]*`|\b[A-Z]\([^)]*\)|https?://\S+|\{\{.*?\}\}|\[[^\]]*\]\(|:\w+:`[^`]*`")
_PYTHON_TEXT = re.compile(r"\w+ +\S*\w+ +\S*\w")  # three words at least: not a key, not a regular expression


class Finding(NamedTuple):
    line: int
    found: str
    better: str


def check_text(text: str, line: int = 1, *, is_prose: bool = True) -> Iterator[Finding]:
    """Yield what is wrong with a text that begins on ``line``. Code in it is skipped."""
    for number, words in enumerate(text.split("\n"), line):
        plain = _CODE.sub("x", words).strip()
        for rule, better in _RULES:
            for match in rule.finditer(plain):
                yield Finding(number, match.group().strip(), better)
        if is_prose:
            for match in OPENINGS.finditer(plain):
                yield Finding(number, match.group() + " ...", "begin with the component that acts")


def _docstrings(tree: ast.AST) -> Set[int]:
    """The ids of the nodes that are docstrings."""
    found: Set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                found.add(id(first.value))
    return found


def check_comments(source: str) -> Iterator[Finding]:
    """Check the comments of a program. One behind a statement need not be a sentence, so that any word may begin it."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            has_own_line = token.line.lstrip().startswith("#")
            yield from check_text(token.string.lstrip("#"), token.start[0], is_prose=has_own_line)


def check_python(source: str, *, with_docstrings: bool) -> Iterator[Finding]:
    """Check the strings of a program that are sentences, and its docstrings and comments where they are held."""
    if with_docstrings:
        yield from check_comments(source)
    tree = ast.parse(source)
    docstrings = _docstrings(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if id(node) in docstrings:
            if with_docstrings:
                yield from check_text(node.value, node.lineno)
        elif _PYTHON_TEXT.search(node.value):
            yield from check_text(node.value, node.lineno)


def check_markdown(source: str) -> Iterator[Finding]:
    """Check the prose of a document: headings, paragraphs and tables, not its code blocks."""
    is_code = False
    for number, words in enumerate(source.split("\n"), 1):
        if words.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield from check_text(words.lstrip("#-*| "), number, is_prose=not words.startswith("#"))


def check_yaml(source: str) -> Iterator[Finding]:
    """Check every line: names of tasks, messages, descriptions and comments."""
    for number, words in enumerate(source.split("\n"), 1):
        yield from check_text(re.sub(r"^\s*(?:-\s+)?(?:[\w.]+:\s+)?[\"'>|]*(?:#\s*)?", "", words), number)


def check_file(path: Path, *, with_docstrings: bool) -> List[Finding]:
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return sorted(check_python(source, with_docstrings=with_docstrings))
    if path.suffix in (".yml", ".yaml"):
        return sorted(check_yaml(source))
    return sorted(check_markdown(source))


def files(patterns: Iterable[str]) -> Set[Path]:
    """The files that the patterns name. A pattern that names none is a mistake."""
    found: Set[Path] = set()
    for pattern in patterns:
        named = [path for path in ROOT.glob(pattern) if path.suffix in (".py", ".md", ".yml", ".yaml")]
        if not named:
            raise SystemExit("scripts/sentences.py: %s does not name a file" % pattern)
        found.update(named)
    return found


def main(arguments: List[str]) -> int:
    if arguments:
        checked = docstrings = {Path(argument).resolve() for argument in arguments}
    else:
        checked, docstrings = files(HELD), files(HELD_DOCSTRINGS)
    count = 0
    for path in sorted(checked | docstrings):
        for finding in check_file(path, with_docstrings=path in docstrings):
            shown = path.relative_to(ROOT) if ROOT in path.parents else path
            print("%s:%d: %s -> %s" % (shown, finding.line, finding.found, finding.better))
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
