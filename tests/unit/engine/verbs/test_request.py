# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests as JSON documents: what is taken, what is refused by name, and that nothing else than the catalogue comes out."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import pytest
from engine.errors import (
    CompareIgnoreInvalid,
    DeviceNameInvalid,
    EngineError,
    ForgottenJobDefined,
    ImageNotFound,
    JobNameInvalid,
    JobNamesTwice,
    PatternInvalid,
    RequestInvalid,
    TrustInvalid,
)
from engine.verbs import request as requests
from engine.verbs.fields import MOST_ENTRIES
from engine.verbs.request import ALL_KEYS, COMMON_KEYS, VERBS, ImageRequest, RestoreRequest, parse
from engine.verbs.request_parts import STORAGE_KEYS
from engine.verbs.secret_names import IMAGE_SECRETS
from hypothesis import given
from hypothesis import strategies as st
from support.refusing import failing

REQUIRED: Dict[str, Dict[str, Any]] = {
    "image": {"drives": ["all"]},
    "restore": {"map": {"disk0": "/dev/sdb"}},
    "copy": {"directory": "/mnt"},
    "history": {"repository": "/srv/history"},
    "archive": {"archive": {"url": "/srv/archive"}},
    "list": {"image": "latest"},
    "rename": {"to": "press-05"},
}
# A value that is taken for every key that a request may have.
TAKEN: Dict[str, Any] = {
    "retire": "press-04",
    "to": "press-06",
    "purge_trash": True,
    "alias": "hall-2",
    "storage": {"url": "sftp://server/images", "port": 22, "require_encryption": True, "time_limit_seconds": 60},
    "secrets": {"password": "one", "password_previous": "two"},
    "check": True,
    "job": "daily",
    "timestamp": "2026-11-22_13-45-10",
    "controller_seconds": 1795358710,
    "run": "image-0123-1",
    "new_key": True,
    "allow_clear": True,
    "drives": "system",
    "exclude": ["C:\\Temp\\**"],
    "trust": {"disk0p1": "ntfs"},
    "snapshot": "preferred",
    "operating_system": "server",
    "limit_io_rate": "2.5",
    "limit_read_rate": 10,
    "limit_read_rate_floor": 4,
    "window": "22:00-05:00",
    "adopt": True,
    "compare": "baseline",
    "compare_ignore": ["software/linux-image-*"],
    "compression_level": 3,
    "lease_ttl_seconds": 6,
    "keep": "3",
    "jobs": ["daily", {"name": "monthly", "keep": 12}],
    "forget_jobs": ["weekly"],
    "forget_disks": ["serial:1"],
    "remove_damaged": ["2026-11-22_13-45-10"],
    "image": "2026-11-22_13-45-10",
    "map": {"disk0": "/dev/sdb", "disk12": "/dev/sdc"},
    "overwrite": True,
    "damaged": True,
    "replace_table": [1, "2"],
    "proof": "while_writing",
    "grow": "system",
    "shrink": True,
    "scratch": "/var/tmp",
    "identity": "new",
    "partitions": ["disk0p2", 3],
    "read_back": False,
    "boot_fallback": "EFI/debian/shimx64.efi",
    "free_space": "zero",
    "level": "quick",
    "state": "unpinned",
    "against": "baseline",
    "document": {"sections": {}},
    "documents": ["log", "device"],
    "repository": "/srv/history.git",
    "directory": "/media/stick",
    "copy_storage": {"url": "sftp://other/x"},
    "program": "/opt/plantops-recovery.pyz",
    "archive": {"url": "sftp://archive/x"},
    "versions": ["v1", "v12"],
    "comment": "before the update\nof the controller",
    "author": "M. Huber",
    "every": "30d",
    "keep_source": False,
    "coming": True,
}
# The same key with another meaning.
TAKEN_BY: Dict[Tuple[str, str], Any] = {("archive", "state"): "verified"}
WRONG: Dict[str, List[Any]] = {
    "device": [None, "", 5, [], "a/b"],
    "alias": [[], True, "a/b", 1.5],
    "storage": [None, "/srv", [], {"url": []}, {"url": "/x", "port": "ssh"}, {"url": "/x", "port": 65536}]
    + [
        {"url": "/x", "require_encryption": "no"},
        {"url": "/x", "time_limit_seconds": []},
        {"url": "/x", "username": {}},
    ],
    "secrets": ["x", ["x"], {"password": ["x"]}, {"password": True}, {"password": "\ud83d"}],
    "check": ["yes", 1, "false", []],
    "job": [True, [], " a", "x" * 65],
    "timestamp": ["2026-11-22", "2026-13-22_13-45-10", "0000-01-01_00-00-00", "2026-11-22_13-45-10\n", [], True],
    "controller_seconds": ["now", True, [], float("nan"), float("inf")],
    "run": [[], True],
    "new_key": ["no", 1],
    "allow_clear": ["no", 0],
    "drives": [None, [], "", [""], [5], {}],
    "exclude": ["x", {"a": 1}, [5], [""], ["x"] * 1001],
    "trust": ["ntfs", [1], {"dsik0": "ntfs"}, {"disk0": "nfts"}],
    "snapshot": ["no", True, []],
    "operating_system": ["windows", True, []],
    "limit_io_rate": [-1, "fast", True, [], float("nan"), 4_000_000],
    "limit_read_rate": [-1, "fast", True, [], 4_000_000],
    "limit_read_rate_floor": [-1, "fast", True, [], float("nan"), 1001, 2_000_000],
    "window": [True, [], 22, "22:00", "22:00-24:00", "22:00-22:00", "22-5", "22:00-05:00\n", "always"],
    "purge_trash": ["no", 1],
    "retire": [[], True, {}],
    "to": ["", None, [], True, "a/b", "localhost"],
    "adopt": ["no", 1],
    "compare": ["last", False, []],
    "compare_ignore": ["software/*", ["software"], ["sofware/x"], [7], {"a": 1}],
    "compression_level": [0, 20, "x", True, 1.5],
    "lease_ttl_seconds": [0, -1, "x", True, 1e9],
    "keep": [0, -1, "x", True, 2.5, [], float("inf")],
    "jobs": [
        "daily",
        {},
        [[]],
        [""],
        ["a", "a"],
        [{"keep": 1}],
        [{"name": "a", "keep": 0}],
        ["x"] * (MOST_ENTRIES + 1),
    ],
    "forget_jobs": ["weekly", [[]], [" "]],
    "forget_disks": ["serial:1", [5], [" "]],
    "remove_damaged": ["x", [5], {"a": 1}],
    "image": [[], True, {}],
    "map": [None, [], "x", {"disk0": []}, {"disk0": ""}, {"disk0": None}, {"sda": "/x"}],
    "overwrite": ["no", 1],
    "damaged": ["no", 1],
    "replace_table": ["1", [True], [None], {}],
    "proof": ["both", True, []],
    "grow": ["first", True, -1, "0", 1.5, ["last"]],
    "shrink": ["no", 1],
    "scratch": ["var/tmp", True, []],
    "identity": ["other", 1, True, []],
    "partitions": ["disk0p2", [True], [[]], {}],
    "read_back": ["no", 0, []],
    "free_space": ["trim", 1, True, []],
    "boot_fallback": [
        "maybe",
        1,
        [],
        "debian/shimx64.efi",
        "EFI",
        "EFI//x",
        "EFI/a\nb",
        "EFI/" + "/".join("abcdefghi"),
    ],
    "level": ["deep", True, []],
    "state": ["pin", True, []],
    "against": [[], True],
    "document": ["x", [], 5],
    "documents": ["log", ["result"], [5], {"log": True}],
    "repository": ["", None, [], True],
    "directory": ["", None, [], True],
    "copy_storage": ["/x", ["x"], {"url": []}, {"url": "/x"}],
    "program": [[], True],
    "archive": [None, "/x", ["x"], {}, {"url": []}],
    "versions": ["v1", ["v1"], ["v1", "v2", "v3"], ["v1", "2"], ["v0", "v1"], ["latest", "v1"], [1, 2]],
    "comment": [[], True, "x" * 1001, "a\x1b[0m"],
    "author": [[], True, "x" * 201, "a\nb"],
    "every": ["30", "30 d", "d", "-1d", "1.5d", "30m", [], True],
    "keep_source": ["no", 0],
    "coming": ["no", 1],
}
NOT_READ = (
    ("check", "job"),
    ("retire", "job"),
    ("rename", "job"),
    ("devices", "job"),
    ("devices", "alias"),
    ("devices", "device"),
)
NOW = "2026-11-29_08-00-00"
REFUSALS = (
    *(RequestInvalid, DeviceNameInvalid, JobNameInvalid, JobNamesTwice, ForgottenJobDefined),
    *(CompareIgnoreInvalid, PatternInvalid, TrustInvalid),
)


