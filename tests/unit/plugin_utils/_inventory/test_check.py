# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Broken inventories, each one change away from a good one: code, host, key, file and line of what is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest
import yaml
from ansible_collections.plantops.imaging.plugins.module_utils.engine import errors
from ansible_collections.plantops.imaging.plugins.plugin_utils._inventory import finding
from support.inventories import (
    ALL,
    GOOD,
    HOST,
    HOSTS,
    LINE,
    SEALED,
    SECRET,
    STORAGE,
    Broken,
    assert_told,
    checked,
    of_host,
    written,
)
from support.paths import ROOT

BROKEN = [
    of_host(errors.SettingUnknown, "imaging_pasword", "imaging_pasword: '{{ vault_password }}'"),
    of_host(errors.SettingUnknown, "imagin_keep", "imagin_keep: 7"),
    of_host(errors.SettingUnknown, "IMAGING_KEEP", "IMAGING_KEEP: 7"),
    Broken(errors.SettingUnknown, "imaging_kep", LINE, "imaging_kep: 7"),
    Broken(errors.SettingUnknown, "imaging_keeps", HOSTS, "press-11: {imaging_keeps: 7}", "press-11: {}"),
    Broken(errors.SettingKeyUnknown, "imaging_storage.user", ALL, "  user: imaging", "  username: imaging"),
    Broken(errors.SettingKeyUnknown, "imaging_jobs[1].kep", ALL, "    kep: 12", "    keep: 12"),
    Broken(
        errors.SettingKeyUnknown,
        "imaging_jobs[0].schedule.when",
        ALL,
        '{at: "22:00", when: x, every: day}',
        '{at: "22:00", every: day}',
    ),
    of_host(
        errors.SettingKeyUnknown, "imaging_storage_operator.pasword", "imaging_storage_operator: {pasword: '{{ x }}'}"
    ),
    of_host(errors.SettingTypeWrong, "imaging_keep", "imaging_keep: seven"),
    of_host(errors.SettingTypeWrong, "imaging_keep", "imaging_keep: 7.5"),
    of_host(errors.SettingTypeWrong, "imaging_keep", "imaging_keep: [7]"),
    of_host(errors.SettingTypeWrong, "imaging_keep", "imaging_keep: true"),
    of_host(errors.SettingTypeWrong, "imaging_jobs", "imaging_jobs: daily"),
    of_host(errors.SettingTypeWrong, "imaging_jobs[0]", "imaging_jobs: [daily]"),
    of_host(errors.SettingTypeWrong, "imaging_storage", "imaging_storage: sftp://192.0.2.2/images"),
    of_host(errors.SettingTypeWrong, "imaging_exclude", "imaging_exclude: {a: b}"),
    of_host(errors.SettingTypeWrong, "imaging_exclude[0]", "imaging_exclude: [{a: b}]"),
    of_host(errors.SettingTypeWrong, "imaging_adopt", "imaging_adopt: maybe"),
    of_host(errors.SettingTypeWrong, "imaging_password", "imaging_password: 0123"),
    of_host(errors.SettingTypeWrong, "imaging_device_name", "imaging_device_name: [a]"),
    of_host(errors.SettingTypeWrong, "imaging_drives[0]", "imaging_drives: [1]"),
    of_host(errors.SettingMissing, "imaging_drives", "imaging_drives: []"),
    of_host(errors.SettingTypeWrong, "imaging_restore_map", "imaging_restore_map: /dev/sdb"),
    Broken(errors.SettingTypeWrong, "imaging_jobs[0].schedule.at", ALL, "{at: 22:00,", '{at: "22:00",'),
    Broken(errors.SettingTypeWrong, "imaging_jobs[0].schedule.at", ALL, '{at: "24:00",', '{at: "22:00",'),
    Broken(errors.SettingValueUnknown, "imaging_jobs[0].schedule.every", ALL, "every: year", "every: day"),
    Broken(errors.SettingMissing, "imaging_jobs[0].schedule.every", ALL, '{at: "22:00"}', '{at: "22:00", every: day}'),
    Broken(errors.SettingMissing, "imaging_jobs[0].name", ALL, "  - keep: 3", "  - name: daily"),
    of_host(errors.SettingUnitWrong, "imaging_limit_io_rate", "imaging_limit_io_rate: 20 MB/s"),
    of_host(errors.SettingUnitWrong, "imaging_limit_read_rate", "imaging_limit_read_rate: 20MB/s"),
    of_host(errors.SettingUnitWrong, "imaging_reconnect_seconds", "imaging_reconnect_seconds: 10 min"),
    of_host(errors.SettingValueUnknown, "imaging_limit_read_rate", "imaging_limit_read_rate: automatic"),
    of_host(errors.SettingOutOfBounds, "imaging_keep", "imaging_keep: 0"),
    of_host(errors.SettingOutOfBounds, "imaging_limit_io_rate", "imaging_limit_io_rate: -1"),
    of_host(errors.SettingOutOfBounds, "imaging_limit_read_rate", "imaging_limit_read_rate: -1"),
    of_host(errors.SettingOutOfBounds, "imaging_compression_level", "imaging_compression_level: 22"),
    of_host(errors.SettingOutOfBounds, "imaging_storage.port", STORAGE % ("\\\\server\\share", ", port: 70000")),
    of_host(errors.SettingValueUnknown, "imaging_snapshot", "imaging_snapshot: require"),
    of_host(errors.SettingValueUnknown, "imaging_compare", "imaging_compare: last"),
    of_host(errors.SettingValueUnknown, "imaging_verify_level", "imaging_verify_level: fast"),
    of_host(errors.SettingDriveUnknown, "imaging_drives", "imaging_drives: sytem"),
    of_host(errors.SettingOfLater, "imaging_max_age", "imaging_max_age: 26h"),
    Broken(errors.SettingOfLater, "imaging_jobs[0].max_age", ALL, "- name: daily\n    max_age: 26h", "- name: daily"),
    of_host(errors.PatternInvalid, "imaging_exclude[0]", "imaging_exclude: ['/a/../b']"),
    of_host(errors.SettingsConflict, "imaging_cancel", "imaging_cancel: true"),
    of_host(
        errors.SettingsConflict,
        "imaging_copy_directory",
        "imaging_copy_directory: /usb\nimaging_copy_storage: {url: /other}",
    ),
    of_host(
        errors.SettingsConflict,
        "imaging_password_previous",
        "imaging_password: ''\nimaging_password_previous: '{{ x }}'",
    ),
    of_host(
        errors.SettingsConflict,
        "imaging_storage.private_key_file",
        STORAGE % ("sftp://server/x", ", private_key_file: /k, private_key: '{{ k }}'"),
    ),
    of_host(errors.SettingsConflict, "imaging_storage.host_key", STORAGE % ("/images", ", host_key: 'SHA256:x'")),
    of_host(errors.SettingsConflict, "imaging_storage.port", STORAGE % ("sftp://server/x", ", port: 22")),
    of_host(errors.SettingUrlRefused, "imaging_storage.url", STORAGE % ("http://server/images", "")),
    of_host(errors.SettingUrlRefused, "imaging_storage.url", STORAGE % ("images", "")),
    of_host(errors.SettingUrlRefused, "imaging_storage.url", STORAGE % ("//server/share", "")),
    of_host(errors.SettingUrlRefused, "imaging_storage.url", STORAGE % ("sftp://a:b@server/images", "")),
    of_host(errors.SettingMissing, "imaging_storage.url", "imaging_storage: {username: imaging}"),
    of_host(errors.DeviceNamesCollide, "imaging_device_name", "imaging_device_name: PRESS-12"),
    of_host(
        errors.DeviceNamesCollide,
        "imaging_device_name",
        "imaging_device_alias: ''\nimaging_device_name: line1_press-12",
    ),
    of_host(errors.DeviceNameRefused, "imaging_device_name", "imaging_device_alias: ''\nimaging_device_name: nul"),
    of_host(errors.DeviceNameRefused, "imaging_device_name", "imaging_device_alias: ''\nimaging_device_name: com1.old"),
    of_host(errors.DeviceNameRefused, "imaging_device_name", "imaging_device_name: 'press:11'"),
    of_host(errors.DeviceNameRefused, "imaging_device_name", "imaging_device_name: 'press-11.'"),
    of_host(errors.DeviceNameRefused, "imaging_device_name", "imaging_device_name: 'a/b'"),
    of_host(errors.DeviceNameRefused, "imaging_device_alias", "imaging_device_alias: 'line?'"),
    of_host(
        errors.LocalhostWithoutAlias, "imaging_device_alias", "imaging_device_alias: ''\nimaging_device_name: localhost"
    ),
    of_host(errors.SecretInClear, "imaging_password", "imaging_password: %s" % SECRET),
    of_host(errors.SecretInClear, "imaging_password", "imaging_password: '{{ other }}'\nother: %s" % SECRET),
    of_host(
        errors.SecretInClear, "imaging_password", "imaging_password: '{{ a.b }}'\na: {b: '{{ c }}'}\nc: %s" % SECRET
    ),
    of_host(errors.SecretInClear, "imaging_password", "imaging_password: \"{{ x | default('%s') }}\"" % SECRET),
    of_host(errors.SecretInClear, "imaging_password", "imaging_password: \"{{ '%s' }}\"" % SECRET),
    of_host(errors.SecretInClear, "imaging_storage.password", STORAGE % ("sftp://server/x", ", password: " + SECRET)),
    of_host(errors.SecretInClear, "imaging_storage_password", "imaging_storage_password: " + SECRET),
    of_host(errors.SecretInClear, "ansible_password", "ansible_password: " + SECRET),
    of_host(
        errors.SecretInClear,
        "imaging_jobs[0].storage.password",
        "imaging_jobs: [{name: a, storage: {url: 'sftp://server/x', password: %s}}]" % SECRET,
    ),
    of_host(errors.JobUndefined, "imaging_job", "imaging_job: weekly"),
    of_host(errors.ForgottenJobDefined, "imaging_forget_jobs[0]", "imaging_forget_jobs: [daily]"),
    of_host(errors.JobNamesTwice, "imaging_jobs[1].name", "imaging_jobs: [{name: a}, {name: a}]"),
    of_host(errors.JobNameInvalid, "imaging_jobs[0].name", 'imaging_jobs: [{name: "a\\nb"}]'),
    of_host(
        errors.SettingTypeWrong, "imaging_hooks.device.after", "imaging_hooks: {device: {after: systemctl start x}}"
    ),
    of_host(errors.SettingMissing, "imaging_hooks.device.after", "imaging_hooks: {device: {after: []}}"),
    of_host(errors.SettingTypeWrong, "imaging_jobs[0]", "imaging_jobs: [null]"),
    of_host(errors.CompareIgnoreInvalid, "imaging_compare_ignore[1]", "imaging_compare_ignore: [users/*, sofware/*]"),
    of_host(errors.CompareIgnoreInvalid, "imaging_compare_ignore[0]", "imaging_compare_ignore: [users]"),
    of_host(errors.SettingTypeWrong, "imaging_results_directory", "imaging_results_directory: results"),
    of_host(errors.SettingTypeWrong, "imaging_history_repository", "imaging_history_repository: https://git/plant"),
    of_host(errors.SettingTypeWrong, "imaging_agent_directory", "imaging_agent_directory: opt/agent"),
    of_host(errors.SettingUrlRefused, "imaging_storage.url", STORAGE % ("sftp://server:99999/images", "")),
    of_host(errors.SettingUrlRefused, "imaging_storage.url", STORAGE % ("sftp:///images", "")),
    of_host(errors.SettingUrlRefused, "imaging_storage.url", STORAGE % ("\\\\server", "")),
    of_host(errors.SettingUrlRefused, "imaging_storage.url", STORAGE % ("\\\\server\\aux", "")),
    of_host(errors.DeviceNameRefused, "imaging_device_name", "imaging_device_name: ''"),
    of_host(errors.SecretInClear, "imaging_password", "imaging_password: \"{{ ['%s', 'x'] | join('-') }}\"" % SECRET),
    of_host(errors.SecretInClear, "imaging_password", "imaging_password: \"{%% set x = '%s' %%}{{ x }}\"" % SECRET),
    of_host(errors.SecretInClear, "imaging_password", "imaging_password: \"{{ {'a': '%s'}['a'] }}\"" % SECRET),
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: "%s %s" % (broken.error.code, broken.new[:40]))
def test_a_broken_inventory_is_told_with_code_host_key_and_file(broken: Broken, tmp_path: Path) -> None:
    assert_told(broken, tmp_path)


