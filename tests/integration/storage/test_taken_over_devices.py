# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipes of docs/security.md, attacked with the device's account: pins hold, latest is ours, slots open, sweeps go on."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from engine.errors import StoragePermissionDenied
from engine.image.format.keys import MasterKey
from engine.image.format.manifest import decode, encode
from engine.storage.contract import Storage
from engine.storage.sftp.storage import SftpStorage
from engine.storage.smb.storage import SmbStorage
from support.limited_servers import GRACE_SECONDS, Site, openssh, samba

DEVICE = "press-07"
FUTURE = "9999-12-31_23-59-59"


@pytest.fixture(params=[openssh, samba], ids=["openssh", "samba"])
def site(request: Any, tmp_path: Path) -> Iterator[Site]:
    with request.param(tmp_path) as running:
        yield running


def make(site: Site, folder: Path) -> Dict[str, Any]:
    disk = folder / "disk.raw"
    disk.write_bytes(os.urandom(1 << 20))
    return site.job(site.device, "image", drives=[str(disk)], keep=1, lease_ttl_seconds=6, limit_read_rate=0)


def put_slots(storage: Storage, count: int) -> None:
    """Slots of another key whose names sort before ours."""
    ours = min(entry.name for entry in storage.list(DEVICE + "/keys"))
    header = json.loads(MasterKey.new().new_slot("x", n=2)[1])
    number = made = 0
    while made < count:
        number += 1
        header["kdf"].update(salt=hashlib.sha256(b"%d" % number).hexdigest(), n=1 << 10)
        data = json.dumps(header, sort_keys=True, indent=1).encode() + b"\n"
        name = hashlib.sha256(data).hexdigest() + ".json"
        if name < ours:
            storage.put("%s/keys/%s" % (DEVICE, name), [data])
            made += 1


def test_the_devices_account_steers_nothing(site: Site, tmp_path: Path) -> None:
    good = make(site, tmp_path)["image"]
    account: Any = SftpStorage if site.column == 0 else SmbStorage
    with account(site.device) as storage:
        storage.make_directory("%s/records/%s" % (DEVICE, good))
        assert site.job(site.operator, "pin", image=good)["pinned"] is True
        record = json.dumps({"kind": "unpinned", "image": good, "order": 1 << 60}, sort_keys=True).encode()
        path = "%s/records/%s/unpinned-%s.json" % (DEVICE, good, hashlib.sha256(record).hexdigest())
        storage.put(path, [record])
        model = decode(storage.get("%s/%s/image.json" % (DEVICE, good)), good)
        storage.make_directory("%s/%s" % (DEVICE, FUTURE))
        false = encode(model._replace(image=FUTURE, sequence=999_999_999), MasterKey(b"x" * 32))
        storage.put("%s/%s/image.json" % (DEVICE, FUTURE), [false])
        put_slots(storage, 33)
    time.sleep(GRACE_SECONDS + 1)  # until then an account on Samba may delete what is new, a pin as well
    with pytest.raises(StoragePermissionDenied):
        site.job(site.device, "pin", image=good, state="unpinned")
    made = [make(site, tmp_path) for dummy in range(2)]
    assert [one["sequence"] for one in made] == [2, 3]
    assert made[-1]["image"] < FUTURE
    time.sleep(GRACE_SECONDS + 1)

    assert site.job(site.operator, "verify", level="storage")["image"] == made[-1]["image"]
    rolled = site.job(site.operator, "rollover", keep=1)
    assert (rolled["deleted"], rolled["spared"]) == ([made[0]["image"]], {good: "it is pinned"})
    assert rolled["trashed_packs"], "the false image stops no sweep"
    target = site.job(site.operator, "restore", map={"disk0": str(tmp_path / "target")}, check=True)
    assert target["image"] == made[-1]["image"]
    # What the operator wrote does not keep the device from looking, and the operator takes the pin back.
    assert len(site.job(site.device, "list")["images"]) == 2
    assert site.job(site.operator, "pin", image=good, state="unpinned")["changed"] is True
    assert site.job(site.operator, "rollover", keep=1)["deleted"] == [good]
