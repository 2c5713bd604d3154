# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``~`` in the path of a key or of known hosts is a home of the machine that uses the file, never of the controller."""

from __future__ import annotations

import pwd
from pathlib import Path
from typing import Any, Dict

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.plantops.imaging.plugins.module_utils.settings.modules import SHARED, spec_of
from engine.errors import StorageCredentialInvalid
from engine.storage.sftp.hostkey import HostKeys
from engine.storage.sftp.user_keys import private_key
from engine.storage.url import in_home
from support.sftp_server import make_key

FILES = ("private_key_file", "known_hosts_file", "host_key")


def test_the_controller_leaves_the_home_to_who_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of/the/controller")
    given: Dict[str, Any] = {"url": "sftp://server/x", **dict.fromkeys(FILES, "~/.ssh/file")}
    checked = ArgumentSpecValidator(spec_of((*SHARED["storage"], *SHARED["device_directory"]))).validate(
        {"storage": given, "device_name": "pc"}
    )
    assert checked.error_messages == []
    assert {name: checked.validated_parameters["storage"][name] for name in FILES} == dict.fromkeys(
        FILES, "~/.ssh/file"
    )


def test_the_engine_looks_in_the_home_of_its_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    key = make_key(tmp_path / "key")
    assert private_key({"private_key_file": "~/key"}) is not None
    known = tmp_path / "known"
    known.write_text("server %s" % Path(str(key) + ".pub").read_text(encoding="ascii"), encoding="ascii")
    for setting in ("known_hosts_file", "host_key"):
        HostKeys("server", 22, "server", {setting: "~/known"}, lambda sentence: None)
    with pytest.raises(StorageCredentialInvalid, match=str(tmp_path / "none")):
        private_key({"private_key_file": "~/none"})
    assert in_home("~root/x") == pwd.getpwnam("root").pw_dir + "/x"
    assert in_home("~no-such-user/x") == "~no-such-user/x"