def test_fifty_of_them() -> None:
    assert len(BROKEN) >= 50


def test_the_good_one_and_the_example_have_no_fault(tmp_path: Path) -> None:
    assert checked(written(tmp_path)) == []
    assert checked(ROOT / "inventories" / "example") == []


def test_localhost_needs_an_alias(tmp_path: Path) -> None:
    files = {HOSTS: "---\nline2:\n  hosts:\n    localhost: {}\n"}
    (one,) = checked(written(tmp_path, **files))
    assert (one.code, one.host, one.file, one.line) == (
        errors.LocalhostWithoutAlias.code,
        "localhost",
        str(tmp_path / HOSTS),
        4,
    )


def test_a_fault_of_a_group_is_told_for_each_of_its_hosts(tmp_path: Path) -> None:
    found = checked(written(tmp_path, **{LINE: GOOD[LINE] + "imaging_keep: 0\n", HOST: "imaging_keep: 2\n"}))
    assert [(one.host, one.line) for one in found] == [("press-12", 3)]


def test_a_value_that_no_host_uses_is_checked(tmp_path: Path) -> None:
    found = checked(written(tmp_path, **{"group_vars/nobody.yml": "imaging_keep: 0\n"}))
    assert [(one.host, one.code) for one in found] == [("", errors.SettingOutOfBounds.code)]


