# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The link of a task to a device behind a share: its folder, and what is tried again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, List, Optional

import pytest
from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    DeviceLinkCut,
    DeviceLinkLost,
    DeviceLoginFailed,
    DeviceShareMissing,
    EngineError,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.commands import CommandAnswer, Commands
from ansible_collections.plantops.imaging.plugins.plugin_utils._device import link as _link
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.windows_link import WindowsLink
from support.windows.folder_share import FolderShare


class Connection:
    """A connection whose share fails as the script says, then works."""

    transport = "plantops.imaging.admin_share"
    _shell = None

    def __init__(self, share: FolderShare, script: List[Optional[EngineError]]) -> None:
        self._share = share
        self.script = script
        self.logins = 0

    def share(self) -> FolderShare:
        self.logins += 1
        error = self.script.pop(0) if self.script else None
        if error is not None:
            raise error
        return self._share

    def reset(self) -> None:
        return


class Action:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection


@pytest.fixture
def share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderShare:
    monkeypatch.setattr(_link, "_FIRST_PAUSE_SECONDS", 0.01)
    made = FolderShare(tmp_path)
    made.make_base()
    made.make_folder(made.place.base_in_share + "\\service")
    return made


def link_to(share: FolderShare, *script: Optional[EngineError], seconds: float = 5) -> WindowsLink:
    action: Any = Action(Connection(share, list(script)))
    return WindowsLink(action, "pc", lambda dummy: None, seconds)


def test_the_folder_of_a_task_goes_with_it_and_old_ones_too(share: FolderShare, tmp_path: Path) -> None:
    tasks = share.host_path(share.place.base_in_share + "\\service\\put")
    now = int(time.time())
    for name in ("%d-aa" % (now - 90000), "%d-bb" % (now - 60), "strange"):
        (tasks / name).mkdir(parents=True)
    link = link_to(share)
    (tmp_path / "job").write_bytes(b"{}")
    name = link.put(str(tmp_path / "job"), "job.json")
    assert name.startswith("C:\\Program Files\\plantops-imaging\\service\\put\\")
    assert link.folder() == name.rpartition("\\")[0]
    assert share.host_path(name[3:]).read_bytes() == b"{}"
    link.drop_folder()
    assert [path.name for path in tasks.iterdir()] == ["%d-bb" % (now - 60)]


def test_what_takes_long_has_its_time(share: FolderShare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: List[float] = []

    def bounded(dummy: Any, ask: Any, more_seconds: float = 0) -> Any:
        given.append(more_seconds)
        return ask()

    monkeypatch.setattr(WindowsLink, "_bounded", bounded)
    monkeypatch.setattr(Commands, "run", lambda *dummy: CommandAnswer(0, b"", b""))
    link = link_to(share)
    link.run(["x"], None, 5000)
    assert given[-1] > 5000 + 900, "the service ends the command first, and says so"
    (tmp_path / "big").write_bytes(bytes(5_000_000))
    link.put(str(tmp_path / "big"), "big")
    assert given[-1] > 2 * 5_000_000 / 2000, "it is sent and read back"


def test_a_lost_link_is_tried_again_and_given_up_in_time(share: FolderShare) -> None:
    cut = DeviceLinkCut(device="pc", reason="it is off")
    link = link_to(share, None, cut, cut)
    link.folder()
    assert link.on_share(lambda one: one.check_base())
    link = link_to(share, None, *[cut] * 1000, seconds=0.2)
    link.folder()
    with pytest.raises(DeviceLinkLost):
        link.on_share(lambda one: one.check_base())


def test_a_device_that_is_off_from_the_start_is_unreachable(share: FolderShare) -> None:
    link = link_to(share, DeviceLinkCut(device="pc", reason="it is off"))
    with pytest.raises(AnsibleConnectionFailure):
        link.folder()


def test_a_refused_login_is_never_tried_again(share: FolderShare) -> None:
    link = link_to(share, None, DeviceLoginFailed(device="pc", username="u", reason="r"))
    link.folder()
    with pytest.raises(AnsibleAuthenticationFailure):
        link.on_share(lambda one: one.check_base())


def test_what_the_device_refuses_is_an_error_of_the_catalogue(share: FolderShare) -> None:
    link = link_to(share, DeviceShareMissing(device="pc", share="C$"))
    with pytest.raises(DeviceShareMissing):
        link.folder()
