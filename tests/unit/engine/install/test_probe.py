# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe says of a device, and which folders it does not trust."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
from engine.agent.spool import Spool
from engine.errors import AgentPathUnsafe, InstallationUnsafe
from engine.install import installer, probe
from support.bundles import SmallBundle, tree


def test_a_probe_runs_as_one_file_and_says_what_the_contract_promises(tmp_path: Path) -> None:
    base = tmp_path / "agent"
    bundle = SmallBundle()
    bundle.install(base)
    script = tmp_path / "probe.py"
    script.write_bytes(Path(probe.__file__).read_bytes())
    before = tree(tmp_path)
    command = [sys.executable, "-I", str(script), "--base", str(base)]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd="/").stdout)
    assert tree(tmp_path) == before
    assert set(answer) == {
        *("ok", "python", "implementation", "system", "machine", "libc", "libc_version", "platform", "base", "user_id"),
        *("parts", "versions", "current", "previous", "unsafe", "free_bytes", "boot_id", "time"),
    }
    assert answer["python"] == list(sys.version_info[:3])
    assert answer["platform"] == bundle.document.platform
    assert answer["current"] == bundle.identity
    assert answer["versions"] == [bundle.identity]
    assert answer["previous"] is answer["unsafe"] is None
    assert answer["parts"] == sorted(part.sha256 for part in bundle.document.parts)
    assert answer["base"] == str(base)
    assert answer["user_id"] == os.geteuid()


def test_a_device_without_an_agent_is_probed_too(tmp_path: Path) -> None:
    answer = probe.probe(str(tmp_path / "not" / "there"))
    assert (answer["parts"], answer["versions"], answer["current"], answer["unsafe"]) == ([], [], None, None)
    assert answer["free_bytes"] > 0


def test_the_base_of_root_and_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert probe.default_base() == "/opt/plantops-imaging"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/tech")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert probe.default_base() == "/home/tech/.local/share/plantops-imaging"
    monkeypatch.setenv("XDG_DATA_HOME", "/data/tech")
    assert probe.default_base() == "/data/tech/plantops-imaging"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert probe.default_base() == "/home/tech/.local/share/plantops-imaging"


def test_musl_is_known_by_its_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = tmp_path / "lib" / "ld-musl-x86_64.so.1"
    loader.parent.mkdir()
    loader.write_text(
        "#!/bin/sh\nprintf 'musl libc (x86_64)\\nVersion 1.2.4\\nDynamic Program Loader\\n' >&2\nexit 1\n"
    )
    loader.chmod(0o755)
    executable = tmp_path / "python3"
    executable.write_bytes(b"\x7fELF" + b"\0" * 500 + b"/lib/ld-musl-x86_64.so.1\0" + b"\0" * 500)

    def no_such_name(name: str) -> str:
        raise ValueError(name)

    monkeypatch.setattr(os, "confstr", no_such_name)
    monkeypatch.setattr(sys, "executable", str(executable))
    popen = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda command, **rest: popen([str(tmp_path) + command[0].decode()], **rest)
    )
    assert probe.c_library() == ("musl", "1.2.4")
    assert "-musl-cp" in probe.platform_name()
    executable.write_bytes(b"\x7fELF of another kind")
    assert probe.c_library() == ("unknown", "")


def test_a_small_python_on_a_large_kernel_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "maxsize", (1 << 31) - 1)
    for kernel, python in (("x86_64", "i686"), ("aarch64", "armv7l"), ("armv7l", "armv7l")):
        monkeypatch.setattr(os, "uname", lambda kernel=kernel: os.uname_result(("Linux", "pc", "1", "1", kernel)))
        assert probe.machine() == python


