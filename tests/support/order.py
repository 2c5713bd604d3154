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
    "integration/playbooks/test_playbooks.py",
    "integration/playbooks/test_molecule.py",
    "integration/playbooks/test_progress.py",
    "integration/chaos/test_kills.py",
    "integration/chaos/test_chaos.py",
    "integration/playbooks/test_versions.py",
    "integration/chaos/test_several_hosts.py",
    "integration/chaos/test_chaos_rollover.py",
    "integration/playbooks/test_hooks_playbook.py",
    "integration/disk/test_used_maps_ntfs.py",
    "integration/chaos/test_state_machine.py",
    "integration/playbooks/test_check_mode.py",
    "integration/engine/test_replaced_disks.py",
    "integration/agent/test_agent_runs.py",
    "integration/disk/test_used_maps_xfs.py",
    "integration/agent/test_devices_update.py",
    "integration/engine/test_storage_size.py",
    "integration/engine/test_round_trip.py",
    "integration/engine/test_restore_killed.py",
    "integration/windows/test_service.py",
    "integration/windows/test_shadow_copies.py",
    "integration/windows/test_field_test.py",
    "integration/windows/test_shown_disks.py",
    "integration/playbooks/test_run_results.py",
    "integration/windows/test_admin_share.py",
    "integration/storage/test_sftp.py",
    "integration/disk/test_used_maps_exfat.py",
    "integration/playbooks/test_guide.py",
    "integration/storage/test_storage_spoilt_answers.py",
    "integration/windows/test_image_of_a_file.py",
    "integration/engine/test_resize_larger.py",
    "integration/disk/test_used_maps.py",
    "integration/agent/test_devices_odd.py",
    "integration/disk/test_used_maps_fat.py",
    "integration/recovery/test_recovery_program.py",
    "integration/windows/test_own_tests.py",
    "integration/storage/test_storage_conformance.py",
    "integration/playbooks/test_archive_playbook.py",
    "integration/playbooks/test_debugging_secrets.py",
    "integration/storage/test_storage_recipes.py",
    "integration/storage/test_smb.py",
    "integration/playbooks/test_check_mode_playbooks.py",
    "integration/engine/test_resize_killed.py",
    "integration/storage/test_taken_over_devices.py",
    "integration/agent/test_after_command.py",
    "integration/playbooks/test_copy_playbook.py",
    "integration/engine/test_missing_disks.py",
    "integration/agent/test_agent_install.py",
    "integration/storage/test_sftp_hostile.py",
    "integration/playbooks/test_two_credentials.py",
    "integration/playbooks/test_retire_playbook.py",
    "integration/playbooks/test_rename_playbook.py",
    "integration/windows/test_drives.py",
    "integration/engine/test_resize_smaller.py",
    "unit/engine/install/test_installer_kills.py",
    "integration/windows/test_host.py",
    "integration/storage/test_sftp_causes.py",
    "integration/windows/test_servers.py",
    "integration/engine/test_restore_identity.py",
    "integration/windows/test_bundle_by_hand.py",
    "integration/playbooks/test_jobs_playbook.py",
    "integration/playbooks/test_resize_playbook.py",
    "integration/playbooks/test_restore_many.py",
    "integration/windows/test_raw_device.py",
    "integration/playbooks/test_exclusions_playbook.py",
    "integration/playbooks/test_trust_playbook.py",
    "integration/disk/test_odd_disks.py",
    "integration/storage/test_hostile_storage_memory.py",
    "integration/engine/test_restore_damaged.py",
    "unit/engine/snapshot/lvm/test_freeze.py",
    "integration/agent/test_devices_secrets.py",
    "integration/recovery/test_copy.py",
    "integration/storage/test_known_hosts.py",
    "integration/disk/test_sleeping_and_foreign_disks.py",
    "integration/playbooks/test_unknown_settings.py",
    "unit/engine/image/test_records_beside_rollovers.py",
    "integration/playbooks/test_ansible_runner.py",
    "integration/engine/test_restore_used_targets.py",
    "integration/windows/test_restore.py",
    "unit/engine/restore/test_boot_look.py",
    "unit/engine/image/writing/test_lookup.py",
    "integration/storage/test_directory_faults.py",
    "integration/windows/test_pipes.py",
    "integration/engine/test_selection.py",
    "integration/agent/test_agent_run_secrets.py",
    "unit/engine/smb/test_link_patience.py",
    "integration/engine/test_restore_interrupted.py",
    "unit/test_fuzz_corpus.py",
)


def place_of(node_id: str) -> int:
    """Return a sort key; what is equal stays in its order."""
    path = node_id.split("::", maxsplit=1)[0]
    name = path[len(_PLACE) :] if path.startswith(_PLACE) else ""
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)
