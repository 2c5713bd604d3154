# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which test processes take the files: the longest first, so that no process ends with a long one alone.

``scripts/test-times.py`` prints what each file took in the last ``make test``.
"""

from __future__ import annotations

from typing import Tuple

_PLACE = "tests/integration/"
# Below tests/integration, the longest first. What is not named here follows, in the order of its path.
LONGEST: Tuple[str, ...] = (
    "agent/test_devices_ssh.py",
    "playbooks/test_versions.py",
    "playbooks/test_playbooks.py",
    "chaos/test_kills.py",
    "chaos/test_chaos_rollover.py",
    "chaos/test_several_hosts.py",
    "chaos/test_chaos.py",
    "chaos/test_state_machine.py",
    "agent/test_agent_install.py",
    "agent/test_devices_update.py",
    "agent/test_devices_secrets.py",
    "agent/test_devices_odd.py",
    "recovery/test_recovery_program.py",
    "recovery/test_copy.py",
    "recovery/test_copies_side_by_side.py",
    "recovery/test_program_on_servers.py",
    "playbooks/test_copy_playbook.py",
    "playbooks/test_check_mode.py",
    "playbooks/test_jobs_playbook.py",
    "playbooks/test_two_credentials.py",
    "playbooks/test_guest_playbook.py",
    "playbooks/test_debugging_secrets.py",
    "playbooks/test_progress.py",
    "playbooks/test_unknown_settings.py",
    "playbooks/test_pins.py",
    "playbooks/test_ansible_runner.py",
    "playbooks/test_molecule.py",
    "playbooks/test_exclusions_playbook.py",
    "playbooks/test_flat_storage.py",
    "playbooks/test_trust_playbook.py",
    "playbooks/test_validate.py",
    "playbooks/test_guide.py",
    "playbooks/test_restore_many.py",
    "agent/test_agent_runs.py",
    "agent/test_agent_run_users.py",
    "storage/test_storage_recipes.py",
    "storage/test_smb.py",
    "storage/test_taken_over_devices.py",
    "engine/test_storage_size.py",
    "engine/test_memory_limits.py",
    "disk/test_used_maps_fat.py",
    "disk/test_used_maps_ntfs.py",
    "disk/test_used_maps_xfs.py",
    "disk/test_used_maps_exfat.py",
    "disk/test_sleeping_and_foreign_disks.py",
)


def place_of(node_id: str) -> int:
    """Return a sort key; what is equal stays in its order."""
    path = node_id.split("::", maxsplit=1)[0]
    name = path[len(_PLACE) :] if path.startswith(_PLACE) else ""
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)