def document(verb: str, **more: Any) -> Dict[str, Any]:
    base: Dict[str, Any] = {"verb": verb, "device": "press-04", "storage": {"url": "/srv/images"}}
    return dict(base, **dict(REQUIRED.get(verb, {}), **more))


def keys_of(verb: str) -> Tuple[str, ...]:
    return tuple(key for key in (*COMMON_KEYS, *VERBS[verb].keys) if key not in ("verb", "device"))


EACH = [(verb, key) for verb in VERBS for key in keys_of(verb)]


def is_read(verb: str, key: str) -> bool:
    """Controllers put some keys into the requests of all verbs, whether the verb has a use for them or not."""
    if key == "timestamp" and verb in ("list", "devices"):
        return True  # they tell ages
    return verb == "image" or (key not in ("timestamp", "controller_seconds", "run") and (verb, key) not in NOT_READ)


@pytest.mark.parametrize(("verb", "key"), EACH)
def test_each_key_of_each_verb_is_taken_and_used(verb: str, key: str) -> None:
    taken = document(verb, timestamp=NOW)
    plain = parse(taken)
    if key == "copy_storage":
        del taken["directory"]  # a copy has one target
    if key == "coming":
        taken["check"] = True  # without check mode there is nothing to foretell
        plain = parse(taken)
    request = parse(dict(taken, **{key: TAKEN_BY.get((verb, key), TAKEN[key])}))
    assert request.unused == ()
    assert (request != plain) == is_read(verb, key)


