# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive: numbered versions that no rollover deletes, in which tampering is named, on directories and servers."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from engine.errors import EngineError
from engine.verbs.dispatch import run_job
from support.archiving import NAMES, make_images
from support.imaging import PASSWORD, image, job, restore, run_verb, verify
from support.plain_disks import make_disk
from support.recovery import checksums, copy
from support.samba_server import samba
from support.sftp_server import SftpServer

KINDS = ["encrypted", "clear"]


@pytest.fixture(scope="module")
def storages(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Path]:
    """Storages with three images, and for each an archive with all of them as versions. They are only read."""
    folder = tmp_path_factory.mktemp("made")
    found = {}
    for kind in KINDS:
        disk = folder / (kind + ".raw")
        make_disk(disk, 16, 3, 1)
        (folder / (kind + "-archive")).mkdir()
        for number, name in enumerate(make_images(folder / kind, disk, 128, secrets=secrets(kind)), 1):
            shutil.copy(disk, folder / ("%s-%s.raw" % (kind, name)))
            check_in(folder / kind, folder / (kind + "-archive"), comment="version %d" % number, author="me")
        found[kind] = folder / kind
    return found


def secrets(kind: str) -> Dict[str, str]:
    return {"password": PASSWORD} if kind.startswith("encrypted") else {}


def check_in(storage: Path, archive: Any, **settings: Any) -> Dict[str, Any]:
    place = archive if isinstance(archive, dict) else {"url": str(archive)}
    settings.setdefault("secrets", secrets(storage.name))
    return run_verb(storage, "archive", archive=place, **settings)


def copies(storages: Dict[str, Path], kind: str, folder: Path) -> Path:
    """A storage and its archive to be changed; the storage is returned."""
    for name in (kind, kind + "-archive"):
        shutil.copytree(storages[kind].parent / name, folder / name)
    return folder / kind


def archive_of(storage: Path) -> Path:
    return storage.parent / (storage.name + "-archive")


def verified(storage: Path, **settings: Any) -> Dict[str, Any]:
    return check_in(storage, archive_of(storage), state="verified", **settings)


def wrong(found: Dict[str, Any]) -> List[int]:
    assert found["ok"] == (found["problems"] == [])
    return [one["version"] for one in found["versions"] if not one["ok"]]


def refused(code: str, work: Callable[[], Any]) -> EngineError:
    with pytest.raises(EngineError) as caught:
        work()
    assert caught.value.code == code
    return caught.value


def tree(folder: Path) -> Dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def records_of(archive: Path, number: int) -> List[Path]:
    """Both files of a version's record."""
    (entry,) = (archive / "pc" / "versions" / str(number)).iterdir()
    image_name, digest = entry.name.split(".")[:2]
    return [entry, archive / "pc" / "records" / image_name / ("archived-%s.json" % digest)]


