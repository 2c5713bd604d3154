# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real bundles on real Pythons: installed by hand and as a controller does, then an image is made with what is installed."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from engine.install import bundle as bundles
from engine.install import probe
from engine.install.bundle import build_bundle
from engine.install.bundle_format import Bundle
from engine.install.publishing import Built
from engine.install.wheel_store import hash_file
from support.bundles import WHEEL_CACHE, tree, zipped
from support.devices import pythons
from support.imaging import job, run_verb
from support.playbooks import Site

NEWEST, OLDEST = "python3.13", "python3.8"
NOBODY = 65534


def interpreter(name: str) -> str:
    """Return pyenv's Python of a version; fails when it is not there."""
    found = [home / "bin" / name for home in pythons() if (home / "bin" / name).exists()]
    assert found, "pyenv has no %s" % name
    return str(found[0])


def probed(python: str, base: Path) -> Dict[str, Any]:
    command = [python, "-I", probe.__file__, "--base", str(base)]
    answer: Dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return answer


def built_for(python: str, folder: Path) -> Built:
    return build_bundle(probed(python, folder / "none")["platform"], str(folder), cache_folder=str(WHEEL_CACHE))


def install_as_a_controller(python: str, bundle: Bundle, sent: Path, base: Path) -> Dict[str, Any]:
    sent.mkdir()
    bundle.write_missing(probed(python, base)["parts"], str(sent))
    words = ["install", "--bundle", str(sent / "bundle.json"), "--parts", str(sent), "--base", str(base)]
    done = subprocess.run([python, str(sent / "installer.pyz"), *words], stdout=subprocess.PIPE, check=False)
    answer: Dict[str, Any] = json.loads(done.stdout)
    return answer


def image_with(python: str, installation: Path, folder: Path) -> None:
    """Image a small file with the installed engine and read it back with the one that is tested here."""
    disk = folder / "disk.raw"
    disk.write_bytes(os.urandom(300_000) + b"\0" * 700_000 + b"the end")
    storage = folder / "storage"
    path = os.pathsep.join((str(installation), str(installation / "site")))
    done = subprocess.run(
        [python, "-m", "engine.agent.command"],
        input=json.dumps(job(storage, "image", drives=[str(disk)], limit_read_rate=0)).encode("utf-8"),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, "PYTHONNOUSERSITE": "1"},
        cwd="/",
        stdout=subprocess.PIPE,
        check=False,
    )
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["event"] == "result", last
    run_verb(storage, "restore", map={"disk0": str(folder / "restored.raw")})
    restored = (folder / "restored.raw").read_bytes()
    assert restored[: disk.stat().st_size] == disk.read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        NEWEST,
        OLDEST,
        *(pytest.param("python3.%d" % minor, marks=pytest.mark.long) for minor in range(9, 13)),
    ],
)
def test_a_carried_bundle_installs_itself_and_its_agent_makes_an_image(name: str, tmp_path: Path) -> None:
    python = interpreter(name)
    (tmp_path / "device").mkdir()
    base = tmp_path / "device" / "opt" / "agent"
    before = tree(tmp_path / "device")
    built = built_for(python, tmp_path / "carried")
    done = subprocess.run([python, built.path, "install", "--base", str(base)], stdout=subprocess.PIPE, check=False)
    assert done.stdout.decode() == "Installed the agent %s in %s.\n" % (built.identity, base)
    installation = base / "versions" / str(built.identity)
    told = subprocess.run([python, str(installation / "agent.py"), "version"], stdout=subprocess.PIPE, check=True)
    answer = json.loads(told.stdout)
    assert (answer["id"], answer["version"]) == (built.identity, bundles.collection_version())
    assert answer["platform"] == built.platform
    image_with(python, installation, tmp_path)
    installed = tree(base)
    again = subprocess.run([python, built.path, "install", "--base", str(base)], stdout=subprocess.PIPE, check=True)
    assert b"already" in again.stdout
    assert tree(base) == installed, "neither a run nor an installation that changes nothing leaves a file"
    subprocess.run([python, built.path, "remove", "--base", str(base)], check=True)
    assert tree(tmp_path / "device") == before


