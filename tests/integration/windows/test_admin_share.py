# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection plugin on the double: files both ways, the agent's folder, its service, and each fault's own error."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure, AnsibleError
from ansible.playbook.play_context import PlayContext
from ansible_collections.plantops.imaging.plugins.connection import admin_share
from ansible_collections.plantops.imaging.plugins.connection.admin_share import Connection
from ansible_collections.plantops.imaging.plugins.module_utils.engine import errors as catalogue
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.service import AgentService
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.share import DeviceShare, Login
from support.ports import free_port
from support.windows.admin_device import AdminShareDevice
from support.windows.kinds import WINDOWS_7, WINDOWS_10

PROGRAM = r"C:\windows\system32\spoolsv.exe"  # one that Wine itself runs as a service


@pytest.fixture(scope="module", params=[WINDOWS_7, WINDOWS_10], ids=lambda kind: str(kind.name))
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminShareDevice]:
    with AdminShareDevice(tmp_path_factory.mktemp("device") / "prefix", request.param) as made:
        yield made
        assert not made.faults


def login_to(device: AdminShareDevice, **more: Any) -> Login:
    given = {"device": "pc-1", "address": "127.0.0.1", "port": device.port, "username": device.username}
    given.update(password=device.password, share="C$", folder="", must_encrypt=False)
    return Login(**{**given, **more})


@pytest.fixture
def share(device: AdminShareDevice) -> Iterator[DeviceShare]:
    opened = DeviceShare(login_to(device))
    yield opened
    opened.close()


@contextlib.contextmanager
def connected(device: AdminShareDevice, **more: Any) -> Iterator[Connection]:
    """The plugin with the options that Ansible would give it."""
    connection = Connection(PlayContext(), os.devnull)
    options = {"remote_addr": "127.0.0.1", "port": device.port, "admin_share": "C$", "admin_share_path": ""}
    options.update(
        remote_user=device.username, remote_password=device.password, require_encryption=False, kerberos=False
    )
    for name, value in {**options, **more}.items():
        connection._options[name] = value
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.parametrize("share_name", ["C$", "KRC"])
def test_files_go_and_come_back(device: AdminShareDevice, tmp_path: Path, share_name: str) -> None:
    sent, fetched = tmp_path / "sent", tmp_path / "fetched"
    sent.write_bytes(os.urandom(2_500_001))
    folder = "C:\\" if share_name == "C$" else "C:\\KRC\\share\\"
    with connected(device, admin_share=share_name) as connection:
        connection.put_file(str(sent), folder + "sent file.bin")
        connection.fetch_file(folder + "sent file.bin", str(fetched))
        with pytest.raises(AnsibleError):
            connection.put_file(str(sent), "D:\\elsewhere")
    there = device.host_path(folder + "sent file.bin")
    assert hashlib.sha256(there.read_bytes()).digest() == hashlib.sha256(sent.read_bytes()).digest()
    assert fetched.read_bytes() == sent.read_bytes()
    there.unlink()


def test_a_wrong_password_is_tried_once_in_a_play(
    device: AdminShareDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_share.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))  # of one play
    logins = []

    def log_in(login: Login) -> DeviceShare:
        logins.append(login.username)
        return DeviceShare(login)

    monkeypatch.setattr(admin_share, "DeviceShare", log_in)
    for dummy in range(3):
        with connected(device, remote_password="wrong", remote_user="PC-1\\tried") as connection:
            with pytest.raises(AnsibleAuthenticationFailure) as caught:
                connection.exec_command("hostname")
        assert catalogue.DeviceLoginFailed.code in str(caught.value)
    assert logins == ["PC-1\\tried"]


def test_a_device_that_is_off_is_unreachable(device: AdminShareDevice) -> None:
    with connected(device, port=free_port()) as connection:
        with pytest.raises(AnsibleConnectionFailure) as caught:
            connection.exec_command("hostname")
    assert catalogue.DeviceSmbClosed.code in str(caught.value)


def test_a_device_without_the_agent_says_so(device: AdminShareDevice) -> None:
    with connected(device) as connection, pytest.raises(AnsibleError) as caught:
        connection.exec_command("hostname")
    assert catalogue.DeviceServiceFailed.code in str(caught.value)


def test_the_folder_of_the_agent_is_only_for_administrators(device: AdminShareDevice, share: DeviceShare) -> None:
    assert not share.check_base()
    share.make_base()
    assert share.check_base()
    share.make_base()
    base = device.host_path(share.place.base)
    share.delete_tree(share.place.base_in_share)
    assert not base.exists()
    base.mkdir()  # by another user of the device
    with pytest.raises(catalogue.DeviceFolderUnsafe):
        share.make_base()
    base.rmdir()
    base.symlink_to(device.drive / "windows")
    with pytest.raises(catalogue.DeviceFolderUnsafe):
        share.make_base()
    base.unlink()