@pytest.mark.parametrize(("awx", "operator", "count"), [(True, "", 2), (True, "backup", 0), (False, "", 0)])
def test_a_directory_under_awx_needs_an_operator(awx: bool, operator: str, count: int, tmp_path: Path) -> None:
    text = GOOD[ALL].replace("sftp://192.0.2.2/images", "/images")
    if operator:
        text += "imaging_operator: %s\n" % operator
    hosts = GOOD[HOSTS] + ("servers:\n  hosts:\n    %s: {}\n" % operator if operator else "")
    found = checked(written(tmp_path, **{ALL: text, HOSTS: hosts}), awx=awx)
    assert [one.code for one in found] == [errors.DirectoryStorageUnderAwx.code] * count


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("imaging_operator: press-13", "press-12"),
        ("imaging_operator: line1", ""),
        ("imaging_operator: 192.0.2.9", ""),
        ("imaging_operator: '{{ named }}'\nnamed: backup", ""),
    ],
)
def test_an_operator_outside_the_inventory_is_a_warning(line: str, meant: str, tmp_path: Path) -> None:
    (one,) = checked(written(tmp_path, **{HOST: GOOD[HOST] + line + "\n"}))
    assert (one.code, one.level, one.host) == (errors.OperatorUnknown.code, finding.WARNING, "press-11")
    assert [name for name in ("press-11", "press-12") if name in one.message] == ([meant] if meant else [])


