# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipes of docs/security.md, followed word for word: the device makes images, the operator rolls over, and whoever
has the device's account can do to earlier images what the document says, and no more."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from engine.errors import EngineError, StorageFailed, StoragePermissionDenied
from engine.smb import link as smb_link
from engine.smb.errors import Refused
from engine.smb.link import SmbLink
from engine.storage.sftp import packets as wire
from engine.storage.sftp.calls import SftpCalls, remote_name
from engine.storage.sftp.storage import SftpStorage
from engine.storage.smb.storage import SmbStorage
from support.limited_servers import GRACE_SECONDS, Site, openssh, samba
from support.recipes import verdicts
from support.recovery import stand_in

MIB = 1 << 20


@pytest.fixture(params=[openssh, samba], ids=["openssh", "samba"])
def site(request: Any, tmp_path: Path) -> Iterator[Site]:
    with request.param(tmp_path) as running:
        yield running


def make_images(site: Site, folder: Path, count: int) -> List[Dict[str, Any]]:
    disk = folder / "disk.raw"
    made = []
    for dummy in range(count):
        disk.write_bytes(os.urandom(2 * MIB))
        made.append(site.job(site.device, "image", drives=[str(disk)], keep=1, lease_ttl_seconds=6, limit_read_rate=0))
    return made


def test_the_device_makes_images_and_the_operator_rolls_over(site: Site, tmp_path: Path) -> None:
    checked = site.job(site.device, "check")
    made = make_images(site, tmp_path, 2)
    time.sleep(GRACE_SECONDS + 1)
    made += make_images(site, tmp_path, 1)
    assert [result["rollover"] for result in made][-1] is None
    assert [text for text in made[-1]["warnings"] if "not rolled over" in text and "operator" in text]
    assert checked["images"] == 0
    assert len(site.job(site.device, "list")["images"]) == 3

    before = site.tree()
    with pytest.raises(StoragePermissionDenied):
        site.job(site.device, "rollover", keep=1)
    assert site.tree() == before

    assert site.job(site.operator, "verify", level="full")["ok"]
    assert site.job(site.operator, "check")["may_delete"]
    rolled = site.job(site.operator, "rollover", keep=1)
    assert rolled["deleted"] == [result["image"] for result in made[:2]]
    assert rolled["trashed_packs"]
    left = [path for path in site.tree() if path.endswith(".partial") and path.startswith("./press-07/")]
    assert [path for path in left if made[2]["image"] not in path] == []
    # The device goes on with what the operator left, and what it made verifies with both accounts.
    again = make_images(site, tmp_path, 1)[0]
    for account in (site.device, site.operator):
        assert site.job(account, "verify", image=made[2]["image"], level="full")["ok"]
        assert site.job(account, "verify", image=again["image"], level="full")["ok"]


def test_the_device_reads_and_copies_what_the_operator_pinned(site: Site, tmp_path: Path) -> None:
    """The operator's records may be closed to it: they are a warning then, no failure."""
    made = make_images(site, tmp_path, 1)[0]
    site.job(site.operator, "pin", image=made["image"])
    (tmp_path / "copies").mkdir()
    settings = {"directory": str(tmp_path / "copies"), "program": str(stand_in())}
    copied = site.job(site.device, "copy", image=made["image"], **settings)
    may_read = site.job(site.device, "list", image=made["image"])["images"][0]["pinned"] is not None
    assert copied["pinned"] == ([made["image"]] if may_read else [])
    assert len(copied["warnings"]) == (0 if may_read else 1)
    assert site.job(site.operator, "copy", image=made["image"], **settings)["images"] == [made["image"]]


# -- attacks -----------------------------------------------------------------------------------------------------------

Attack = Callable[[str], object]


