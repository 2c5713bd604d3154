# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No value passes the check of the inventory and is refused by the verb: over all settings, by the modules' own way."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.plantops.imaging.plugins import action
from ansible_collections.plantops.imaging.plugins.module_utils._arguments import request_of
from ansible_collections.plantops.imaging.plugins.module_utils.engine import errors
from ansible_collections.plantops.imaging.plugins.plugin_utils._inventory import engine_values, values
from ansible_collections.plantops.imaging.plugins.plugin_utils._inventory.nodes import node_of
from engine.errors import EngineError as OfEngine
from engine.verbs.request import parse
from hypothesis import given, settings
from hypothesis import strategies as st
from settings.setting import Setting
from settings.table import SETTINGS
from support.inventories import HOST, Broken, assert_told, of_host

LEAST: Dict[str, Dict[str, Any]] = {
    "image": {"drives": ["all"]},
    "image_restore": {"map": {"disk0": "/dev/sdb"}},
    "image_copy": {"directory": "/copies"},
    "image_archive": {"archive": {"url": "/archive"}},
}
MODULE_OF = {"image": "image", "restore": "image_restore", "verify": "image_verify", "copy": "image_copy"}
MODULE_OF.update(archive="image_archive", rollover="image_rollover", storage_check="storage_check")
# What a role hands on by another name, or not to a module of the engine at all.
OF_ARCHIVE = (
    "archive",
    *("archive_" + name for name in ("comment", "author", "every", "keep_source", "state", "versions")),
)
BY_OTHERS = ("jobs", "storage_operator", "device_name", "device_alias", "operator", "hooks", "transfer")
TRIED: List[Any] = [
    None,
    "",
    "latest",
    "yesterday",
    "first",
    "2026-11-22_13-45-10",
    "2026-13-41_99-99-99",
    "v3",
    "v0",
    "V3",
]
TRIED += [
    "last",
    "system",
    "none",
    1,
    0,
    -1,
    "1",
    "3.5",
    3.5,
    10**9,
    True,
    False,
    "yes",
    "maybe",
    "all",
    "/x",
    "x",
    "a/b",
]
TRIED += [
    "..",
    " a",
    "a ",
    "a\nb",
    "x" * 2000,
    [],
    ["x"],
    ["/x"],
    [1],
    [""],
    [None],
    [["x"]],
    ["v1", "v2"],
    ["v1"],
    [{}],
]
TRIED += [
    {},
    {"disk0": "/x"},
    {"disk0": "ntfs"},
    {"sda": "/x"},
    {"disk0": ""},
    {"url": "/x"},
    {"url": "/x", "port": "ssh"},
]
TRIED += [
    "30d",
    "30 d",
    "0",
    "99999w",
    "100000h",
    "auto",
    "AUTO",
    "fast",
    "keep",
    "new",
    "NEW",
    "quick",
    "high",
    "serial:1",
]
TRIED += [
    "2026-11-22_13-45-10\n",
    "2026-11-22 13:45:10",
    "\ud83d",
    "a,b",
    "software/x",
    ["software/x"],
    ["sofware/x"],
    "null",
]


def specs() -> Iterator[Tuple[str, Any]]:
    for module in MODULE_OF.values():
        yield module, importlib.import_module("%s.%s" % (action.__name__, module)).ActionModule


PLUGINS = dict(specs())


