# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every run of every verb leaves one document: after success, failure and cancelling, and none in check mode."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List

import jsonschema
import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.plantops.imaging.plugins.action.forget_runs import ActionModule as Forgetting
from ansible_collections.plantops.imaging.plugins.action.run_result import ActionModule, _ended, _note_missed
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import DeviceLinkLost
from ansible_collections.plantops.imaging.plugins.module_utils.engine.fleet.results_directory import carry_out, leave
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.agent import AgentRefused
from support import plain_disks
from support.agent_runs import wait_until
from support.paths import ROOT
from support.plain_disks import MIB, PASSWORD
from support.playbooks import Site

SCHEMA = json.loads((ROOT / "docs" / "schemas" / "result.json").read_text(encoding="utf-8"))
# A stdout callback as sites have them: the whole play is one document.
ONE_DOCUMENT = """
DOCUMENTATION = "name: one_document\\ntype: stdout\\nshort_description: x\\ndescription: x\\n"
import json
from ansible.plugins.callback import CallbackBase
class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "stdout", "one_document"
    def v2_playbook_on_stats(self, stats):
        print(json.dumps({"stats": {host: stats.summarize(host) for host in stats.processed}}))
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    plain_disks.make_disk(tmp_path / "disk.raw", 12, noise_mib=3, seed=5)
    return Site(
        tmp_path,
        imaging_drives=[str(tmp_path / "disk.raw")],
        imaging_password=PASSWORD,
        imaging_restore_map={"disk0": str(tmp_path / "restored.raw")},
        imaging_results_directory=str(tmp_path / "results"),
        imaging_copy_directory=str(tmp_path / "copy"),
    )


def documents(site: Site, verb: str = "*") -> List[Dict[str, Any]]:
    """The documents in order of their names; each is as the schema says."""
    found = []
    for path in sorted((site.folder / "results" / "t_pc-1").glob("????-??-??_??-??-??-%s.json" % verb)):
        document = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.validate(document, SCHEMA)
        found.append(document)
    return found


def kept_by(played: Any) -> Dict[str, Any]:
    """The variable imaging_run_result as the plays that follow find it."""
    found: Dict[str, Any] = played.result("Keep the result for the plays that follow")["ansible_facts"]
    return dict(found["imaging_run_result"])


def test_every_verb_leaves_a_document(site: Site) -> None:
    (site.folder / "copy").mkdir()
    for verb in ("storage_check", "image", "verify", "copy", "rollover", "restore", "device_info"):
        played = site.play(verb)
        assert played.status == 0, played.output
        (document,) = documents(site, verb)
        assert (document["verb"], document["device"], document["state"]) == (verb, "t_pc-1", "ok")
        assert document["started"] <= document["ended"]
        assert document["error_code"] is document["message"] is None
        assert played.result("Leave the result")["document"] == document
        assert kept_by(played)["document"] == document
    (image,) = documents(site, "image")
    assert image["bytes_in_use"] == 12 * MIB > image["bytes_stored"] > 0
    assert image["rates"]["in_use_bytes_per_second"] > 0
    assert image["snapshot"] in ("offline", "live", "stable")
    assert (site.device / image["image"] / "image.json").exists()
    assert image["rollover"]["deleted"] == []
    (verify,) = documents(site, "verify")
    assert verify["verification"]["ok"] is True
    assert verify["image"] == image["image"]
    assert {path.name for path in (site.folder / "results").iterdir()} == {"t_pc-1"}


def test_a_run_that_fails_in_any_task_leaves_a_document_without_secrets(site: Site) -> None:
    site.settings["imaging_drives"] = [str(site.folder / "missing.raw")]
    assert site.play("image").status == 2
    site.settings.update(imaging_password=12345678)
    assert site.play("image").status == 2
    site.settings.update(imaging_password=PASSWORD, imaging_storage={"url": "{{ undefined_of_the_site }}/x"})
    assert site.play("image").status == 2
    first, second, third = documents(site)
    assert [one["state"] for one in (first, second, third)] == ["failed"] * 3
    assert first["error_code"].startswith("D")
    assert "missing.raw" in first["message"]
    assert (second["error_code"], third["error_code"]) == ("J181", "J181")
    text = "".join(path.read_text(encoding="utf-8") for path in (site.folder / "results").rglob("*.json"))
    assert PASSWORD not in text
    assert "12345678" not in text


def test_two_runs_of_the_same_second_have_two_documents_and_check_mode_has_none(site: Site) -> None:
    assert site.play("storage_check", "--check").status == 0
    assert not (site.folder / "results").exists()
    assert site.play("image").status == 0
    (name,) = (path.name for path in (site.folder / "results" / "t_pc-1").iterdir())
    playbook = site.folder / "twice.yml"
    task = {
        "plantops.imaging.run_result": {
            "verb": "image",
            "device_name": "pc-1",
            "device_alias": "t",
            "directory": "{{ imaging_results_directory }}",
            "started": "2026-11-29T17:50:00Z",
            "moment": name[: len("2026-11-29_17-50-00")],
            "result": {"image": "x"},
        }
    }
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
    assert site.play_file(playbook).status == 0
    assert len(documents(site, "image*")) == 2


def test_a_directory_without_a_parent_is_refused_by_its_name(site: Site) -> None:
    site.settings["imaging_results_directory"] = str(site.folder / "a" / "b")
    played = site.play("storage_check")
    assert played.status == 2
    assert played.result("Leave the result")["error_code"] == "J180"
    assert not (site.folder / "a").exists()


def test_the_summary_ends_the_play_and_spoils_no_document_on_standard_output(site: Site) -> None:
    enabled = {"ANSIBLE_CALLBACKS_ENABLED": "record_results,plantops.imaging.summary"}
    played = site.play("image", env=enabled)
    assert played.status == 0
    (image,) = documents(site, "image")
    lines = played.output.rstrip().splitlines()
    ends = ["imaged: 1 (pc-1)", "failed: none", "not reached: none", "changed disks: none", "no new image: none"]
    assert lines[-5:] == ends
    assert any(line.startswith("pc-1") and image["image"] in line for line in lines)
    command = site.command("storage_check")
    (site.folder / "callbacks").mkdir()
    (site.folder / "callbacks" / "one_document.py").write_text(ONE_DOCUMENT, encoding="utf-8")
    folders = "%s:%s" % (ROOT / "tests" / "support" / "callbacks", site.folder / "callbacks")
    as_json = dict(enabled, ANSIBLE_STDOUT_CALLBACK="one_document", ANSIBLE_CALLBACK_PLUGINS=folders)
    done = subprocess.run(
        command, cwd=str(ROOT), env=site.environment(as_json), capture_output=True, text=True, check=False
    )
    assert json.loads(done.stdout)["stats"]["pc-1"]["failures"] == 0
    assert "storage_check ok: 1 (pc-1)" in done.stderr


def test_a_device_that_is_off_is_told_as_not_reached(site: Site) -> None:
    site.settings.update(ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=1)
    env = {"ANSIBLE_CALLBACKS_ENABLED": "record_results,plantops.imaging.summary"}
    command = [*site.command("image"), "-e", "ansible_connection=ssh"]
    done = subprocess.run(
        command, cwd=str(ROOT), env=site.environment(env), capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert "not reached: 1 (pc-1)" in done.stdout


def runs_of(base: Path) -> List[str]:
    return sorted(path.name for path in (base / "spool").glob("image-*"))


def run_state(base: Path, run: str) -> str:
    return str(json.loads((base / "spool" / run / "status.json").read_text(encoding="ascii"))["state"])


@pytest.mark.long
def test_the_next_play_leaves_the_results_of_runs_whose_play_was_killed(site: Site) -> None:
    """One play is killed while its run works; one only starts its run. Both runs end on the device."""
    site.folder.chmod(0o700)
    (site.folder / "base").mkdir(mode=0o700)
    base = site.folder / "base" / "agent"
    site.settings.update(imaging_agent_directory=str(base), imaging_limit_read_rate="4")
    command = [*site.command("image"), "-e", "imaging_wait=false"]
    assert subprocess.run(command, cwd=str(ROOT), env=site.environment(), check=False).returncode == 0
    assert documents(site) == [], "the run has not ended"
    (started,) = (path.name for path in (base / "spool").glob("image-*"))
    wait_until(lambda: run_state(base, started) == "done", 120)
    killed = site.begin()
    wait_until(lambda: [run_state(base, run) for run in runs_of(base)].count("running") == 1, 120)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    runs = runs_of(base)
    wait_until(lambda: {run_state(base, run) for run in runs} == {"done"}, 120)
    assert site.play("image").status == 0
    found = documents(site, "image*")
    assert len(found) == 3
    assert set(runs) < {one["run"] for one in found}
    assert [one["state"] for one in found] == ["ok"] * 3
    assert len({one["image"] for one in found}) == 3
    assert site.play("image").status == 0
    assert len(documents(site, "image*")) == 4, "a run has one document, however many plays see it"


def with_agent(site: Site) -> Path:
    """The site uses an agent of its own; return the agent's folder."""
    site.folder.chmod(0o700)
    (site.folder / "base").mkdir(mode=0o700)
    base = site.folder / "base" / "agent"
    site.settings.update(imaging_agent_directory=str(base))
    subprocess.run(["mkdir", "-p", "-m", "700", str(base)], check=True)
    return base