@pytest.mark.parametrize("kind", KINDS)
def test_versions_are_listed_verified_compared_and_restored(
    kind: str, storages: Dict[str, Path], tmp_path: Path
) -> None:
    storage, archive = storages[kind], archive_of(storages[kind])
    listed = run_verb(archive, "list", secrets=secrets(kind))["images"]
    assert [(one["image"], one["version"], one["comment"], one["author"]) for one in listed] == [
        (name, number, "version %d" % number, "me") for number, name in enumerate(NAMES, 1)
    ]
    found = verified(storage)
    assert (found["ok"], [one["version"] for one in found["versions"]]) == (True, [1, 2, 3])
    assert found["authenticated"] == (True if kind == "encrypted" else None)
    compared = check_in(storage, archive, state="compared", versions=["v1", "v3"])
    assert compared["changed_bytes"] == 2 * (128 << 10)
    assert [one["version"] for one in compared["versions"]] == [1, 3]
    assert "version 1" in compared["diff"]["before"]
    for number, name in enumerate(NAMES, 1):
        target = tmp_path / ("v%d.raw" % number)
        assert restore(archive, target, image="v%d" % number, secrets=secrets(kind))["image"] == name
        assert target.read_bytes() == (storage.parent / ("%s-%s.raw" % (kind, name))).read_bytes()
        assert checksums(archive / "pc" / name) == []
    assert verify(archive, image="v2", check=True, secrets=secrets(kind))["ok"]
    # A copy of a version is known by its number, too, and so is the image in the storage that it came from.
    assert copy(archive, tmp_path / "stick", image="v2", secrets=secrets(kind))["image"] == NAMES[1]
    assert run_verb(tmp_path / "stick", "list", image="v2", secrets=secrets(kind))["images"][0]["version"] == 2
    assert run_verb(storage, "list", image="v3", secrets=secrets(kind))["images"][0]["image"] == NAMES[2]
    refused("A330", lambda: run_verb(archive, "list", image="v4", secrets=secrets(kind)))
    refused("A330", lambda: verify(tmp_path / "stick", image="v1", secrets=secrets(kind)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_image_is_one_version_and_only_what_lacks_is_copied(
    kind: str, storages: Dict[str, Path], tmp_path: Path
) -> None:
    storage = copies(storages, kind, tmp_path)
    archive = archive_of(storage)
    before = tree(archive), tree(storage)
    again = check_in(storage, archive, comment="another one")
    assert (again["changed"], again["version"], again["comment"]) == (False, 3, "version 3")
    assert any("comment" in warning for warning in again["warnings"])
    assert (tree(archive), tree(storage)) == before
    assert check_in(storage, archive, check=True)["changed"] is False
    disk = tmp_path / "disk.raw"
    shutil.copy(storages[kind].parent / ("%s-%s.raw" % (kind, NAMES[2])), disk)
    image(storage, disk, timestamp="2026-11-23_10-00-00", secrets=secrets(kind))
    planned = check_in(storage, archive, check=True)
    assert (planned["changed"], planned["version"], planned["diff"]["after"][-23:]) == (
        True,
        4,
        "v4 2026-11-23_10-00-00\n",
    )
    assert tree(archive) == before[0]
    late = check_in(storage, archive, every="2d")
    assert (late["changed"], late["not_due"], late["version"]) == (False, True, 3)
    done = check_in(storage, archive, every="1d")
    assert (done["changed"], done["version"]) == (True, 4)
    assert done["packs_copied"] < done["packs"]
    assert done["packs_copied"] == planned["packs_to_copy"]
    assert wrong(verified(storage)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_rollover_deletes_a_version(kind: str, storages: Dict[str, Path], tmp_path: Path) -> None:
    storage = copies(storages, kind, tmp_path)
    for place in (archive_of(storage), storage):
        rolled = run_verb(place, "rollover", keep=1, secrets=secrets(kind))
        assert rolled["deleted"] == []
        assert set(rolled["spared"]) == set(NAMES[:2])
    assert wrong(verified(storage)) == []
    # A storage whose rollover shall not spare them, says so at the check-in.
    other = tmp_path / "other-archive"
    other.mkdir()
    shutil.rmtree(storage / "pc" / "records")
    for name in NAMES:
        check_in(storage, other, image=name, keep_source=False)
    assert run_verb(storage, "rollover", keep=1, secrets=secrets(kind))["deleted"] == list(NAMES[:2])
    found = check_in(storage, other, state="verified")
    assert (found["ok"], len(found["versions"])) == (True, 3)


def removed(archive: Path, number: int) -> None:
    entry, record = records_of(archive, number)
    shutil.rmtree(archive / "pc" / record.parent.name)
    shutil.rmtree(record.parent)
    shutil.rmtree(entry.parent)


def replaced(archive: Path, number: int) -> None:
    """The image of another version in its place."""
    records = [json.loads(records_of(archive, one)[0].read_text()) for one in (number, number % 3 + 1)]
    place, other = (archive / "pc" / one["image"] for one in records)
    shutil.rmtree(place)
    shutil.copytree(other, place)


def rewritten(**fields: Any) -> Callable[[Path, int], None]:
    """Records with other fields, named by their new hash, as an attacker without the key would write them."""

    def tamper(archive: Path, number: int) -> None:
        entry, record = records_of(archive, number)
        document = dict(json.loads(entry.read_text()), **fields)
        data = json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"
        digest = hashlib.sha256(data).hexdigest()
        for path, name in ((entry, "%s.%s.json"), (record, "archived-%s.json")):
            path.unlink()
            names = (document["image"], digest) if name.count("%s") == 2 else (digest,)
            path.with_name(name % names).write_bytes(data)

    return tamper


def flipped(archive: Path, number: int) -> None:
    for path in records_of(archive, number):
        path.write_bytes(path.read_bytes().replace(b"version %d" % number, b"version x"))


def packless(archive: Path, number: int) -> None:
    """A pack of this version alone is deleted; of the first one any."""
    name = json.loads(records_of(archive, number)[0].read_text())["image"]
    sums = [(archive / "pc" / one / "SHA256SUMS").read_text() for one in NAMES if one != name]
    packs = [path for path in (archive / "pc" / "packs").rglob("*") if path.is_file()]
    own = (archive / "pc" / name / "SHA256SUMS").read_text()
    next(path for path in packs if path.name in own and not any(path.name in one for one in sums)).unlink()


TAMPERS: Dict[str, Callable[[Path, int], None]] = {
    "removed": removed,
    "replaced": replaced,
    "comment": rewritten(comment="nothing was changed"),
    "renumbered": rewritten(version=9),
    "flipped": flipped,
    "packless": packless,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", sorted(TAMPERS))
def test_a_tampered_version_is_named_and_not_restored(
    what: str, kind: str, storages: Dict[str, Path], tmp_path: Path
) -> None:
    for number in (2, 3):
        folder = tmp_path / str(number)
        storage = copies(storages, kind, folder)
        TAMPERS[what](archive_of(storage), number)
        found = verified(storage)
        assert number in wrong(found), (number, found["problems"])
        assert wrong(found) in ([number], [number, 9]), found["problems"]
        assert any("ersion %d" % number in problem for problem in found["problems"])
        if number == 2 and what != "packless":  # what is in the middle the archive knows without the storage
            request: Dict[str, Any] = {"image": "v2", "secrets": secrets(storage.name)}
            error = refused("A331", partial(restore, archive_of(storage), folder / "out.raw", **request))
            assert error.fields["version"] == "v2"
            assert not (folder / "out.raw").exists()


def test_the_end_of_the_chain_is_the_storages_to_know(storages: Dict[str, Path], tmp_path: Path) -> None:
    storage = copies(storages, "encrypted", tmp_path)
    removed(archive_of(storage), 3)
    assert wrong(verified(storage)) == [3]
    # The next check-in says so, and does not give the number again.
    with_warnings: List[Dict[str, Any]] = []
    request = job(storage, "archive", archive={"url": str(archive_of(storage))}, image=NAMES[2])
    done = run_job(request, with_warnings.append, lambda: False)
    assert done["version"] == 4
    assert any("3" in event.get("message", "") for event in with_warnings if event["event"] == "warning")
    # The archive alone can't know, and the documents say so.
    shutil.rmtree(storage / "pc" / "records")
    assert 3 in wrong(verified(storage))  # version 4 names it


def manifests(storage: Path) -> List[Dict[str, Any]]:
    """The listed images without their age, which grows."""
    return [dict(one, age_seconds=0) for one in run_verb(storage, "list")["images"]]


def test_an_archive_that_is_the_storage_is_refused(storages: Dict[str, Path], tmp_path: Path) -> None:
    storage = copies(storages, "encrypted", tmp_path)
    (tmp_path / "link").symlink_to(storage)
    (storage / "inside").mkdir()
    before = tree(storage)
    for url in (
        str(storage),
        str(storage) + "/",
        "file://%s" % storage,
        str(tmp_path / "link"),
        str(storage / "inside"),
    ):
        error = refused("A332", partial(check_in, storage, {"url": url}))
        assert {str(error.fields["archive"]), str(error.fields["storage"])} == {url, str(storage)}
    with SftpServer(tmp_path / "sftp") as server:
        shutil.copytree(storage, server.root, dirs_exist_ok=True)
        there = manifests(server.root)
        settings = server.settings()
        error = refused("A332", lambda: check_in(server.root, settings, secrets=secrets("encrypted")))
        assert str(server.root) in str(error.fields["storage"])
        assert "sftp" in str(error.fields["archive"])
        assert manifests(server.root) == there
        assert not (server.root / "pc" / "lease.json").exists()
    assert tree(storage) == before
    refused("J100", lambda: run_verb(storage, "archive"))


def test_over_sftp_and_smb(storages: Dict[str, Path], tmp_path: Path) -> None:
    storage = copies(storages, "encrypted", tmp_path)
    with SftpServer(tmp_path / "sftp") as server, samba(tmp_path / "samba") as share:
        for settings in (server.settings(), dict(share.settings)):
            for number, name in enumerate(NAMES, 1):
                assert check_in(storage, settings, image=name)["version"] == number
            assert check_in(storage, settings)["changed"] is False
            assert check_in(storage, settings, state="verified")["ok"]
            target = tmp_path / "out.raw"
            request = dict(job(storage, "restore", map={"disk0": str(target)}, image="v2"), storage=settings)
            assert run_job(request, lambda event: None, lambda: False)["image"] == NAMES[1]
            expected = storages["encrypted"].parent / ("encrypted-%s.raw" % NAMES[1])
            assert subprocess.run(["cmp", str(target), str(expected)], check=False).returncode == 0
            target.unlink()


def test_without_the_password_the_chain_alone_holds(storages: Dict[str, Path], tmp_path: Path) -> None:
    storage = tmp_path / "encrypted"
    shutil.copytree(storages["encrypted"], storage)
    shutil.rmtree(storage / "pc" / "records")
    archive_of(storage).mkdir()
    first = check_in(storage, archive_of(storage), image=NAMES[0], secrets={})
    assert (first["authenticated"], first["version"]) == (False, 1)
    assert any("authenticated" in warning for warning in first["warnings"])
    assert wrong(verified(storage, secrets={})) == []
    assert wrong(verified(storage)) == [1]
    assert check_in(storage, archive_of(storage), image=NAMES[1])["version"] == 2
    assert wrong(verified(storage)) == []  # a version that the password authenticates vouches for those before it
    refused("K100", lambda: check_in(storage, archive_of(storage), secrets={"password": "wrong"}))


def test_what_a_hostile_archive_holds_is_bounded(storages: Dict[str, Path], tmp_path: Path) -> None:
    storage = copies(storages, "clear", tmp_path)
    versions = archive_of(storage) / "pc" / "versions"
    chance = random.Random(1)
    for name in ("0", "01", "1234567", "x", "-1", "²"):
        (versions / name).mkdir()
    (versions / "17").write_bytes(b"a file in the place of a number")
    entry = "2026-11-20_10-00-00.%s.json" % ("a" * 64)
    (versions / "2" / entry).write_bytes(chance.getrandbits(8 * 70000).to_bytes(70000, "little"))
    (versions / "3" / entry).symlink_to("/etc/passwd")
    found = verified(storage)
    assert wrong(found) == [2]
    assert check_in(storage, archive_of(storage))["version"] == 3


def test_a_version_that_denies_the_key_of_its_image_is_named(storages: Dict[str, Path], tmp_path: Path) -> None:
    """Without the key an attacker can't sign a record; one that claims to need no signature is not believed either."""
    storage = copies(storages, "encrypted", tmp_path)
    archive = archive_of(storage)
    newest = records_of(archive, 3)[0]
    oldest = json.loads(records_of(archive, 1)[0].read_bytes())
    del oldest["authentication"]
    false = dict(
        oldest, version=4, previous_version=3, previous=newest.name.split(".")[1], key_id="", comment="approved by all"
    )
    data = json.dumps(false).encode()
    digest = hashlib.sha256(data).hexdigest()
    (archive / "pc" / "versions" / "4").mkdir()
    (archive / "pc" / "versions" / "4" / ("%s.%s.json" % (NAMES[0], digest))).write_bytes(data)
    (archive / "pc" / "records" / NAMES[0] / ("archived-%s.json" % digest)).write_bytes(data)
    assert wrong(verified(storage)) == [4]
    refused("A331", lambda: restore(archive, tmp_path / "target", image="v4"))
    assert not (tmp_path / "target").exists()


def test_a_false_note_in_the_storage_takes_no_numbers(storages: Dict[str, Path], tmp_path: Path) -> None:
    """The account of a device may write to its storage, but has no key: its note is reported, and the next version made."""
    storage = copies(storages, "encrypted", tmp_path)
    (note,) = (storage / "pc" / "records" / NAMES[2]).glob("archived-*.json")
    false = dict(json.loads(note.read_bytes()), version=999_999, previous_version=3, key_id="")
    del false["authentication"]
    data = json.dumps(dict(false, previous=hashlib.sha256(note.read_bytes()).hexdigest())).encode()
    (note.parent / ("archived-%s.json" % hashlib.sha256(data).hexdigest())).write_bytes(data)
    image(storage, storages["encrypted"].parent / "encrypted.raw", timestamp="2026-11-23_10-00-00")
    assert check_in(storage, archive_of(storage))["version"] == 4
    assert wrong(verified(storage)) == [999_999]