def verbs_refuse(setting: Setting, value: Any) -> str:
    """Why any task of the role refuses the value: its module's whole argument spec, then the engine's parser."""
    name = setting.as_option().name
    for verb in setting.verbs:
        module = MODULE_OF.get(verb)
        if (
            module is None
            or (setting.name in OF_ARCHIVE and module != "image_archive")
            or name not in PLUGINS[module].spec
        ):
            continue
        given_to: Dict[str, Any] = {"device_name": "pc", "storage": {"url": "/images"}, **LEAST.get(module, {})}
        if name == "copy_storage":
            del given_to["directory"]
        if name == "forget_jobs":
            given_to["job"] = "another"  # the default job is forgotten by a run of another one
        try:
            result = ArgumentSpecValidator(PLUGINS[module].spec).validate({**given_to, name: value})
        except (TypeError, OverflowError) as error:  # a validator that looks into what is no dictionary, or at infinity
            return str(error)
        if result.error_messages:
            return " ".join(result.error_messages)
        arguments = {key: one for key, one in result.validated_parameters.items() if key in PLUGINS[module].spec}
        try:
            parse(request_of(PLUGINS[module].verb, arguments, False))
        except OfEngine as error:
            return str(error)
    return ""


def is_told(setting: Setting, value: Any) -> bool:
    node = node_of(value, "settings.yml", 1)
    found = list(values.issues(setting, node, setting.variable)) or list(
        engine_values.issues(setting, node, setting.variable)
    )
    return any(not isinstance(one.error, errors.FileUnchecked) for one in found)


def is_empty(setting: Setting, value: Any) -> bool:
    """What the role leaves out, or a storage without an address, which is told where the host is checked."""
    without_url = isinstance(value, dict) and bool(setting.options) and value.get("url") is None
    return value in (None, "", [], {}) or without_url


CHECKED = [one for one in SETTINGS if one.name not in BY_OTHERS and (not one.role_only or one.name in OF_ARCHIVE)]


@pytest.mark.parametrize("setting", CHECKED, ids=lambda one: str(one.name))
def test_no_value_passes_and_fails_at_the_verb(setting: Setting) -> None:
    passed = [
        (value, verbs_refuse(setting, value))
        for value in TRIED
        if not is_empty(setting, value) and not is_told(setting, value)
    ]
    assert [one for one in passed if one[1]] == []


TEXTS = st.one_of(
    st.text(max_size=30), st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{2}-[0-9]{2}-[0-9]{2}\n?", fullmatch=True)
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-2, 10**7), st.floats(allow_nan=False, width=16), TEXTS)
ANYTHING = st.one_of(
    LEAVES,
    st.lists(LEAVES, max_size=3),
    st.dictionaries(st.sampled_from(["disk0", "disk1", "url", "port", "username", "x"]), LEAVES, max_size=3),
)


@given(setting=st.sampled_from(CHECKED), value=ANYTHING)
@settings(max_examples=400, deadline=None)
def test_no_value_at_all_passes_and_fails_at_the_verb(setting: Setting, value: Any) -> None:
    if is_empty(setting, value) or "{" in str(value).replace("{'", ""):
        return
    reason = verbs_refuse(setting, value)
    assert not reason or is_told(setting, value), reason


@pytest.mark.parametrize("setting", CHECKED, ids=lambda one: str(one.name))
def test_the_default_is_taken(setting: Setting) -> None:
    assert setting.required or not is_told(setting, setting.default)