def test_a_run_stays_on_the_device_until_its_document_is_stored(site: Site) -> None:
    """As after a play that is killed between the end of its run and the task that leaves the document."""
    base = with_agent(site)
    site.settings.update(imaging_results_directory=str(site.folder / "missing" / "results"))
    played = site.play("image")
    assert played.result("Leave the result")["error_code"] == "J180"
    (kept,) = runs_of(base)
    site.settings.update(imaging_results_directory=str(site.folder / "results"))
    assert site.play("image").status == 0
    first, second = documents(site)
    assert (first["run"], first["state"], second["state"]) == (kept, "ok", "ok")
    assert runs_of(base) == [], "the play that stored the documents had the device delete the runs"
    for path in (site.folder / "results" / "t_pc-1").iterdir():
        path.unlink()
    assert site.play("image").status == 0
    assert len(documents(site)) == 1, "a document that the site deleted does not reappear"


def test_the_end_of_a_run_replaces_the_document_of_a_play_that_lost_the_device(tmp_path: Path) -> None:
    """Only that: the document of a hook that failed, and that of an end that was seen, stay."""
    run = {"run": "image-0123456789abcdef-20261129-175000-1a2b3c", "state": "ok", "error_code": None}
    for early, is_replaced in (("A400", True), ("A405", True), ("J183", False), ("S104", False), (None, False)):
        folder, name = str(tmp_path / str(early)), "2026-11-29_17-50-00-image.json"
        leave(folder, "pc-1", name, dict(run, error_code=early, state="failed"))
        order = _ended("pc-1", [dict(run, state="done", started="x", updated="y", result={"image": "z"})])
        assert order[0]["name"] == name
        left = leave(folder, "pc-1", name, run, supersedes=order[0]["supersedes"])
        assert left.changed is is_replaced
        assert (json.loads(Path(left.path).read_text(encoding="ascii"))["state"] == "ok") is is_replaced
        assert len(list((tmp_path / str(early) / "pc-1").iterdir())) == 1


