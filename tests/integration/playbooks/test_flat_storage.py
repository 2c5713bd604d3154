# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flat spellings of a storage, as a credential type of AWX sets them, through the role."""

from __future__ import annotations

from pathlib import Path

from support.playbooks import Site

SHOW = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Load the settings
      ansible.builtin.import_role: {name: plantops.imaging.imaging, tasks_from: settings}
    - name: Show both storages
      ansible.builtin.debug:
        msg: "{{ {'device': __imaging_storage, 'operator': __imaging_operator_storage} }}"
"""


def test_a_play_needs_no_dictionary(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    site.settings = {"imaging_device_alias": "t", "imaging_storage_url": str(site.storage), "imaging_keep": 1}
    checked = site.play("storage_check")
    assert checked.status == 0, checked.output
    assert checked.result("Check the storage")["images"] == 0


def test_a_flat_spelling_fills_and_never_overrides(tmp_path: Path) -> None:
    site = Site(
        tmp_path / "site",
        imaging_storage={"url": "sftp://192.0.2.2/images", "username": "device"},
        imaging_storage_username="other",
        imaging_storage_password="{{ 'from-' ~ 'awx' }}",
        imaging_storage_host_key="SHA256:x",
        imaging_storage_operator_username="operator",
        imaging_storage_operator_private_key="key",
        imaging_jobs=[{"name": "own", "storage": {"url": "/own"}}],
    )
    (tmp_path / "show.yml").write_text(SHOW, encoding="utf-8")
    shown = {}
    for job in ("", "own"):
        played = site.play_file(tmp_path / "show.yml", "-e", "imaging_job=" + job)
        assert played.status == 0, played.output
        shown[job] = played.result("Show both storages")["msg"]
    place = {"url": "sftp://192.0.2.2/images", "host_key": "SHA256:x"}
    assert shown[""]["device"] == {**place, "username": "device", "password": "from-awx"}
    assert shown[""]["operator"] == {**place, "username": "operator", "private_key": "key"}
    assert shown["own"] == {"device": {"url": "/own"}, "operator": {"url": "/own"}}


def test_a_schedule_is_a_part_of_a_job(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", imaging_jobs=[{"name": "daily", "schedule": {"at": "22:00", "every": "day"}}])
    assert site.play("storage_check", "-e", "imaging_job=daily").status == 0
    site.settings["imaging_jobs"][0]["schedule"]["every"] = "year"
    assert site.play("storage_check", "-e", "imaging_job=daily").status != 0