def test_an_update_of_the_engine_sends_the_engine_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = sys.executable
    base = tmp_path / "agent"
    first = built_for(python, tmp_path / "first")
    with Bundle(first.path) as bundle:
        answer = install_as_a_controller(python, bundle, tmp_path / "sent-1", base)
    assert answer == {"ok": True, "changed": True, "installed": first.identity, "replaced": None}
    with zipfile.ZipFile(io.BytesIO(bundles.engine_zip())) as archive:
        sources = [(name, archive.read(name)) for name in archive.namelist()]
    newer = zipped([*sources, ("engine/agent/new_in_the_next_version.py", b"")])
    monkeypatch.setattr(bundles, "engine_zip", lambda: newer)
    second = built_for(python, tmp_path / "second")
    with Bundle(second.path) as bundle:
        assert [part.name for part in bundle.missing(probed(python, base)["parts"])] == ["engine.zip"]
        answer = install_as_a_controller(python, bundle, tmp_path / "sent-2", base)
    assert answer == {"ok": True, "changed": True, "installed": second.identity, "replaced": first.identity}
    assert len(list((tmp_path / "sent-2").iterdir())) == 3, "bundle.json, the installer and the engine"
    assert sum(path.stat().st_size for path in (tmp_path / "sent-2").iterdir()) < len(newer) + (256 << 10)
    assert os.path.getsize(second.path) > 4 * len(newer), "the rest of the bundle was not sent"
    found = probed(python, base)
    assert (found["current"], found["previous"]) == (second.identity, first.identity)


