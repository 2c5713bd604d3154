# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of the agent on Windows is refused wherever another user could plant a library for SYSTEM."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Tuple

import pytest
from engine.errors import AgentFolderUnsafe
from engine.host import windows_security
from engine.install import windows_base

# The lists of C:\ and of C:\Program Files of a Windows 10.
ROOT = (
    "O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464D:PAI(A;;LC;;;AU)(A;OICIIO;SDGXGWGR;"
    ";;AU)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)"
)
PROGRAMS = (
    "O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464D:PAI(A;;FA;;;S-1-5-80-956008885-341"
    "8522649-1831038044-1853292631-2271478464)(A;;0x1301bf;;;SY)(A;;0x1301bf;;;BA)(A;;0x1200a9;;;BU)(A;;0"
    "x1200a9;;;AC)"
)
OURS = "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"


class Lists:
    """Stands in for Windows: the descriptors of the directories, and which ones were made."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.known: Dict[str, str] = {str(base.parent): PROGRAMS, str(base.parent.parent): ROOT}
        self.made: List[Tuple[str, str]] = []

    def make(self, path: str, descriptor: str) -> None:
        Path(path).mkdir()
        self.known[path] = descriptor.replace("G:SY", "")
        self.made.append((path, descriptor))

    def of(self, path: str) -> str:
        return self.known.get(path, ROOT)


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lists:
    base = tmp_path / "C" / "Program Files" / "plantops-imaging"
    base.parent.mkdir(parents=True)
    found = Lists(base)
    monkeypatch.setattr(windows_security, "make_directory", found.make)
    monkeypatch.setattr(windows_security, "descriptor_of", found.of)
    return found


def test_a_new_base_gets_its_list_when_it_is_made(lists: Lists) -> None:
    windows_base.make_base(str(lists.base))
    assert lists.made == [(str(lists.base), "O:BAG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)")]
    windows_base.make_base(str(lists.base))
    assert len(lists.made) == 1


@pytest.mark.parametrize(
    "text",
    [
        OURS,
        "O:SYD:PAI(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)",
        "O:S-1-5-32-544D:P(A;OICI;0x1f01ff;;;S-1-5-18)(A;OICI;FA;;;S-1-5-32-544)",
        "O:BAD:P(D;;FA;;;BU)(A;OICI;FA;;;SY)",
    ],
)
def test_a_base_of_the_administrators_is_accepted(lists: Lists, text: str) -> None:
    lists.base.mkdir()
    lists.known[str(lists.base)] = text
    windows_base.make_base(str(lists.base))


@pytest.mark.parametrize(
    "text",
    [
        OURS.replace("O:BA", "O:S-1-5-21-1-2-3-1001"),
        OURS.replace("O:BA", "O:BU"),
        OURS.replace("O:BA", ""),
        OURS.replace("D:P", "D:AI"),
        OURS + "(A;OICI;FA;;;BU)",
        OURS + "(A;OICIIO;FA;;;CO)",
        OURS + "(A;;0x1200a9;;;WD)",
        OURS + '(XA;;FX;;;WD;(@User.Title=="PM"))',
        OURS + "(A;OICI;FW;;;S-1-5-21-1-2-3-1001)",
        "O:BAD:NO_ACCESS_CONTROL",
        "O:BA",
        "",
    ],
)
def test_a_base_that_others_may_use_is_refused(lists: Lists, text: str) -> None:
    lists.base.mkdir()
    lists.known[str(lists.base)] = text
    with pytest.raises(AgentFolderUnsafe) as refused:
        windows_base.make_base(str(lists.base))
    assert str(lists.base) in str(refused.value)


def test_a_link_in_its_place_and_a_file_are_refused(lists: Lists, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    lists.known[str(lists.base)] = OURS
    lists.base.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AgentFolderUnsafe):
        windows_base.make_base(str(lists.base))
    lists.base.unlink()
    lists.base.write_bytes(b"")
    with pytest.raises(AgentFolderUnsafe):
        windows_base.make_base(str(lists.base))


@pytest.mark.parametrize(
    "entry",
    [
        "(A;;FA;;;BU)",
        "(A;;DT;;;AU)",
        "(A;;0x40;;;WD)",
        "(A;;SD;;;BU)",
        "(A;;WD;;;BU)",
        "(A;;WO;;;AU)",
        "(A;;GA;;;IU)",
        "(A;;??;;;IU)",
    ],
)
def test_a_directory_above_whose_entries_others_may_replace_is_refused(lists: Lists, entry: str) -> None:
    lists.known[str(lists.base.parent)] = PROGRAMS + entry
    with pytest.raises(AgentFolderUnsafe) as refused:
        windows_base.make_base(str(lists.base))
    assert str(lists.base.parent) in str(refused.value)
    assert not lists.base.exists()