RUN = "image-0123456789abcdef-20261129-1750%02d-1a2b3c"


@pytest.mark.parametrize(("state", "followed"), [("done", [RUN % 3]), ("running", []), ("waiting", [])])
def test_the_runs_whose_documents_are_stored_are_told(tmp_path: Path, state: str, followed: List[str]) -> None:
    """Also where the play only starts its own run. A run of another program than this collection has no document."""
    ended = [
        {
            "run": run,
            "state": "done",
            "started": "2026-11-29T17:50:00Z",
            "updated": "2026-11-29T17:55:00Z",
            "result": {},
        }
        for run in (RUN % 1, RUN % 2, "image-of-somebody")
    ]
    arguments: Dict[str, Any] = {"device_name": "pc-1", "device_alias": "", "verb": "image", "job": "", "others": []}
    arguments.update(hook={}, replaces="", started="2026-11-29T18:00:00Z", moment="2026-11-29_18-00-00")
    arguments.update(directory=str(tmp_path), result={"run": RUN % 3, "state": state, "ended_runs": ended})
    action = ActionModule.__new__(ActionModule)
    action._task = SimpleNamespace(check_mode=False)
    action.done = {}
    action._host = "pc-1"
    action._carry_out = lambda order: carry_out(order)["left"]  # type: ignore[method-assign]
    assert action.work(arguments)["stored_runs"] == [RUN % 1, RUN % 2, *followed]
    # A run that was only looked at stays, and so does one whose task failed before its end was seen.
    lost = {"run": RUN % 3, "failed": True, "error_code": "A400", "msg": "x", "hint": "h"}
    for result in ({"run": RUN % 3, "state": "done", "status": ended[0]}, lost):
        assert action.work(dict(arguments, result=result))["stored_runs"] == []


class Forgetful(Forgetting):  # type: ignore[misc]
    """A device that can't be asked, or whose agent refuses."""

    def __init__(self, failure: Exception, fails_first: bool) -> None:
        self._task = SimpleNamespace(check_mode=False)
        self.failure, self.fails_first = failure, fails_first
        self.told: List[str] = []

    def say(self, sentence: str) -> None:
        self.told.append(sentence)

    def open_link(self, dummy_arguments: Dict[str, Any]) -> Any:
        return None

    def look_at_agent(self, dummy_link: Any, dummy_arguments: Dict[str, Any]) -> Any:
        if self.fails_first:
            raise self.failure
        return SimpleNamespace(current="x", call=self.call)

    def call(self, dummy_verb: str, run: str) -> Dict[str, Any]:
        if run == RUN % 2:
            raise self.failure
        return {"changed": True}


