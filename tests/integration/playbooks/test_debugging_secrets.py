# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All verbs with every debugging switch of Ansible: no secret in what is shown, logged, kept, or seen in the process list."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Set, Tuple

import pytest
from support import plain_disks
from support.paths import ROOT
from support.recovery import stand_in
from support.sftp_server import SftpServer

pytestmark = pytest.mark.root
PASSWORD = "Image-password-of-this-test"
PASSPHRASE = "Passphrase-of-this-test"
OPERATOR = {"delegate_to": "{{ imaging_operator }}"}
ABOUT: Dict[str, Any] = {"storage": "{{ imaging_storage }}", "device_name": "pc-1"}
OVER_SSH = {"delegate_to": "operator", "no_log": False}
SECRET = {"password": "{{ imaging_password }}"}
WRONG = {"ignore_errors": True}
AGENT = {"agent_directory": "{{ agent_directory }}"}


def for_nobody() -> Dict[str, Any]:
    """Keywords of a task that runs as nobody, who may not enter the home of this interpreter's owner: the system's own one
    with the packages of this environment."""
    system, packages = "/usr/bin/python%d.%d" % sys.version_info[:2], sysconfig.get_paths()["purelib"]
    assert Path(system).exists(), "the system has no Python of this version"
    return dict(
        OPERATOR,
        become=True,
        become_user="nobody",
        vars={"ansible_python_interpreter": system},
        environment={"PYTHONPATH": packages},
    )


def role(entry: str) -> Dict[str, Any]:
    return {"import_role": {"name": "plantops.imaging.imaging", "tasks_from": entry}}


def verb(name: str, keywords: Dict[str, Any], **arguments: Any) -> Dict[str, Any]:
    return dict({"plantops.imaging." + name: dict(ABOUT, **arguments), "name": name}, **keywords)


TASKS = [
    role("image"),
    role("verify"),
    verb("storage_check", OPERATOR, **SECRET),
    verb("image_info", OPERATOR),
    verb("image_pin", OPERATOR, image="latest"),
    verb("image_rollover", OPERATOR, keep=1, **SECRET),
    verb("image_restore", {}, map="{{ imaging_restore_map }}", **SECRET),
    verb("image_verify", dict(OPERATOR, **WRONG), image="2020-01-01_00-00-00", **SECRET),
    verb("image_verify", dict(OPERATOR, **WRONG), level="no such level", **SECRET),
    verb("image_info", dict(OPERATOR, **WRONG), passphrase="{{ imaging_password }}"),
    # The engine runs as another user, over the connection.
    verb("storage_check", for_nobody(), **SECRET),
    role("device_info"),
    {"plantops.imaging.agent": {"state": "absent"}, "check_mode": True},
    {
        "plantops.imaging.agent_bundle": {"platforms": ["linux-x86_64-glibc-cp311"], "destination": "{{ bundles }}"},
        "check_mode": True,
    },
    # And on an operator host that is reached over SSH.
    verb("storage_check", OVER_SSH, **SECRET),
    verb("image_verify", OVER_SSH, level="quick", **SECRET),
    verb("image_rollover", OVER_SSH, keep=1, **SECRET),
    # The recovery program is brought there; a second storage has secrets of its own.
    verb("image_copy", OVER_SSH, directory="{{ bundles }}-copy", program="{{ program }}", **SECRET),
    verb(
        "image_copy", dict(OPERATOR, **WRONG), copy_storage="{{ imaging_storage }}", program="{{ program }}", **SECRET
    ),
    verb("image_archive", OPERATOR, archive="{{ archive }}", comment="a version", **SECRET),
    verb("image_archive", OVER_SSH, archive="{{ archive }}", state="verified", **SECRET),
    verb("device_compare", OPERATOR, against="previous", **SECRET),
    verb("device_history", OPERATOR, repository="{{ bundles }}-history.git", **SECRET),
    verb("device_rename", OPERATOR, to="pc-2", **SECRET),
    verb("device_rename", OPERATOR, device_name="pc-2", to="pc-1", **SECRET),
    verb("image_retire", dict(OVER_SSH, check_mode=True), retire="pc-1", **SECRET),
    # What knows no secret gets a request that could hold one.
    {"plantops.imaging.after_command": dict(AGENT, after=["true"]), "register": "application"},
    {"plantops.imaging.after_command": dict(AGENT, state="run", id="{{ application.id }}")},
    {"plantops.imaging.forget_runs": dict(AGENT, runs=["image-0123456789abcdef-20261129-175000-1a2b3c"])},
    {"plantops.imaging.recovery_program": {"destination": "{{ bundles }}"}, "check_mode": True},
    dict(
        OPERATOR,
        **{
            "plantops.imaging.run_result": {
                "verb": "verify",
                "device_name": "pc-1",
                "directory": "{{ bundles }}-results",
                "started": "2026-11-29T17:50:00Z",
                "moment": "2026-11-29_17-50-00",
                "result": {"msg": "failed", "failed": True},
            }
        },
    ),
]
# What other switches and callbacks show: a check of everything, with a callback that dumps results.
CHECKED = [
    role("image"),
    role("rollover"),
    verb("storage_check", OVER_SSH, **SECRET),
    verb("image_verify", dict(OPERATOR, **WRONG), image="2020-01-01_00-00-00", **SECRET),
    verb("image_restore", WRONG, map={"disk0": "/nowhere/x"}, **SECRET),
]
CHECKED_NAMES = ["Make an image", "Delete the oldest images", "storage_check", "image_verify", "image_restore"]
STDOUT_CALLBACKS = ["default", "minimal"]
CALLBACKS = "record_results,ansible.builtin.junit,ansible.builtin.tree"


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[SftpServer]:
    """A server whose key is locked with a passphrase."""
    server = SftpServer(tmp_path / "sftp")
    server.root.mkdir(exist_ok=True)
    shutil.copy(server.key, server.folder / "operator_key")
    with server:
        command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", PASSPHRASE, "-f", str(server.key)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        yield server


