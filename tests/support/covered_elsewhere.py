# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of plugins that no unit test mirrors, and the tests that try them: with real disks, servers and playbooks, or with
the file that they are a part of. A file that gets a test of its own leaves this list; ``test_map.py`` holds that.
"""

from __future__ import annotations

from typing import Dict, Tuple

ENGINE = "module_utils/engine/"
# By the test: which files it tries. A star stands for any name in one folder.
COVERED: Dict[str, Tuple[str, ...]] = {
    "integration/playbooks/test_playbooks.py": (
        "action/image*.py",
        "action/storage_check.py",
        "modules/*.py",
        "plugin_utils/_device/process.py",
        "plugin_utils/_device/operator_action.py",
        ENGINE + "verbs/dispatch.py",
        ENGINE + "verbs/image.py",
        ENGINE + "verbs/list_images.py",
        ENGINE + "verbs/rollover.py",
        ENGINE + "verbs/verify.py",
    ),
    "integration/playbooks/test_pins.py": (ENGINE + "verbs/pin.py",),
    "integration/playbooks/test_unknown_settings.py": (
        "module_utils/settings/*.py",
        "plugin_utils/_misspelt.py",
        "plugin_utils/_undefined.py",
    ),
    "integration/playbooks/test_two_credentials.py": ("filter/operator_storage.py",),
    "integration/playbooks/test_validate.py": ("lookup/inventory_findings.py",),
    "unit/plugin_utils/_inventory/test_check.py": ("plugin_utils/_inventory/*.py",),
    "integration/playbooks/test_flat_storage.py": ("filter/flat_storage.py",),
    "integration/playbooks/test_check_mode.py": ("action/device_info.py", "plugin_utils/_diffs.py"),
    "integration/playbooks/test_jobs_playbook.py": ("filter/rolled_jobs.py",),
    "integration/playbooks/test_progress.py": (
        "plugin_utils/_progress/lines.py",
        "plugin_utils/_units.py",
    ),
    "integration/agent/test_agent_install.py": ("action/agent*.py", ENGINE + "install/wheel_*.py"),
    "integration/agent/test_agent_runs.py": (
        ENGINE + "agent/command.py",
        ENGINE + "agent/main.py",
        ENGINE + "agent/runner.py",
        ENGINE + "agent/start_verb.py",
        ENGINE + "agent/run_verbs.py",
        ENGINE + "host/linux_detached.py",
        ENGINE + "host/linux_locks.py",
    ),
    "integration/agent/test_agent_run_mirror.py": (ENGINE + "agent/mirror.py",),
    "integration/agent/test_agent_run_secrets.py": (ENGINE + "agent/sealing.py",),
    "integration/agent/test_devices_ssh.py": (
        "plugin_utils/_device/engine_action.py",
        "plugin_utils/_device/run.py",
        "plugin_utils/_device/time_limit.py",
    ),
    "integration/disk/test_discovery.py": (
        ENGINE + "device/disks.py",
        ENGINE + "verbs/device_report.py",
        ENGINE + "device/information.py",
        ENGINE + "device/machine.py",
        ENGINE + "device/volumes.py",
        ENGINE + "host/linux_mount*.py",
        ENGINE + "host/linux_stack.py",
    ),
    "integration/disk/test_used_maps.py": (
        ENGINE + "disk/bitmaps.py",
        ENGINE + "disk/extents.py",
        ENGINE + "disk/filesystems/contract.py",
        ENGINE + "disk/filesystems/crc16.py",
        ENGINE + "disk/filesystems/ext*.py",
        ENGINE + "disk/used.py",
    ),
    "integration/disk/test_used_maps_exfat.py": (ENGINE + "disk/filesystems/exfat*.py",),
    "integration/disk/test_used_maps_fat.py": (ENGINE + "disk/filesystems/fat*.py",),
    "integration/disk/test_used_maps_ntfs.py": (ENGINE + "disk/filesystems/ntfs*.py",),
    "integration/disk/test_used_maps_xfs.py": (ENGINE + "disk/filesystems/xfs*.py",),
    "integration/disk/test_trust_table.py": (
        ENGINE + "disk/filesystems/swap.py",
        ENGINE + "disk/hibernation.py",
        ENGINE + "disk/swap_files.py",
        ENGINE + "disk/trust.py",
    ),
    "integration/disk/test_two_claims.py": (
        ENGINE + "disk/claim*.py",
        ENGINE + "disk/layout_claims.py",
        ENGINE + "disk/mark*.py",
        ENGINE + "disk/signatures.py",
    ),
    "integration/disk/test_sleeping_and_foreign_disks.py": (
        ENGINE + "disk/partition_types.py",
        ENGINE + "disk/sector_size.py",
    ),
    "integration/disk/test_dying_disks.py": (ENGINE + "disk/source.py",),
    "integration/disk/test_bad_clusters.py": (ENGINE + "disk/tolerant.py",),
    "integration/engine/test_cache_of_device.py": (ENGINE + "host/linux_page_cache.py",),
    "integration/engine/test_independent_reader.py": (
        ENGINE + "image/format/*.py",
        ENGINE + "image/writing/pipeline.py",
        ENGINE + "image/writing/sender.py",
    ),
    "integration/engine/test_look_budget.py": (ENGINE + "image/writing/look_budget.py",),
    "integration/engine/test_preflight.py": (ENGINE + "image/writing/preflight.py",),
    "integration/engine/test_replaced_disks.py": (ENGINE + "image/writing/previous.py",),
    "integration/engine/test_selection.py": (ENGINE + "image/writing/image_order.py", ENGINE + "restore/scope.py"),
    "integration/engine/test_restore.py": (
        ENGINE + "image/source.py",
        ENGINE + "restore/plan.py",
        ENGINE + "restore/restore.py",
        ENGINE + "restore/sentences.py",
        ENGINE + "restore/write.py",
        ENGINE + "verbs/restore.py",
    ),
    "integration/engine/test_restore_damaged.py": (ENGINE + "restore/salvage.py", ENGINE + "restore/hit_files.py"),
    "integration/engine/test_restore_used_targets.py": (ENGINE + "restore/clearing.py",),
    "integration/engine/test_jobs_in_one_storage.py": (
        ENGINE + "image/format/job_name.py",
        ENGINE + "verbs/contents.py",
    ),
    "integration/recovery/test_copy.py": (
        ENGINE + "guide/*.py",
        ENGINE + "image/copying/*.py",
        ENGINE + "verbs/copy.py",
    ),
    "integration/recovery/test_copies_side_by_side.py": (ENGINE + "image/copying/*.py",),
    "integration/recovery/test_recovery_program.py": (
        "action/recovery_program.py",
        ENGINE + "install/recovery_*.py",
        ENGINE + "recovery/*.py",
    ),
    "integration/storage/test_second_looks.py": (ENGINE + "storage/anew.py",),
    "integration/storage/test_storage_check.py": (ENGINE + "storage/check.py", ENGINE + "verbs/storage_check.py"),
    "integration/storage/test_storage_conformance.py": (
        ENGINE + "entries.py",
        ENGINE + "storage/contract.py",
        ENGINE + "storage/sftp/calls.py",
        ENGINE + "storage/sftp/reading.py",
        ENGINE + "storage/sftp/storage.py",
        ENGINE + "storage/sftp/transfer.py",
        ENGINE + "storage/smb/*.py",
    ),
    "integration/storage/test_host_certificates.py": (ENGINE + "storage/sftp/certificate.py",),
    "integration/storage/test_sftp_channels.py": (ENGINE + "storage/sftp/channels.py",),
    "integration/storage/test_sftp_causes.py": (ENGINE + "storage/sftp/errors.py", ENGINE + "storage/sftp/connect.py"),
    "integration/storage/test_sftp_hostile.py": (
        ENGINE + "storage/sftp/listing.py",
        ENGINE + "storage/sftp/packets.py",
        ENGINE + "storage/sftp/session.py",
        ENGINE + "storage/sftp/transport.py",
    ),
    "integration/storage/test_sftp_login.py": (
        ENGINE + "storage/sftp/hostkey.py",
        ENGINE + "storage/sftp/locked_key.py",
        ENGINE + "storage/sftp/login.py",
        ENGINE + "storage/sftp/start.py",
    ),
    "integration/storage/test_sftp_second_method.py": (ENGINE + "storage/sftp/user_keys.py",),
    "integration/storage/test_known_hosts.py": (ENGINE + "storage/sftp/known_hosts.py",),
    "integration/storage/test_smb_dfs.py": (ENGINE + "smb/dfs.py",),
    "integration/storage/test_smb_causes.py": (
        ENGINE + "smb/login.py",
        ENGINE + "smb/smb_one.py",
    ),
    "unit/callback/test_progress.py": ("plugin_utils/_progress/reporter.py", "plugin_utils/_progress/show.py"),
    "unit/filter/test_misspelt.py": (ENGINE + "nearest.py",),
    "unit/engine/verbs/test_request.py": (
        ENGINE + "verbs/request_parts.py",
        ENGINE + "snapshot/choices.py",
        ENGINE + "image/verify_levels.py",
    ),
    "unit/engine/agent/test_request_secrets.py": (
        "module_utils/_arguments.py",
        ENGINE + "install/owned_files.py",
        ENGINE + "verbs/secret_names.py",
    ),
    "unit/engine/agent/test_status.py": (ENGINE + "agent/redaction.py", ENGINE + "agent/shortening.py"),
    "unit/plugin_utils/_device/test_answers.py": (ENGINE + "agent/protocol.py",),
    "unit/engine/image/format/test_format_hostile_bytes.py": (ENGINE + "image/segments.py",),
    "unit/engine/image/test_access_passwords.py": (ENGINE + "image/slot_*.py",),
    "unit/engine/image/test_device_directory_crowded.py": (
        ENGINE + "image/newest.py",
        ENGINE + "image/pack_listing.py",
        ENGINE + "image/writing/history.py",
    ),
    "unit/engine/image/test_image_folder.py": (ENGINE + "image/device_paths.py",),
    "unit/engine/image/upkeep/test_packs_of_others.py": (ENGINE + "image/blob_proof.py",),
    "unit/engine/image/upkeep/test_missing.py": (ENGINE + "image/wording.py", ENGINE + "image/writing/coming.py"),
    "unit/engine/image/upkeep/test_rollover_false_images.py": (ENGINE + "image/writing/forecast.py",),
    "unit/engine/image/writing/test_lookup.py": (ENGINE + "image/writing/candidates.py",),
    "unit/engine/image/writing/test_interrupted.py": (
        ENGINE + "image/writing/commit.py",
        ENGINE + "image/writing/orphan_packs.py",
        ENGINE + "image/writing/pack_check.py",
    ),
    "unit/engine/image/writing/test_writer_limited_accounts.py": (ENGINE + "image/parallel_map.py",),
    "unit/engine/install/test_bundle.py": (ENGINE + "install/bundle_format.py",),
    "unit/engine/install/test_unpacking.py": (ENGINE + "install/bundle_document.py",),
    "unit/engine/install/test_installer.py": (ENGINE + "install/home.py",),
    "unit/engine/smb/test_link_hostile.py": (ENGINE + "smb/connection.py", ENGINE + "smb/transport.py"),
    "unit/engine/storage/smb/test_errors.py": (ENGINE + "smb/errors.py",),
    "unit/engine/snapshot/lvm/test_freeze.py": (
        ENGINE + "snapshot/contract.py",
        ENGINE + "snapshot/open.py",
        ENGINE + "snapshot/decisions.py",
        ENGINE + "snapshot/lvm/*.py",
    ),
    "unit/engine/storage/test_open.py": (
        ENGINE + "smb/unc.py",
        ENGINE + "storage/sftp/address.py",
    ),
    "unit/engine/storage/test_retry.py": (ENGINE + "storage/pause.py",),
    "unit/engine/storage/test_turns.py": (ENGINE + "storage/shared_connect.py",),
}

# What is so new that its tests are not there yet. What gets one leaves this list.
UNTESTED: Tuple[str, ...] = (
    ENGINE + "install/publishing.py",
    ENGINE + "verbs/devices.py",
)
