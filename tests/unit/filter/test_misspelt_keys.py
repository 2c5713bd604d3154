# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of settings that nothing reads: found at every depth, and nothing else is."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.plantops.imaging.plugins.filter.misspelt_keys import misspelt_keys
from support.paths import ROOT

ROLE = ROOT / "roles" / "imaging"
VARIABLES = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
STORAGE: Dict[str, Any] = VARIABLES["__imaging_keys"]["imaging_storage"]
JOB: Dict[str, Any] = VARIABLES["__imaging_keys"]["imaging_jobs"]


def test_the_role_knows_the_keys_of_its_argument_specs() -> None:
    entries = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    seen = set()
    for entry in entries.values():
        for name, option in entry["options"].items():
            if "options" in option:
                seen.add(name)
                known = VARIABLES["__imaging_keys"][name]
                assert_same_keys(option["options"], known, name)
    names = ("storage", "storage_operator", "copy_storage", "archive", "jobs", "hooks")
    assert seen == {"imaging_%s" % name for name in names}


def assert_same_keys(options: Dict[str, Any], known: Dict[str, Any], name: str) -> None:
    assert set(options) == set(known), name
    for key, inner in options.items():
        assert_same_keys(inner.get("options", {}), known[key], "%s.%s" % (name, key))


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("pasword", "password"),
        ("user", "username"),
        ("user_name", "username"),
        ("passphrase", "private_key_passphrase"),
        ("key_file", "private_key_file"),
        ("hostkey", "host_key"),
        ("Url", "url"),
        ("private_key_fil", "private_key_file"),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_one(key: str, meant: str) -> None:
    (sentence,) = misspelt_keys({"url": "/images", key: "x"}, "imaging_storage", STORAGE)
    assert sentence == "Unknown key %s in imaging_storage. Did you mean %s?" % (key, meant)


def test_lists_and_what_is_in_them_are_looked_into() -> None:
    jobs: List[Any] = [{"name": "daily", "trust": {"disk0p1": "ntfs"}}, {"kep": 3, "storage": {"usrname": "u"}}, "text"]
    found = misspelt_keys(jobs, "imaging_jobs", JOB)
    assert [sentence.partition(".")[0] for sentence in found[:1]] == ["Unknown key kep in imaging_jobs[1]"]
    assert "Unknown key usrname in imaging_jobs[1].storage." in found[1]
    assert len(found) == 2


@pytest.mark.parametrize("value", [None, "", "/images", 7, [], {}, ["a", 1, None], {"url": {"deeper": 1}}], ids=repr)
def test_what_has_no_keys_or_none_that_are_wrong_is_left_to_ansible(value: Any) -> None:
    assert misspelt_keys(value, "imaging_storage", STORAGE) == []


def test_keys_that_are_not_text_are_told() -> None:
    assert misspelt_keys({1: "x"}, "imaging_storage", {}) == ["Unknown key 1 in imaging_storage."]


def test_the_known_keys_are_a_dictionary() -> None:
    with pytest.raises(AnsibleFilterError):
        misspelt_keys({}, "imaging_storage", ["url"])  # type: ignore[arg-type]