@pytest.mark.parametrize("fails_first", [True, False])
@pytest.mark.parametrize(
    "failure",
    [
        DeviceLinkLost(device="pc-1", seconds=30, reason="cut"),
        AnsibleConnectionFailure("cut"),
        AgentRefused({"code": "A200", "message": "no", "hint": "h"}),
    ],
    ids=["lost", "off", "refused"],
)
def test_runs_that_can_not_be_deleted_do_not_fail_the_play(failure: Exception, fails_first: bool) -> None:
    device = Forgetful(failure, fails_first)
    found = device.work({"runs": [RUN % 1, RUN % 2]})
    assert found == {"changed": not fails_first, "forgotten": [] if fails_first else [RUN % 1]}
    assert len(device.told) == 1


@pytest.mark.parametrize("state", ["failed", "lost", "cancelled", "done"])
def test_a_look_at_a_run_that_ended_leaves_its_own_end(state: str) -> None:
    """A task that only looks at a run, or comes too late to cancel it, succeeds; the run may have failed."""
    run = "image-0123456789abcdef-20261129-175000-1a2b3c"
    status: Dict[str, Any] = {"run": run, "state": state, "warnings": ["w"]}
    status.update(started="2026-11-29T17:50:00Z", updated="2026-11-29T17:55:00Z")
    if state == "done":
        status["result"] = {"image": "2026-11-29_17-50-00", "bytes_in_use": 5, "seconds": 2}
    else:
        code = "J101" if state == "cancelled" else "S104"
        status["error"] = {"code": code, "message": "It ended.", "hint": "h"}
    arguments: Dict[str, Any] = {"device_name": "pc-1", "device_alias": "t", "verb": "image", "job": "", "others": []}
    arguments.update(hook={}, started="2026-11-29T18:00:00Z", result={"changed": False, "run": run, "state": state})
    arguments["result"]["status"] = status
    action = ActionModule.__new__(ActionModule)
    action._host = "pc-1"
    document = action._document(arguments)
    jsonschema.validate(document, SCHEMA)
    assert document["state"] == {"done": "ok", "cancelled": "cancelled"}.get(state, "failed")
    assert (document["run"], document["ended"], document["warnings"]) == (run, "2026-11-29T17:55:00Z", ["w"])
    assert document["image"] == ("2026-11-29_17-50-00" if state == "done" else None)


def test_the_secrets_of_a_job_are_taken_out_of_what_ansible_says() -> None:
    action = ActionModule.__new__(ActionModule)
    job = {"name": "x", "storage": {"password": "geheim-1"}, "archive": {"private_key": "geheim-2"}}
    values = {"imaging_jobs": [job], "imaging_storage": {"password": "geheim-3"}, "imaging_password": "geheim-4"}
    action._value = values.get  # type: ignore[method-assign, assignment]
    text = action._redacted("geheim-1 geheim-2 geheim-3 geheim-4 x")
    assert "geheim" not in text
    assert text.endswith(" x")


@pytest.mark.parametrize(
    ("verb", "state", "hooks", "due"),
    [
        ("image", "done", ["after", "failed"], ["after"]),
        ("image", "failed", ["after", "failed"], ["after", "failed"]),
        ("image", "cancelled", ["failed"], ["failed"]),
        ("image", "done", ["failed"], []),
        ("image", "lost", [], []),
        ("restore", "failed", ["after", "failed"], []),
    ],
)
def test_the_hooks_that_were_due_are_named_in_the_document(
    verb: str, state: str, hooks: List[str], due: List[str]
) -> None:
    run = "%s-0123456789abcdef-20261129-175000-1a2b3c" % verb
    status: Dict[str, Any] = {"run": run, "state": state, "started": "x", "updated": "y", "warnings": ["w"] * 200}
    status.update({"result": {}} if state == "done" else {"error": {"code": "S104", "message": "m", "hint": "h"}})
    (one,) = _ended("pc-1", [status])
    _note_missed(one["document"], hooks)
    jsonschema.validate(one["document"]["warnings"], SCHEMA["properties"]["warnings"])
    named = [text for text in one["document"]["warnings"] if run in text]
    assert len(named) == (1 if due else 0)
    words = named[0].partition(" may ")[0].split() if named else []
    assert [hook for hook in ("after", "failed") if hook in words] == due