def test_an_operator_may_be_named_by_the_address_of_a_host(tmp_path: Path) -> None:
    hosts = GOOD[HOSTS] + "servers:\n  hosts:\n    backup: {ansible_host: 192.0.2.9}\n"
    assert checked(written(tmp_path, **{HOSTS: hosts, HOST: GOOD[HOST] + "imaging_operator: 192.0.2.9\n"})) == []


def test_warnings_are_no_errors(tmp_path: Path) -> None:
    sealed = "$ANSIBLE_VAULT;1.1;AES256\n6333\n"
    changes = {
        ALL: GOOD[ALL].replace('    schedule: {at: "23:00", every: month}\n', ""),
        HOST: GOOD[HOST] + STORAGE % ("sftp://server/x", ", private_key_file: /k") + "\n",
        "group_vars/all/vault.yml": sealed,
    }
    found = checked(written(tmp_path, **changes))
    assert {one.level for one in found} == {finding.WARNING}
    codes = {one.code: one for one in found}
    expected = (errors.JobUnscheduled, errors.FileUnchecked, errors.InventorySourceUnread)
    assert set(codes) == {error.code for error in expected}
    assert codes[errors.JobUnscheduled.code].job == "monthly"


@pytest.mark.parametrize(
    "value",
    [
        '\'{{ lookup("file", "/x") }}\'',
        "'{{ from_awx }}'",
        "'{{ vault_password }}'",
        "'{{ vault_password ~ suffix }}'",
        "\"{{ x | default('') }}\"",
        "''",
        SEALED.rstrip(),
    ],
)
def test_a_secret_that_is_sealed_looked_up_or_unknown_is_fine(value: str, tmp_path: Path) -> None:
    assert checked(written(tmp_path, **{HOST: "suffix: abc\nimaging_password: %s\n" % value})) == []


@pytest.mark.parametrize(
    ("name", "text", "line"), [(HOST, "a: 1\nb: [\n", 3), (HOST, "- a\n", 1), (HOSTS, "a: b: c\n", 1)]
)
def test_a_file_that_is_no_inventory_is_an_error(name: str, text: str, line: int, tmp_path: Path) -> None:
    found = checked(written(tmp_path, **{name: text}))
    assert (errors.InventoryFileInvalid.code, str(tmp_path / name), line) in [
        (one.code, one.file, one.line) for one in found
    ]


def test_ini_ranges_and_inline_variables(tmp_path: Path) -> None:
    ini = "[line1]\npress-[11:12] imaging_keep=0\n[line1:vars]\nimaging_kep=3\n[plant:children]\nline1\n"
    folder = written(tmp_path, **{HOST: "---\n"})
    (folder / HOSTS).unlink()
    (folder / "hosts").write_text(ini, encoding="utf-8")
    found = checked(folder)
    assert [(one.code, one.host, one.line) for one in found] == [
        (errors.SettingOutOfBounds.code, "press-11", 2),
        (errors.SettingOutOfBounds.code, "press-12", 2),
        (errors.SettingUnknown.code, "press-11", 4),
        (errors.SettingUnknown.code, "press-12", 4),
    ]


def test_hosts_win_over_groups_and_children_over_parents(tmp_path: Path) -> None:
    document: Dict[str, Any] = {
        "top": {"children": {"line1": {"hosts": {"press-11": None}, "vars": {"imaging_keep": 3}}}}
    }
    changes = {HOSTS: yaml.safe_dump(document), "group_vars/top.yml": "imaging_keep: 0\n", LINE: "imaging_keep: 4\n"}
    found = checked(written(tmp_path, **changes))
    assert [one.host for one in found] == [""], "what is overridden everywhere is still told"
