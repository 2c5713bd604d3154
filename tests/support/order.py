# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which test processes take the files: the longest first, so that no process ends with a long one alone.

``scripts/test-times.py`` prints what each file took in the last ``make test``.
"""

from __future__ import annotations

from typing import Tuple

_PLACE = "tests/"
# Below tests, the longest first. What is not named here follows, in the order of its path.
LONGEST: Tuple[str, ...] = (
    "integration/agent/test_devices_ssh.py",
    "integration/engine/test_guest.py",
    "integration/playbooks/test_versions.py",
    "integration/playbooks/test_playbooks.py",
    "integration/chaos/test_kills.py",
    "integration/chaos/test_chaos_rollover.py",
    "integration/chaos/test_several_hosts.py",
    "integration/chaos/test_chaos.py",
    "integration/chaos/test_state_machine.py",
    "integration/agent/test_agent_install.py",
    "integration/agent/test_devices_update.py",
    "integration/agent/test_devices_secrets.py",
    "integration/agent/test_devices_odd.py",
    "integration/recovery/test_recovery_program.py",
    "integration/recovery/test_copy.py",
    "integration/recovery/test_copies_side_by_side.py",
    "integration/recovery/test_program_on_servers.py",
    "integration/playbooks/test_copy_playbook.py",
    "integration/playbooks/test_check_mode.py",
    "integration/playbooks/test_jobs_playbook.py",
    "integration/playbooks/test_two_credentials.py",
    "integration/playbooks/test_guest_playbook.py",
    "integration/playbooks/test_debugging_secrets.py",
    "integration/playbooks/test_progress.py",
    "integration/playbooks/test_unknown_settings.py",
    "integration/playbooks/test_pins.py",
    "integration/playbooks/test_ansible_runner.py",
    "integration/playbooks/test_molecule.py",
    "integration/playbooks/test_exclusions_playbook.py",
    "integration/playbooks/test_flat_storage.py",
    "integration/playbooks/test_trust_playbook.py",
    "integration/playbooks/test_validate.py",
    "integration/playbooks/test_guide.py",
    "integration/playbooks/test_restore_many.py",
    "integration/agent/test_agent_runs.py",
    "integration/agent/test_agent_run_users.py",
    "integration/storage/test_storage_recipes.py",
    "integration/storage/test_smb.py",
    "integration/storage/test_taken_over_devices.py",
    "integration/engine/test_storage_size.py",
    "integration/engine/test_memory_limits.py",
    "integration/disk/test_used_maps_fat.py",
    "integration/disk/test_used_maps_ntfs.py",
    "integration/disk/test_used_maps_xfs.py",
    "integration/disk/test_used_maps_exfat.py",
    "integration/disk/test_sleeping_and_foreign_disks.py",
    "unit/engine/install/test_installer_kills.py",
    "unit/engine/image/test_records_beside_rollovers.py",
    "unit/engine/snapshot/lvm/test_freeze.py",
    "unit/engine/image/writing/test_interrupted.py",
    "unit/engine/image/writing/test_lookup.py",
    "unit/engine/disk/test_unclaimed.py",
    "unit/engine/image/test_reader_hostile_images.py",
    "unit/test_fuzz_corpus.py",
)


def place_of(node_id: str) -> int:
    """Return a sort key; what is equal stays in its order."""
    path = node_id.split("::", maxsplit=1)[0]
    name = path[len(_PLACE) :] if path.startswith(_PLACE) else ""
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)