@pytest.mark.parametrize(("verb", "key"), [*EACH, *((verb, "device") for verb in VERBS)])
def test_each_wrong_value_of_each_key_is_refused(verb: str, key: str) -> None:
    for value in WRONG[key] if is_read(verb, key) else []:
        with pytest.raises(REFUSALS):
            parse(dict(document(verb), **{key: value}))


@pytest.mark.parametrize(
    ("verb", "more", "named", "meant"),
    [
        ("image", {"chekc": True}, "chekc", "check"),
        ("restore", {"overwite": True}, "overwite", "overwrite"),
        ("verify", {"levle": "full"}, "levle", "level"),
        ("rollover", {"kepe": 1}, "kepe", "keep"),
        ("pin", {"stat": "pinned"}, "stat", "state"),
        ("list", {"imaeg": "latest"}, "imaeg", "image"),
        ("check", {"Check": True}, "Check", "check"),
        ("image", {"password": "x"}, "password", "secrets.password"),
        ("image", {"url": "/x"}, "url", "storage.url"),
        ("image", {"storage": {"url": "/x", "pasword": "x"}}, "storage.pasword", "storage.password"),
        ("image", {"secrets": {"pasword": "x"}}, "secrets.pasword", "secrets.password"),
        ("restore", {"map": {"dsik0": "/x"}}, "map.dsik0", "map.disk0"),
        ("restore", {"map": {"disk1": "/y", "disk01x": "/x"}}, "map.disk01x", "map.disk1"),
        ("rollover", {"jobs": [{"name": "a", "keeep": 3}]}, "jobs[0].keeep", "jobs[0].keep"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(verb: str, more: Dict[str, Any], named: str, meant: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        parse(dict(document(verb), **more))
    assert caught.value.code == "J100"
    assert "unknown key %s (did you mean %s?)" % (named, meant) in caught.value.fields["reason"]


def test_a_value_of_an_unknown_key_is_not_told() -> None:
    for more in ({"pasword": "geheim"}, {"storage": {"url": "/x", "pasword": "geheim"}}, {"secrets": {"p": "geheim"}}):
        with pytest.raises(RequestInvalid) as caught:
            parse(dict(document("image"), **more))
        assert "geheim" not in repr(caught.value) + str(caught.value.as_dict())


def test_many_unknown_keys_make_a_short_message() -> None:
    with pytest.raises(RequestInvalid) as caught:
        parse(dict(document("image"), **{"k" * 1000 + str(number): 1 for number in range(100)}))
    assert len(str(caught.value)) < 1000
    assert "95 more" in str(caught.value)


@pytest.mark.parametrize("verb", VERBS)
def test_a_key_of_another_verb_is_told_and_changes_nothing(verb: str) -> None:
    others = sorted(ALL_KEYS - set(COMMON_KEYS) - set(VERBS[verb].keys))
    with_them = parse(dict(document(verb, timestamp=NOW), **{key: TAKEN[key] for key in others}))
    assert with_them.unused == tuple(others)
    assert with_them._replace(unused=()) == parse(document(verb, timestamp=NOW))


@pytest.mark.parametrize("verb", [None, "", "imgae", 5, [], {}, True])
def test_a_verb_that_is_none(verb: Any) -> None:
    with failing(RequestInvalid, reason="archive, check, compare, copy"):
        parse(dict(document("image"), verb=verb))


def test_what_is_not_said() -> None:
    request = parse(document("image"))
    assert isinstance(request, ImageRequest)
    assert (request.check, request.adopt, request.job, request.run, request.compare) == (
        False,
        False,
        "",
        "",
        "previous",
    )
    assert (request.snapshot, request.compression_level, request.lease_ttl_seconds) == ("required", 1, 90.0)
    assert (request.limit_io_bytes, request.limit_read_bytes, request.controller_seconds) == (0.0, None, None)
    assert request.policy.keep == {"": 7}
    assert request.storage.as_mapping() == {
        "url": "/srv/images",
        "require_encryption": False,
        "own_ntlm": False,
        "records_host_key": True,
    }


def test_check_mode_records_no_host_key() -> None:
    assert parse(document("list", check=True)).storage.as_mapping()["records_host_key"] is False


@pytest.mark.parametrize(
    ("url", "folder"),
    [("/srv/x", "/srv/x"), ("file:///srv/x", "/srv/x"), ("sftp://s/x", ""), ("\\\\s\\x", ""), ("x", "")],
)
def test_the_folder_of_a_storage(url: str, folder: str) -> None:
    request = parse(document("restore", storage={"url": url}))
    assert isinstance(request, RestoreRequest)
    assert request.storage.folder == folder


@pytest.mark.parametrize(("given", "rate"), [("auto", None), (0, 0.0), (None, 0.0), ("2.5", 2.5e6)])
def test_the_rate_of_reading(given: Any, rate: Any) -> None:
    request = parse(document("image", limit_read_rate=given))
    assert isinstance(request, ImageRequest)
    assert request.limit_read_bytes == rate


@pytest.mark.parametrize(
    ("given", "rate"), [({}, 2e6), ({"limit_read_rate_floor": 0}, 0.0), ({"limit_read_rate_floor": "2.5"}, 2.5e6)]
)
def test_the_floor_of_reading(given: Any, rate: float) -> None:
    request = parse(document("image", **given))
    assert isinstance(request, ImageRequest)
    assert request.read_floor_bytes == rate


def test_secrets_are_not_in_what_is_printed() -> None:
    storage = dict.fromkeys(("password", "private_key", "private_key_passphrase"), "geheim")
    request = parse(dict(document("image"), secrets={"password": "geheim"}, storage=dict(storage, url="/x")))
    assert "geheim" not in repr(request)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
MAPPINGS = {
    "storage": st.dictionaries(st.sampled_from(STORAGE_KEYS), JSON, max_size=5),
    "secrets": st.dictionaries(st.sampled_from(IMAGE_SECRETS), JSON, max_size=2),
    "map": st.dictionaries(st.sampled_from(["disk0", "disk1", "disk"]), JSON, max_size=3),
    "trust": st.dictionaries(st.sampled_from(["disk0", "disk0p1", "vg/lv"]), JSON, max_size=3),
    "jobs": st.lists(st.dictionaries(st.sampled_from(["name", "keep"]), JSON, max_size=2), max_size=3),
}


@st.composite
def documents(draw: st.DrawFn) -> Dict[str, Any]:
    """Documents that are nearly right: for most keys the value of TAKEN, for some anything at all."""
    found = dict(document(draw(st.sampled_from(sorted(VERBS)))))
    for key in draw(st.sets(st.sampled_from(sorted(ALL_KEYS - {"verb"})), max_size=6)):
        found[key] = draw(st.one_of(JSON, MAPPINGS.get(key, JSON), st.just(TAKEN.get(key, "press-04"))))
    if draw(st.booleans()):
        found.update(draw(st.dictionaries(st.text(max_size=12), JSON, max_size=2)))
    return found


@given(st.one_of(documents(), st.dictionaries(st.text(max_size=12), JSON, max_size=5)))
def test_nothing_but_the_catalogue_comes_out(given_document: Dict[str, Any]) -> None:
    request, refusal = None, None
    try:
        request = parse(given_document)
    except EngineError as error:
        refusal = error
    if refusal is not None:
        assert refusal.code
        assert len(str(refusal)) < 5000
    else:
        assert type(request) in (getattr(requests, name) for name in dir(requests) if name.endswith("Request"))
        assert set(given_document) <= ALL_KEYS


@pytest.mark.parametrize("verb", ["restore", "verify", "copy", "list", "pin", "compare", "history", "archive"])
@pytest.mark.parametrize("image", ["yesterday", "2026-13-01_00-00-00", "v0", "../x", "Latest", "2026-11-22_13-45-10\n"])
def test_what_can_be_the_name_of_no_image_is_refused(verb: str, image: str) -> None:
    document = {"verb": verb, "device": "pc", "storage": {"url": "/images"}, **REQUIRED.get(verb, {}), "image": image}
    with pytest.raises(ImageNotFound):
        parse(document)
    for taken in ("latest", "2026-11-22_13-45-10", "v12"):
        assert getattr(parse(dict(document, image=taken)), "image") == taken  # noqa: B009
