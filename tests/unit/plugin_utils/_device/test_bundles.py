# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the controller has bundles from: a carried one is only read, and check mode leaves no trace."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import BundleFailed, BundleInvalid
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install import bundle, wheel_store
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.agent import Agent
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.bundles import find_bundle
from support.bundles import SmallBundle
from support.refusing import failing

PLATFORM = "linux-x86_64-glibc-cp311"


@pytest.fixture(autouse=True)
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*dummy_words: Any, **dummy_settings: Any) -> None:
        raise AssertionError("pip was run")

    monkeypatch.setattr(wheel_store.subprocess, "run", run)


def carried_name() -> str:
    return "plantops-imaging-agent-%s-%s.pyz" % (bundle.collection_version(), PLATFORM)


@pytest.mark.parametrize("check", [True, False])
def test_what_a_site_did_not_carry_is_named_and_not_built(tmp_path: Path, check: bool) -> None:
    folder = tmp_path / "carried"
    with pytest.raises(BundleInvalid, match=carried_name()):
        find_bundle(PLATFORM, str(folder), check)
    assert not folder.exists()
    folder.mkdir()
    with failing(BundleInvalid, reason=errno.ENOENT):
        find_bundle(PLATFORM, str(folder), check)
    assert list(folder.iterdir()) == []


def test_a_carried_bundle_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.install.probe.platform_name", lambda: PLATFORM)
    small = SmallBundle()
    path = small.write(tmp_path / carried_name())
    before = path.read_bytes()
    found = find_bundle(PLATFORM, str(tmp_path))
    assert found is not None
    assert found.identity == small.identity
    assert [path.read_bytes()] == [before]
    assert list(tmp_path.iterdir()) == [path]


def test_a_carried_bundle_of_another_platform_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.install.probe.platform_name", lambda: "linux-x86_64-glibc-cp39")
    SmallBundle().write(tmp_path / carried_name())
    with failing(BundleInvalid, reason="linux-x86_64-glibc-cp39"):
        find_bundle(PLATFORM, str(tmp_path))


def test_check_mode_downloads_and_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert find_bundle(PLATFORM, None, check=True) is None
    assert list(tmp_path.iterdir()) == []
    agent = Agent(
        SimpleNamespace(),  # type: ignore[arg-type]
        "press-1",
        None,
        lambda platform: find_bundle(platform, None, check=True),
    )
    agent.found = {"platform": PLATFORM, "parts": []}
    assert agent.plan().as_dict() == {
        "id": None,
        "platform": PLATFORM,
        "changed": True,
        "replaced": None,
        "sent_bytes": None,
    }


def test_a_cache_that_can_not_be_written_is_an_error_of_the_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with failing(BundleFailed, reason=errno.ENOTDIR):
        find_bundle(PLATFORM, None)