def attacks_over_sftp(calls: SftpCalls, image: str, packs: str) -> Dict[str, Attack]:
    """Each takes the path of a file of an earlier image."""
    root = "/images/"

    def ask(kind: int, *parts: bytes) -> None:
        calls.done(calls.call(kind, *parts), "attacking", "")

    def write(flags: int, path: str, content: bytes = b"") -> None:
        handle = calls.open("attacking", path, root + path, flags, wire.mode_only(0o777))
        if content:
            ask(wire.WRITE, wire.string(handle), wire.long(0), wire.string(content))
        ask(wire.CLOSE, wire.string(handle))

    def mine(name: str = "press-07/mine") -> str:
        with contextlib.suppress(EngineError):
            write(wire.OPEN_WRITE | wire.OPEN_CREATE, name, b"mine")
        return name

    def rename(old: str, new: str) -> None:
        names = remote_name(root + old) + remote_name(root + new)
        tries = [
            lambda: ask(wire.RENAME, names),
            lambda: ask(wire.EXTENDED, wire.string(b"posix-rename@openssh.com") + names),
        ]
        _any_of(tries)

    def link(path: str) -> None:
        names = remote_name(root + mine()) + remote_name(root + path)
        _any_of(
            [
                lambda: ask(wire.EXTENDED, wire.string(b"hardlink@openssh.com") + names),
                lambda: ask(20, remote_name("/images/press-07/mine") + remote_name(root + path)),  # SSH_FXP_SYMLINK
            ]
        )

    def set_status(path: str) -> None:
        handle = calls.open("attacking", path, root + path, wire.OPEN_READ, wire.number(0))
        size = wire.number(1) + wire.long(0)
        times = wire.number(8) + wire.number(1) + wire.number(1)
        _any_of(
            [
                lambda: ask(9, remote_name(root + path), wire.mode_only(0o666)),  # SSH_FXP_SETSTAT
                lambda: ask(9, remote_name(root + path), size),
                lambda: ask(9, remote_name(root + path), times),
                lambda: ask(10, wire.string(handle), wire.mode_only(0o666)),  # SSH_FXP_FSETSTAT
                lambda: ask(10, wire.string(handle), size),
                lambda: ask(
                    wire.EXTENDED,
                    wire.string(b"lsetstat@openssh.com") + remote_name(root + path),
                    wire.mode_only(0o666),
                ),
            ]
        )

    truncate = 0x10
    return {
        "delete a file": lambda path: ask(wire.REMOVE, remote_name(root + path)),
        "overwrite a file in place": lambda path: write(wire.OPEN_WRITE, path, b"x"),
        "empty a file": lambda path: _any_of(
            [
                lambda: write(wire.OPEN_WRITE | wire.OPEN_CREATE | truncate, path),
                lambda: write(wire.OPEN_READ | wire.OPEN_CREATE | truncate, path),
                lambda: write(wire.OPEN_READ | truncate, path),
            ]
        ),
        "rename a file": lambda path: rename(path, path + "-moved"),
        "rename another file over it": lambda path: rename(mine(), path),
        "rename an image's directory": lambda dummy_path: rename(image, image + "-moved"),
        "remove a directory": lambda dummy_path: _any_of(
            [lambda: ask(wire.RMDIR, remote_name(root + image)), lambda: ask(wire.RMDIR, remote_name(root + packs))]
        ),
        "change a file's mode or times": set_status,
        "put a link in its place": link,
        "read another device's files": lambda dummy_path: _any_of(
            [lambda: write(wire.OPEN_READ, "press-08/theirs"), lambda: calls.look([root + "press-08/theirs"])]
        ),
        "write to another device's directory": lambda dummy_path: _any_of(
            [
                lambda: write(wire.OPEN_WRITE | wire.OPEN_CREATE, "press-08/new", b"x"),
                lambda: write(wire.OPEN_WRITE, "press-08/theirs", b"x"),
                lambda: ask(wire.REMOVE, remote_name(root + "press-08/theirs")),
                lambda: ask(wire.MKDIR, remote_name(root + "press-08/new") + wire.mode_only(0o777)),
                lambda: ask(wire.MKDIR, remote_name(root + "press-09") + wire.mode_only(0o777)),
            ]
        ),
        "add a file to an earlier image's directory": lambda dummy_path: write(
            wire.OPEN_WRITE | wire.OPEN_CREATE, image + "/added", b"x"
        ),
        "fill the storage": lambda dummy_path: write(
            wire.OPEN_WRITE | wire.OPEN_CREATE, "press-07/filler", b"x" * 9999
        ),
    }