class Watch(threading.Thread):
    """Looks at arguments and environments of all processes until it is told to stop."""

    def __init__(self, secrets: List[bytes]) -> None:
        super().__init__(daemon=True)
        self.secrets = secrets
        self.found: List[str] = []
        self.engines = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.1):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    line = (process / "cmdline").read_bytes()
                    data = line + (process / "environ").read_bytes()
                except OSError:
                    continue
                self.engines += b"engine.agent.command" in line or b"engine.pyz" in line
                self.found += ["%s: %r" % (process, line) for secret in self.secrets if secret in data]


def write_vault(folder: Path, secrets: Dict[str, str]) -> List[str]:
    """Write the secrets as a site keeps them, and return the options that open them."""
    (folder / "vault-password").write_text("the vault's own\n", encoding="ascii")
    (folder / "vault.yml").write_text(json.dumps(secrets), encoding="ascii")
    program = str(Path(sys.executable).parent / "ansible-vault")
    options = ["--vault-password-file", str(folder / "vault-password")]
    command = [program, "encrypt", *options, str(folder / "vault.yml")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return [*options, "-e", "@%s" % (folder / "vault.yml")]


def inventory(folder: Path, server: SftpServer) -> Dict[str, Any]:
    storage = {
        "url": "sftp://127.0.0.1:%d%s" % (server.port, server.root),
        "username": "root",
        "host_key": server.fingerprint,
        "private_key": "{{ vault_key }}",
        "private_key_passphrase": "{{ vault_passphrase }}",
    }
    settings = {
        "imaging_storage": storage,
        "imaging_device_name": "pc-1",
        "imaging_drives": [str(folder / "disk.raw")],
        "imaging_restore_map": {"disk0": str(folder / "restored.raw")},
        "imaging_limit_read_rate": "0",
    }
    known = folder / "known_hosts"
    public = Path(str(server.host_key) + ".pub").read_text(encoding="ascii")
    known.write_text("[127.0.0.1]:%d %s" % (server.port, public), encoding="ascii")
    operator = {
        "ansible_host": "127.0.0.1",
        "ansible_port": server.port,
        "ansible_user": "root",
        "ansible_python_interpreter": sys.executable,
        "ansible_ssh_private_key_file": str(server.folder / "operator_key"),
        "ansible_ssh_common_args": "-F none -o IdentitiesOnly=yes -o UserKnownHostsFile=%s" % known,
    }
    settings["bundles"] = str(folder / "bundles")
    base = folder / "base"
    base.mkdir(mode=0o700)
    settings["agent_directory"] = str(base / "agent")
    settings["program"] = str(stand_in())
    subprocess.run(["git", "init", "-q", "--bare", settings["bundles"] + "-history.git"], check=True)
    archive = server.root / "archive"
    archive.mkdir()
    settings["archive"] = dict(storage, url="sftp://127.0.0.1:%d%s" % (server.port, archive))
    hosts = {"pc-1": {"ansible_connection": "local"}}
    groups = {"operators": {"hosts": {"operator": operator}}, "devices": {"hosts": hosts}}
    return {"all": {"children": groups, "vars": settings}}


SWITCHES = ("ANSIBLE_DEBUG", "ANSIBLE_KEEP_REMOTE_FILES", "ANSIBLE_DISPLAY_ARGS_TO_STDOUT")
OTHER_SWITCHES = (
    "ANSIBLE_LOG_PATH",
    "ANSIBLE_CALLBACKS_ENABLED",
    "ANSIBLE_STDOUT_CALLBACK",
    "ANSIBLE_CALLBACK_RESULT_FORMAT",
)
VERBOSE = ("-vvvvv", "--diff")


def play(
    folder: Path, tasks: List[Dict[str, Any]], *options: str, temporary: str = "temporary", **more: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a play of ``tasks`` with every switch that makes Ansible show, log or keep more; ``more`` changes the environment."""
    (folder / temporary).mkdir(exist_ok=True)
    (folder / temporary).chmod(0o1777)
    plays = [{"hosts": "devices", "gather_facts": False, "tasks": tasks}]
    (folder / "play.yml").write_text(json.dumps(plays), encoding="ascii")
    program = str(Path(sys.executable).parent / "ansible-playbook")
    return subprocess.run(
        [program, *options, "-i", str(folder / "hosts.json"), str(folder / "play.yml")],
        cwd=str(ROOT),
        env=dict(
            os.environ,
            ANSIBLE_HOME=str(folder / "home"),
            ANSIBLE_LOG_PATH=str(folder / "ansible.log"),
            ANSIBLE_REMOTE_TEMP=str(folder / temporary),
            ANSIBLE_SYSTEM_TMPDIRS=str(folder / temporary),
            TMPDIR=str(folder / temporary),
            ANSIBLE_CALLBACK_PLUGINS=str(ROOT / "tests" / "support" / "callbacks"),
            ANSIBLE_CALLBACKS_ENABLED=CALLBACKS,
            ANSIBLE_CALLBACK_TREE_DIR=str(folder / "tree"),
            JUNIT_OUTPUT_DIR=str(folder / "junit"),
            RECORD_RESULTS=str(folder / "results.jsonl"),
            **dict(dict.fromkeys(SWITCHES, "1"), **more),
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def one_document(folder: Path, *options: str) -> Tuple[Dict[str, Any], subprocess.CompletedProcess[bytes]]:
    """Run the checks with a callback that makes standard output one JSON document, which the switches that write there spoil."""
    played = play(
        folder,
        CHECKED,
        "--diff",
        "--check",
        *options,
        temporary="temporary-of-one-document",  # it keeps nothing, and would remove what the plays before it left
        **dict.fromkeys(SWITCHES, "0"),
        ANSIBLE_STDOUT_CALLBACK="one_document",
    )
    return json.loads(played.stdout), played


def test_no_secret_is_shown_logged_kept_or_seen(locked: SftpServer, open_path: Path, need: Callable[..., None]) -> None:
    need("sudo", "ssh-keygen", "git")
    folder = open_path
    plain_disks.make_disk(folder / "disk.raw", 4, noise_mib=1, seed=5)
    key = locked.key.read_text(encoding="ascii")
    secrets = {"imaging_password": PASSWORD, "vault_key": key, "vault_passphrase": PASSPHRASE}
    vault = write_vault(folder, secrets)
    (folder / "hosts.json").write_text(json.dumps(inventory(folder, locked)), encoding="ascii")
    words = [PASSWORD.encode(), PASSPHRASE.encode(), key.splitlines()[2].encode()]
    watch = Watch(words)
    watch.start()
    done = play(folder, TASKS, *VERBOSE, *vault)
    checked = play(
        folder,
        CHECKED,
        *(*VERBOSE, "--check", *vault),
        ANSIBLE_STDOUT_CALLBACK="minimal",
        ANSIBLE_CALLBACK_RESULT_FORMAT="yaml",
    )
    document, documented = one_document(folder, *vault)
    watch.over.set()
    watch.join()
    results = [json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    wrong = [(entry["task"], entry["result"].get("msg")) for entry in results if entry["status"] == "failed"]
    assert done.returncode == 0, wrong
    assert checked.returncode == 0, (checked.stdout + checked.stderr)[-3000:]
    assert documented.returncode == 0, (documented.stdout + documented.stderr)[-3000:]
    verbs = [one["task"].rpartition(" : ")[2] for one in document["results"]]
    assert [name for name in verbs if name in CHECKED_NAMES] == CHECKED_NAMES
    assert sum(one["status"] == "failed" for one in document["results"]) == 2
    assert watch.engines
    assert watch.found == []
    failed = [entry["result"] for entry in results if entry["status"] == "failed"]
    assert [one.get("error_code") for one in failed] == ["I100", None, None, "C103", *["I100", "D100"] * 2], (
        "the wrong tasks failed, no others"
    )
    assert b"engine.pyz" in b" ".join(bytes(path) for path in (folder / "temporary").rglob("*")), "files were kept"
    assert any((folder / "junit").iterdir())
    assert any((folder / "tree").iterdir())
    for word in words:
        for played in (done, checked, documented):
            assert word not in played.stdout + played.stderr
        for path in folder.rglob("*"):
            assert not path.is_file() or word not in path.read_bytes(), path


def modules_of(task: Dict[str, Any]) -> Set[str]:
    """The modules of this collection that a task, or the entry point of a role, runs."""
    named = {key for key in task if key.startswith("plantops.imaging.")}
    if "import_role" in task:
        entry = ROOT / "roles" / "imaging" / "tasks" / (task["import_role"]["tasks_from"] + ".yml")
        named.update(re.findall(r"^ *(plantops\.imaging\.[a-z_]+):$", entry.read_text(encoding="utf-8"), re.MULTILINE))
    return {name.rpartition(".")[2] for name in named}


def test_no_module_is_left_out() -> None:
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")} - {"__init__"}
    assert modules - set().union(*map(modules_of, TASKS)) == set()


def test_the_documentation_names_these_switches() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    paragraph = next(line for line in text.splitlines() if Path(__file__).name in line)
    switches, options = re.findall(r"`(ANSIBLE_[A-Z_]+)`", paragraph), re.findall(r"`(-[a-z-]+)`", paragraph)
    assert sorted(switches) == sorted([*SWITCHES, *OTHER_SWITCHES])
    assert sorted(options) == sorted(VERBOSE)
    for name in (*CALLBACKS.split(",")[1:], *STDOUT_CALLBACKS):
        assert "`%s`" % name.rpartition(".")[2] in paragraph