@pytest.mark.long
def test_real_installations_killed_at_random_moments_leave_an_agent_that_answers(tmp_path: Path) -> None:
    chance = random.Random(20261124)
    python = sys.executable
    base = tmp_path / "agent"
    platform = probed(python, base)["platform"]
    built = [
        build_bundle(platform, str(tmp_path), version=version, cache_folder=str(WHEEL_CACHE))
        for version in ("1.0.0", "2.0.0")
    ]
    commands = [[python, one.path, "install", "--base", str(base)] for one in built]
    before = time.monotonic()
    subprocess.run(commands[0], check=True)
    usual_seconds = time.monotonic() - before
    killed = 0
    for number in range(40):
        process = subprocess.Popen(commands[1 - number % 2], stdout=subprocess.DEVNULL)
        try:
            process.wait(chance.uniform(0.02, 1.3) * usual_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
        found = probed(python, base)
        assert found["current"] in found["versions"]
        agent = str(base / "versions" / found["current"] / "agent.py")
        answer = json.loads(subprocess.run([python, agent, "version"], stdout=subprocess.PIPE, check=True).stdout)
        assert answer["id"] == found["current"]
    assert 5 < killed < 40, "neither always after the installation nor always before its end"
    subprocess.run(commands[1], check=True)
    found = probed(python, base)
    assert found["current"] == built[1].identity
    assert set(os.listdir(base / "versions")) == set(found["versions"])
    assert len(found["versions"]) <= 2


def python_older_than_8() -> List[str]:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [str(root / version / "bin" / "python") for version in ("2.7.18", "3.6.15", "3.7.16")]
    assert all(os.path.exists(path) for path in found), "pyenv has no %s" % " or ".join(found)
    return found


def test_a_python_that_is_too_old_is_told_so_in_one_sentence(tmp_path: Path) -> None:
    built = built_for(sys.executable, tmp_path)
    for python in python_older_than_8():
        done = subprocess.run(
            [python, built.path, "install", "--base", str(tmp_path / "agent")], stderr=subprocess.PIPE, check=False
        )
        assert done.returncode == 1
        assert b"the agent needs CPython 3.8 or newer" in done.stderr
        assert done.stderr.count(b"\n") == 1
        assert not (tmp_path / "agent").exists()
    answer = probed(python_older_than_8()[1], tmp_path / "agent")
    assert answer["platform"] == built.platform.rpartition("-")[0] + "-cp36"


def test_a_bundle_for_another_platform_says_which_one_is_needed(tmp_path: Path) -> None:
    python = interpreter(OLDEST)
    built = built_for(sys.executable, tmp_path)
    words = ["install", "--base", str(tmp_path / "agent")]
    done = subprocess.run([python, built.path, *words], stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert b"(module agent_bundle)" in done.stderr
    assert probed(python, tmp_path)["platform"].encode("ascii") in done.stderr
    assert not (tmp_path / "agent").exists()


@pytest.mark.root
def test_an_ordinary_user_installs_into_his_home_and_nothing_is_left_there(open_path: Path) -> None:
    """Under the system's Python, which every user may run."""
    home = open_path / "home"
    home.mkdir(mode=0o755)
    os.chown(home, NOBODY, NOBODY)
    before = tree(home)
    built = built_for("/usr/bin/python3", open_path / "carried")

    def as_nobody(*words: str) -> subprocess.CompletedProcess[bytes]:
        user = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
        command = [*user, "/usr/bin/python3", built.path, *words]
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, cwd="/")

    as_nobody("install")
    base = home / ".local" / "share" / "plantops-imaging"
    assert (base / "current").read_text(encoding="ascii").strip() == built.identity
    assert base.stat().st_mode & 0o777 == 0o700
    assert json.loads(as_nobody("probe").stdout)["current"] == built.identity
    as_nobody("remove")
    assert tree(home) == before


PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Build the bundles
      plantops.imaging.agent_bundle:
        platforms: "{{ platforms }}"
        destination: "{{ destination }}"
        cache_folder: "{{ cache }}"
        wheel_folder: "{{ wheels | default(omit) }}"
"""


def play(folder: Path, *arguments: str, wheels: Optional[Path] = None) -> Any:
    """Run the task for a host that can't be reached: the controller does the work."""
    folder.mkdir(exist_ok=True)
    site = Site(
        folder,
        platforms=["linux-x86_64-glibc-cp311", "linux-aarch64-musl-cp311"],
        destination=str(folder / "out"),
        cache=str(WHEEL_CACHE),
        ansible_connection="ssh",
        ansible_host="192.0.2.1",
    )
    if wheels is not None:
        site.settings["wheels"] = str(wheels)
    (folder / "play.yml").write_text(PLAY, encoding="ascii")
    command = site.command("x", *arguments)
    command[3] = str(folder / "play.yml")
    inventory = json.loads((folder / "hosts.yml").read_text(encoding="utf-8"))
    inventory["all"]["hosts"] = {"pc-1": None}
    (folder / "hosts.yml").write_text(json.dumps(inventory), encoding="utf-8")
    done = subprocess.run(
        command, env=site.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    results = [json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    return done, results[-1]["result"]


def test_the_module_builds_on_the_controller_and_changes_once(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    done, result = play(folder, "--check")
    assert done.returncode == 0, done.stdout
    assert result["changed"]
    assert result["bundles"][0]["sha256"] is None
    assert not (folder / "out").exists()
    done, result = play(folder)
    assert done.returncode == 0, done.stdout
    for bundle in result["bundles"]:
        assert hash_file(Path(bundle["path"])) == bundle["sha256"]
        assert os.path.getsize(bundle["path"]) == bundle["size_bytes"]
    assert [bundle["changed"] for bundle in result["bundles"]] == [True, True]
    done, result = play(folder, "--check")
    assert not result["changed"]
    (tmp_path / "stick").mkdir()
    done, result = play(tmp_path / "other", wheels=tmp_path / "stick")
    assert done.returncode == 2
    assert result["error_code"] == "A201"