def attacks_over_smb(link: SmbLink, image: str, packs: str) -> Dict[str, Attack]:
    write_attributes, write_owner, write_permissions = 0x100, 0x80000, 0x40000
    supersede, overwrite, overwrite_if = 0, 4, 5

    def local(path: str) -> str:
        return path.replace("/", "\\")

    def use(path: str, access: int, disposition: int = smb_link.OPEN, options: int = 0, work: Any = None) -> None:
        handle = link.open(local(path), access, disposition, options)
        try:
            if work is not None:
                work(handle)
        finally:
            link.close(handle)

    def put(path: str) -> None:
        use(
            path,
            smb_link.WRITE,
            3,
            smb_link.ONLY_FILE,
            lambda handle: link.written(link.send_write(handle, b"mine", 0)),
        )

    def rename(old: str, new: str) -> None:
        use(old, smb_link.DELETE, work=lambda handle: link.rename(handle, local(new), True))

    def over(path: str) -> None:
        put("press-07/mine")
        rename("press-07/mine", path)

    def hard_link(path: str) -> None:
        put("press-07/mine")
        name = local(path).encode("utf-16-le")
        information = (1).to_bytes(8, "little") + bytes(8) + len(name).to_bytes(4, "little") + name
        use("press-07/mine", smb_link.WRITE, work=lambda handle: link._set(handle, 11, information))

    def delete(path: str) -> None:
        _any_of(
            [
                lambda: use(path, smb_link.DELETE, options=smb_link.DELETE_ON_CLOSE),
                lambda: use(path, smb_link.DELETE, work=link.delete_on_close),
            ]
        )

    def status(path: str) -> None:
        basic = (1).to_bytes(8, "little") * 4 + (0x80).to_bytes(8, "little")
        _any_of(
            [
                lambda: use(path, write_attributes, work=lambda handle: link._set(handle, 4, basic)),
                lambda: use(path, smb_link.READ, work=lambda handle: link._set(handle, 4, basic)),
                lambda: use(path, write_permissions),
                lambda: use(path, write_owner),
            ]
        )

    emptied = [(smb_link.WRITE, overwrite), (smb_link.READ, overwrite), (smb_link.READ, overwrite_if)]
    emptied += [(smb_link.READ, supersede), (smb_link.WRITE | smb_link.DELETE, supersede), (0, overwrite_if)]
    return {
        "delete a file": delete,
        "overwrite a file in place": lambda path: use(
            path, smb_link.WRITE, work=lambda handle: link.written(link.send_write(handle, b"x", 0))
        ),
        "empty a file": lambda path: _any_of(
            [lambda one=one: use(path, *one) for one in emptied]
            + [lambda: use(path, smb_link.READ, work=lambda handle: link._set(handle, 20, bytes(8)))]
            + [lambda: use(path, write_attributes, work=lambda handle: link._set(handle, 20, bytes(8)))]
        ),
        "rename a file": lambda path: rename(path, path + "-moved"),
        "rename another file over it": over,
        "rename an image's directory": lambda dummy_path: rename(image, image + "-moved"),
        "remove a directory": lambda dummy_path: _any_of([lambda: delete(image), lambda: delete(packs)]),
        "change a file's mode or times": status,
        "put a link in its place": hard_link,
        "read another device's files": lambda dummy_path: _any_of(
            [lambda: use("press-08/theirs", smb_link.READ), lambda: use("press-08", smb_link.READ)]
        ),
        "write to another device's directory": lambda dummy_path: _any_of(
            [
                lambda: put("press-08/new"),
                lambda: put("press-08/theirs"),
                lambda: delete("press-08/theirs"),
                lambda: use("press-09", smb_link.WRITE, smb_link.CREATE, smb_link.ONLY_DIRECTORY),
            ]
        ),
        "add a file to an earlier image's directory": lambda dummy_path: put(image + "/added"),
        "fill the storage": lambda dummy_path: put("press-07/filler"),
    }


def _any_of(tries: List[Callable[[], object]]) -> None:
    """Succeed when one of them does; raise the last refusal otherwise."""
    refusals: List[Exception] = []
    for one in tries:
        try:
            one()
        except (EngineError, Refused) as error:
            refusals.append(error)
    if len(refusals) == len(tries):
        raise refusals[-1]


def succeeds(attack: Attack, path: str) -> bool:
    try:
        attack(path)
    except (Refused, StoragePermissionDenied, StorageFailed):
        return False
    return True


def test_what_an_attacker_with_the_devices_account_can_do(site: Site, tmp_path: Path) -> None:
    image = "press-07/" + make_images(site, tmp_path, 1)[0]["image"]
    time.sleep(GRACE_SECONDS + 1)
    before = site.tree()
    files = [path[2:] for path, digest in before.items() if path.startswith("./press-07/") and len(digest) == 64]
    targets = [path for path in files if "/packs/" in path or path.endswith("image.json") or "/keys/" in path]
    assert len(targets) >= 3
    storage: Any = SftpStorage(site.device) if site.column == 0 else SmbStorage(site.device)
    with storage:
        if site.column == 0:
            attacks = attacks_over_sftp(storage._calls(), image, "press-07/packs")
        else:
            attacks = attacks_over_smb(storage._connected(), image, "press-07/packs")
        said = {name: cells[site.column] for name, cells in verdicts().items()}
        assert set(said) == set(attacks)
        seen = {}
        for name, attack in attacks.items():
            outcomes = [succeeds(attack, path) for path in targets]
            seen[name] = "succeeds" if any(outcomes) else "refused"
    assert seen == said
    after = site.tree()
    assert {path: after.get(path) for path in before} == before
    assert site.job(site.operator, "verify", image=image.split("/")[1], level="full")["ok"]


def test_the_digest_that_the_tree_shows_is_that_of_the_bytes(site: Site) -> None:
    assert site.tree()["./press-08/theirs"] == hashlib.sha256(b"theirs").hexdigest()