def test_a_tree_is_deleted_but_not_what_links_in_it_lead_to(device: AdminShareDevice, share: DeviceShare) -> None:
    for name in ("KRC\\share\\old", "KRC\\share\\old\\inner"):
        share.make_folder(name)
    share.write("KRC\\share\\old\\inner\\file", [b"x"])
    kept = device.drive / "KRC" / "kept"
    kept.write_bytes(b"kept")
    (device.drive / "KRC" / "share" / "old" / "link").symlink_to(kept)
    assert share.delete_tree("KRC\\share\\old")
    assert not share.delete_tree("KRC\\share\\old")
    assert kept.read_bytes() == b"kept"
    kept.unlink()


def test_the_service_is_made_started_stopped_and_deleted(share: DeviceShare) -> None:
    service = AgentService(share)
    assert service.status() is None
    service.ensure(r"C:\windows\absent.exe")
    with pytest.raises(catalogue.DeviceAgentRemoved):
        service.start()
    service.ensure(PROGRAM)
    service.start()
    service.start()
    assert service.image_path() == PROGRAM
    service.stop()
    service.stop()
    assert service.delete()
    assert not service.delete()
    assert service.image_path() == ""


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (AdminShareDevice.block_starts, catalogue.DeviceServiceBlocked),
        (AdminShareDevice.time_out_starts, catalogue.DeviceServiceFailed),
    ],
)
def test_a_service_that_is_blocked_has_its_error(
    device: AdminShareDevice, share: DeviceShare, fault: Callable[[AdminShareDevice], None], error: type[Exception]
) -> None:
    service = AgentService(share)
    service.ensure(PROGRAM)
    fault(device)
    try:
        with pytest.raises(error):
            service.start()
    finally:
        device.manager.start_code = 0
        service.delete()


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"share": "D$"}, catalogue.DeviceShareMissing),
        ({"folder": "/srv"}, catalogue.DevicePathUnproved),
        ({"username": ""}, catalogue.DeviceLoginFailed),
        ({"password": "wrong"}, catalogue.DeviceLoginFailed),
    ],
)
def test_each_wrong_setting_has_its_error(
    device: AdminShareDevice, more: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        DeviceShare(login_to(device, **more))


def test_encryption_is_used_where_it_is_offered_and_demanded_where_a_site_wants_it(device: AdminShareDevice) -> None:
    if device.is_old:
        with pytest.raises(catalogue.DeviceProtectionRefused):
            DeviceShare(login_to(device, must_encrypt=True))
        return
    share = DeviceShare(login_to(device, must_encrypt=True))
    assert share.link._session.encrypt_data
    share.close()


def test_rights_that_windows_filters_are_told_from_a_wrong_password(device: AdminShareDevice) -> None:
    device.filter_tokens()
    try:
        with pytest.raises(catalogue.DeviceRightsFiltered):
            DeviceShare(login_to(device))
        with pytest.raises(catalogue.DeviceRightsFiltered):
            DeviceShare(login_to(device, share="KRC"))  # which it may open, but the pipes tell it nothing
    finally:
        device.leave_tokens()


def test_an_account_that_is_locked_or_disabled_is_named(device: AdminShareDevice) -> None:
    for flag, error in (("L", catalogue.DeviceAccountLocked), ("D", catalogue.DeviceAccountBlocked)):
        with device.account_flag(flag), pytest.raises(error):
            DeviceShare(login_to(device))


def test_a_device_that_is_switched_off_in_the_middle_is_a_lost_link(device: AdminShareDevice, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    sent.write_bytes(b"x")
    with connected(device) as connection:
        connection.put_file(str(sent), "C:\\sent")
        device.switch_off()
        with pytest.raises(AnsibleConnectionFailure) as caught:
            connection.put_file(str(sent), "C:\\sent")
        assert catalogue.DeviceLinkCut.code in str(caught.value)
        device.switch_on()
        connection.reset()
        connection.put_file(str(sent), "C:\\sent")


def processes_of(prefix: Path) -> List[str]:
    """The processes of a device, by its prefix in their environment or command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended
        if str(prefix).encode() in words:
            found.append(process.name)
    return found


def test_devices_stand_side_by_side_and_leave_nothing(tmp_path: Path) -> None:
    prefixes = [tmp_path / "old", tmp_path / "new"]
    with contextlib.ExitStack() as stack:
        devices = [
            stack.enter_context(AdminShareDevice(prefix, kind))
            for prefix, kind in zip(prefixes, (WINDOWS_7, WINDOWS_10))
        ]
        for device in devices:
            with contextlib.closing(DeviceShare(login_to(device))) as share:
                share.write("own", [device.kind.name.encode()])
                assert share.windows.major == (6 if device.is_old else 10)
        for device in devices:
            assert (device.drive / "own").read_text() == device.kind.name
            assert processes_of(device.prefix)
    assert [prefix for prefix in prefixes if prefix.exists() or processes_of(prefix)] == []