STORAGE = 'imaging_storage: {url: "%s", username: imaging}'
REFUSED = [
    of_host(errors.SettingRefused, "imaging_image", "imaging_image: yesterday"),
    of_host(errors.SettingRefused, "imaging_image", "imaging_image: newest"),
    of_host(errors.SettingRefused, "imaging_image", "imaging_image: 2026-11-22"),
    of_host(errors.SettingRefused, "imaging_image", "imaging_image: 2026-13-22_13-45-10"),
    of_host(errors.SettingRefused, "imaging_image", "imaging_image: v0"),
    of_host(errors.SettingRefused, "imaging_image", "imaging_image: 'latest '"),
    of_host(errors.SettingRefused, "imaging_restore_grow", "imaging_restore_grow: first"),
    of_host(errors.SettingRefused, "imaging_restore_grow", "imaging_restore_grow: 0"),
    of_host(errors.SettingRefused, "imaging_restore_grow", "imaging_restore_grow: disk0p2"),
    of_host(errors.SettingRefused, "imaging_restore_scratch", "imaging_restore_scratch: tmp/x"),
    of_host(errors.SettingRefused, "imaging_restore_map.sda", "imaging_restore_map: {sda: /dev/sdb}"),
    of_host(errors.SettingRefused, "imaging_restore_map.disk0", "imaging_restore_map: {disk0: ''}"),
    of_host(errors.SettingRefused, "imaging_restore_map.disk0", "imaging_restore_map: {disk0: [/dev/sdb]}"),
    of_host(errors.SettingRefused, "imaging_trust.disk0p1", "imaging_trust: {disk0p1: nfts}"),
    of_host(errors.SettingRefused, "imaging_trust.sda", "imaging_trust: {sda: ntfs}"),
    of_host(errors.SettingRefused, "imaging_archive_versions", "imaging_archive_versions: [v1]"),
    of_host(errors.SettingRefused, "imaging_archive_versions", "imaging_archive_versions: [1, 2]"),
    of_host(errors.SettingRefused, "imaging_archive_comment", "imaging_archive_comment: %s" % ("x" * 1001)),
    of_host(errors.SettingRefused, "imaging_archive_author", 'imaging_archive_author: "a\\tb\\u0007"'),
    of_host(errors.SettingRefused, "imaging_remove_damaged[0]", "imaging_remove_damaged: [broken]"),
    of_host(errors.SettingRefused, "imaging_forget_jobs[0]", "imaging_forget_jobs: [' x']"),
    of_host(errors.SettingRefused, "imaging_forget_disks[0]", "imaging_forget_disks: [' ']"),
    of_host(errors.SettingRefused, "imaging_job", "imaging_job: ' daily'"),
    of_host(errors.SettingRefused, "imaging_run", "imaging_run: ../x"),
    of_host(errors.SettingRefused, "imaging_jobs[0].trust.x", "imaging_jobs: [{name: daily, trust: {x: ntfs}}]"),
    of_host(errors.SettingRefused, "imaging_hooks.device", 'imaging_hooks: {device: {after: [" "]}}'),
    of_host(errors.SettingTypeWrong, "imaging_copy_directory", "imaging_copy_directory: usb/stick"),
    *(
        of_host(errors.SettingUrlRefused, "imaging_storage.url", STORAGE % url)
        for url in (
            "/images/../other",
            "/images/..",
            "/images/./x",
            "/images/x.",
            "/images /x",
            "/images/x ",
            "/images/%2e%2e/x",
            "/images%20x",
            "/images/a\\tb",
            "file:///images/../x",
            "file:///images%2fx",
            "sftp://server/images/../x",
            "sftp://server/images/%2e%2e/x",
            "sftp://server/images/%2E./x",
            "sftp://server/images%2fx",
            "sftp://server/images/x%20",
            "sftp://server/images/x.",
            "sftp://server/%69mages",
            "sftp://server/./images",
            "D:/images/../x",
            "D:/images/x.",
            "\\\\\\\\server\\\\share\\\\..\\\\x",
            "\\\\\\\\server\\\\share\\\\x.",
            "\\\\\\\\server\\\\share\\\\x%2e",
        )
    ),
    of_host(errors.SettingUrlRefused, "imaging_archive.url", "imaging_archive: {url: /archive/../x}"),
    of_host(errors.SettingUrlRefused, "imaging_storage.url", "imaging_storage: {}\nimaging_storage_url: /images/x."),
    of_host(
        errors.SettingUrlRefused,
        "imaging_jobs[0].storage.url",
        "imaging_jobs: [{name: daily, storage: {url: /images/..}}]",
    ),
]


@pytest.mark.parametrize("broken", REFUSED, ids=lambda broken: broken.new[:60])
def test_what_no_verb_accepts_is_told_with_its_place(broken: Broken, tmp_path: Path) -> None:
    assert broken.file == HOST
    assert_told(broken, tmp_path)
