# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks with two credentials: the device's account creates, the operator's verifies, checks and rolls over."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Iterator

import pytest
from support import limited_servers
from support.playbooks import Site

MIB = 1 << 20
PASSWORD = "correct-horse-battery-staple-47"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[limited_servers.Site]:
    with limited_servers.openssh(tmp_path) as running:
        yield running


def test_the_device_creates_and_the_operator_does_the_rest(server: limited_servers.Site, tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    # The operator's settings name the credentials alone: url and host key are those of the storage.
    operator = {name: server.operator[name] for name in ("username", "private_key_file")}
    site = Site(
        tmp_path / "site",
        imaging_storage=server.device,
        imaging_storage_operator=operator,
        imaging_device_alias="",
        imaging_device_name="press-07",
        imaging_drives=[str(disk)],
        imaging_password=PASSWORD,
        imaging_keep=1,
        imaging_limit_read_rate="0",
    )
    images = []
    for dummy in range(2):
        disk.write_bytes(os.urandom(MIB))
        made = site.play("image")
        assert made.status == 0, made.output
        result = made.result("Make an image")
        assert result["rollover"] is None
        assert "Run the rollover on the operator" in made.output
        images.append(result["image"])

    checked = site.play("storage_check")
    assert checked.status == 0, checked.output
    answer = checked.result("Check the storage")
    assert answer["may_delete"] is answer["may_replace"] is answer["may_rename"] is True
    assert answer["images"] == 2
    assert abs(answer["clock_ahead_seconds"]) < 60

    verified = site.play("verify")
    assert verified.status == 0, verified.output
    assert verified.result("Verify an image")["ok"] is True

    before = server.tree()
    planned = site.play("rollover", "--check")
    assert planned.result("Delete the oldest images")["deleted"] == images[:1]
    assert server.tree() == before
    rolled = site.play("rollover")
    assert rolled.status == 0, rolled.output
    assert rolled.result("Delete the oldest images")["deleted"] == images[:1]
    assert "./press-07/%s/image.json" % images[0] not in server.tree()
    assert "./press-07/%s/image.json" % images[1] in server.tree()

    # Without the operator's credentials the device's may not: one sentence, one code.
    refused = site.play("rollover", "-e", json.dumps({"imaging_storage_operator": {}, "imaging_keep": 1}))
    assert refused.status != 0
    assert refused.result("Delete the oldest images")["error_code"] == "S104"
    alone = site.play("storage_check", "-e", json.dumps({"imaging_storage_operator": {}}))
    assert alone.status == 0, alone.output
    answer = alone.result("Check the storage")
    assert answer["may_delete"] is answer["may_replace"] is answer["may_rename"] is False