SPOILED: Dict[str, Callable[[Path], Any]] = {
    "a link in its place": lambda base: [
        base.rename(base.with_name("moved")),
        base.symlink_to(base.with_name("moved")),
    ],
    "a file in its place": lambda base: [base.rename(base.with_name("moved")), base.write_text("")],
    "another owner": lambda base: os.chown(base, 65534, 65534),
    "open to a group": lambda base: base.chmod(0o770),
    "open to all": lambda base: base.chmod(0o707),
    "a parent of another owner": lambda base: os.chown(base.parent, 65534, 0),
    "a parent open to others": lambda base: base.parent.chmod(0o777),
    "a parent open to others, sticky": lambda base: base.parent.chmod(0o1777),
    "a grandparent open to others": lambda base: base.parent.parent.chmod(0o777),
    "a file of another owner": lambda base: os.chown(base / "current", 65534, 0),
    "an installation open to others": lambda base: next((base / "versions").iterdir()).chmod(0o777),
    "a link inside": lambda base: (base / "versions" / "link").symlink_to("/etc"),
    "a link to a file inside": lambda base: (base / "parts" / "link").symlink_to("/etc/passwd"),
    "something that is not ours": lambda base: (base / "holiday.jpg").write_text(""),
}


@pytest.mark.root
@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_what_others_could_change_is_neither_used_nor_removed(spoil: Callable[[Path], Any], open_path: Path) -> None:
    base = open_path / "grand" / "parent" / "agent"
    SmallBundle("1.0").install(base)
    spoil(base)
    before = tree(open_path)
    answer = probe.probe(str(base))
    assert answer["unsafe"]
    assert (answer["parts"], answer["versions"], answer["current"]) == ([], [], None)
    with pytest.raises(InstallationUnsafe):
        SmallBundle("2.0").install(base)
    with pytest.raises(InstallationUnsafe):
        installer.remove(str(base))
    assert tree(open_path) == before


def test_folders_open_to_a_group_below_a_closed_home_are_no_harm(open_path: Path) -> None:
    """What a umask of 002, as some distributions give to users, makes of ~/.local/share."""
    home = open_path / "home"
    base = home / ".local" / "share" / "agent"
    base.parent.mkdir(parents=True)
    for folder in (home / ".local", base.parent):
        folder.chmod(0o775)
    home.chmod(0o700)
    assert SmallBundle("1.0").install(base)["changed"]
    Spool(str(base)).prepare()
    for mode in (0o710, 0o701, 0o755):
        home.chmod(mode)
        assert "can be written by others" in str(probe.probe(str(base))["unsafe"])
        with pytest.raises(AgentPathUnsafe):
            Spool(str(base)).prepare()
    home.chmod(0o700)
    base.chmod(0o770)
    assert probe.probe(str(base))["unsafe"], "what the agent makes is closed by itself"


@pytest.mark.root
def test_the_base_of_root_is_none_for_others(memory_path: Path) -> None:
    memory_path.chmod(0o755)
    base = memory_path / "agent"
    SmallBundle().install(base)
    script = memory_path / "probe.py"
    script.write_bytes(Path(probe.__file__).read_bytes())
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3", str(script)]
    answer = json.loads(subprocess.run([*command, "--base", str(base)], check=True, stdout=subprocess.PIPE).stdout)
    assert answer["unsafe"] == "%s belongs to root and can't be read" % base
    assert answer["current"] is None


def test_links_and_sticky_folders_further_up_are_no_harm(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    tmp_path.chmod(0o1777)
    base = probe.resolved(str(tmp_path / "link" / "agent") + "/")
    assert base == str(tmp_path / "real" / "agent")
    assert SmallBundle().install(Path(base))["changed"]


def test_a_run_may_be_careless_with_its_umask(tmp_path: Path) -> None:
    base = tmp_path / "agent"
    SmallBundle("1.0").install(base)
    log = base / "spool" / "run-1" / "engine.log"
    log.parent.mkdir(parents=True)
    log.write_text("")
    log.chmod(0o666)
    assert probe.probe(str(base))["unsafe"] is None


@pytest.mark.parametrize("text", ["", "x\n", "../../etc\n", "1.0-0123456789abcdef/..", ".new-0123456789abcdef", "\xff"])
def test_a_name_that_is_no_installation_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "current").write_text(text, encoding="latin-1")
    assert probe.read_name(str(tmp_path), "current") is None
