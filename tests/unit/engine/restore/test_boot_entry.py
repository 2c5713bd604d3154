# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firmware's boot entry: created once, only by a rescue system on UEFI. A stand-in for efibootmgr keeps entries in a file."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest
from engine.restore import boot_entry as module
from engine.restore.boot_entry import Machine, boot_entry, this_machine
from engine.restore.rescue_system import System

GUID = "6e1b5a1c-3c1f-4b0e-9d0a-0f3c2b1a4d5e"
STAND_IN = r"""#!/bin/sh
echo "$@" >> "$0.calls"
case " $* " in
*" -c "*)
  echo "Boot0007* Restored	HD(1,GPT,{guid},0x800,0x14000)/File(\EFI\debian\shimx64.efi)" >> "$0.entries" ;;
*)
  echo "BootCurrent: 0001"
  cat "$0.entries" 2>/dev/null || true ;;
esac
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "efibootmgr"
    path.write_text(STAND_IN.replace("{guid}", GUID), encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % tmp_path)
    return path


def calls(program: Path) -> List[str]:
    path = Path(str(program) + ".calls")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def make(check: bool = False, is_uefi: bool = True, is_rescue: bool = True, disk: str = "/dev/sdb") -> str:
    machine = Machine(is_uefi, System(is_rescue, "a reason"), module._run)
    return boot_entry(machine, disk, 1, GUID.upper(), "EFI/debian/shimx64.efi", "Restored", check).state


def test_a_second_restore_makes_no_second_entry(program: Path) -> None:
    assert make() == module.CREATED
    assert make() == module.EXISTS
    created = [line for line in calls(program) if "-c" in line.split()]
    assert created == ["-q -c -d /dev/sdb -p 1 -L Restored -l \\EFI\\debian\\shimx64.efi"]


def test_check_mode_creates_nothing(program: Path) -> None:
    assert make(check=True) == module.TO_CREATE
    assert calls(program) == ["-v"]


@pytest.mark.parametrize(
    ("is_uefi", "is_rescue", "state"), [(False, True, module.NOT_NEEDED), (True, False, module.SKIPPED)]
)
def test_no_other_machine_gets_an_entry(is_uefi: bool, is_rescue: bool, state: str, program: Path) -> None:
    """A BIOS has none, and a machine that runs an installed system must not start a cloned disk next time."""
    assert make(is_uefi=is_uefi, is_rescue=is_rescue) == state
    assert calls(program) == []


@pytest.mark.parametrize("trouble", ["missing", "fails"])
def test_a_failure_is_reported_and_ends_no_restore(trouble: str, program: Path) -> None:
    if trouble == "missing":
        program.unlink()
    else:
        program.write_text("#!/bin/sh\necho 'EFI variables are not supported on this system.' >&2\nexit 2\n", "utf-8")
    machine = Machine(True, System(True, ""), module._run)
    entry = boot_entry(machine, "/dev/sdb", 1, GUID, "EFI/BOOT/BOOTX64.EFI", "Restored", False)
    assert entry.state == module.FAILED
    assert entry.reason


def test_this_machine_is_looked_at_without_a_program() -> None:
    machine = this_machine()
    assert machine.is_uefi == Path("/sys/firmware/efi/efivars").is_dir()
