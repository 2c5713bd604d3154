# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories as people break them, file by file: each gives its error with file, line, host and key, and shows no secret."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Dict, NamedTuple, Tuple

import pytest
from support.inventories import ALL, GOOD, HOST, HOSTS, LINE, SECRET, STORAGE, checked, finding, written
from support.paths import ROOT
from support.playbooks import Site

OTHER, MORE = "host_vars/press-12.yml", "more"
NOBODY = ""  # what concerns no host


class Wrong(NamedTuple):
    """What somebody wrote into a file of the good inventory: added to its end, or in the place of ``old``."""

    code: str
    host: str
    key: str
    file: str
    line: int
    text: str
    old: str = ""

    def files(self) -> Dict[str, str]:
        good = "---\n" if self.file == HOST else GOOD.get(self.file, "")
        if self.old == "*":
            return {self.file: self.text}
        assert self.old in good
        return {self.file: good.replace(self.old, self.text, 1) if self.old else good + self.text + "\n"}


def own(code: str, key: str, text: str, line: int = 2) -> Wrong:
    """A fault in the file of press-11."""
    return Wrong(code, "press-11", key, HOST, line, text)


SEALED_TEXT = "$ANSIBLE_VAULT;1.1;AES256\n  6333"
KEY_LINE = "ssh-ed25519 AAAA"
FILES = [
    # What is not YAML, or not the YAML that was meant.
    own("J155", "", "imaging_exclude:\n\t- /var/log", 3),
    own("J155", "", "imaging_exclude:\n  - *.tmp", 3),
    own("J155", "", "imaging_password: {{ vault_password }}"),
    own("J155", "", "imaging_copy_directory: '/backup", 3),
    own("J155", "", 'imaging_drives: ["C:\\"]', 3),
    own("J155", "", "imaging_keep 7\nimaging_adopt: false", 3),
    own("J155", "", "imaging_keep:7\nimaging_adopt: false", 3),
    own("J155", "", "imaging_password: !vaul |\n  " + SEALED_TEXT),
    own("J155", "", "imaging_password: !" + SECRET),
    own("J155", "", "imaging_password: *" + SECRET),
    Wrong("J155", NOBODY, "", ALL, 5, "username: imaging", "  username: imaging"),
    Wrong("J155", NOBODY, "", ALL, 4, "     username: imaging", "  username: imaging"),
    Wrong("J146", "press-12", "imaging_jobs[2].name", ALL, 12, "  - keep: 12", "    keep: 12"),
    own("J202", "imaging_keep", "imaging_keep: 7\nimaging_keep: 9", 3),
    Wrong("J202", "press-11", "imaging_storage.url", ALL, 4, "  url: /images\n  username: x", "  username: imaging"),
    Wrong("J202", NOBODY, "line1", HOSTS, 6, "line1:\n  hosts:\n    press-13: {}"),
    # Hosts files.
    Wrong("J155", NOBODY, "line1.host", HOSTS, 3, "line1:\n  host:", "line1:\n  hosts:"),
    Wrong("J155", NOBODY, "line1.hosts", HOSTS, 3, "---\nline1:\n  hosts: [press-11, press-12]\n", "*"),
    Wrong("J155", NOBODY, "line1.press-11", HOSTS, 3, "---\nline1:\n  press-11: {}\n", "*"),
    Wrong("J155", NOBODY, "plant.children", HOSTS, 7, "plant:\n  children: [line1]"),
    Wrong("J155", NOBODY, "line1.hosts.press-11", HOSTS, 4, "press-11: line 1", "press-11: {}"),
    Wrong("J155", NOBODY, "a", HOSTS, 10, "a:\n  children:\n    b:\n      children:\n        a: {}"),
    Wrong("J155", NOBODY, "", MORE, 1, "[line1:var]\nimaging_keep=3"),
    Wrong("J155", NOBODY, "", MORE, 2, "[line1]\npress-13 imaging_keep: 3"),
    Wrong("J204", NOBODY, "", "", 1, "---\n", "*")._replace(file=HOSTS),
    # Names.
    Wrong("J203", NOBODY, "lin1", "group_vars/lin1.yml", 1, "imaging_keep: 3"),
    Wrong("J203", NOBODY, "pres-11", "host_vars/pres-11.yml", 1, "imaging_keep: 3"),
    Wrong("J203", NOBODY, "lien1", HOSTS, 8, "plant:\n  children:\n    lien1: {}"),
    own("J149", "imaging_device_name", "imaging_device_name: Press-12"),
    own("J149", "imaging_device_name", "imaging_device_alias: ''\nimaging_device_name: LINE1_press-12", 3),
    own("J148", "imaging_device_name", "imaging_device_alias: ''\nimaging_device_name: Lpt9.txt", 3),
    own("J148", "imaging_device_name", "imaging_device_name: press-11..."),
    own("J148", "imaging_device_name", "imaging_device_name: 'press\\11'"),
    Wrong("J150", "127.0.0.1", "imaging_device_alias", HOSTS, 8, "own:\n  hosts:\n    127.0.0.1: {}"),
    # Units, booleans, scalars and lists.
    own("J145", "imaging_limit_io_rate", "imaging_limit_io_rate: 10MB"),
    own("J145", "imaging_limit_io_rate", "imaging_limit_io_rate: 10 MiB/s"),
    own("J145", "imaging_keep", "imaging_keep: 7 days"),
    own("J145", "imaging_storage.time_limit_seconds", "imaging_storage: {url: /images, time_limit_seconds: 1h}"),
    own("J142", "imaging_limit_io_rate", "imaging_limit_io_rate: '2,5'"),
    own("J144", "imaging_compare", "imaging_compare: no"),
    own("J144", "imaging_snapshot", "imaging_snapshot: yes"),
    own("J142", "imaging_adopt", "imaging_adopt: ja"),
    own("J142", "imaging_storage", "imaging_storage: [{url: /images}]"),
    own("J142", "imaging_drives[0]", "imaging_drives:\n  - C:\n  - D:", 3),
    own("J160", "imaging_drives", "imaging_drives: C"),
    own("J160", "imaging_drives[0]", "imaging_drives: [sda]"),
    own("D130", "imaging_exclude[0]", "imaging_exclude: ['C:\\Temp\\***']"),
    own("J142", "imaging_archive_every", "imaging_archive_every: day"),
    # Schedules, windows and jobs.
    own("J142", "imaging_jobs[0].schedule", "imaging_jobs: [{name: a, schedule: '0 22 * * *'}]"),
    own("J142", "imaging_jobs[0].schedule.at", "imaging_jobs: [{name: a, schedule: {at: '10:00 pm', every: day}}]"),
    own("J144", "imaging_jobs[0].schedule.every", "imaging_jobs: [{name: a, schedule: {at: '22:00', every: daily}}]"),
    own("J142", "imaging_window", "imaging_window: 10pm-5am"),
    own("J140", "imaging_start_window", "imaging_start_window: 22:00-05:00"),
    own("J140", "imaging_retention", "imaging_retention: 7"),
    own("J209", "imaging_jobs[0].password", "imaging_jobs: [{name: a, password: %s}]" % SECRET),
    own("J141", "imaging_jobs[0].retention", "imaging_jobs: [{name: a, retention: 7}]"),
    own("J121", "imaging_jobs[1].name", "imaging_jobs:\n  - {name: daily}\n  - {name: daily}", 4),
    own("J122", "imaging_forget_jobs[0]", "imaging_forget_jobs: daily,weekly"),
    # Hooks.
    own("J208", "imaging_hooks.before", "imaging_hooks: {before: ../hooks/missing.yml}"),
    own("J208", "imaging_jobs[0].hooks.after", "imaging_jobs: [{name: a, hooks: {after: missing.yml}}]"),
    own("J142", "imaging_hooks.device.after", "imaging_hooks: {device: {after: systemctl start hmi}}"),
    own("J141", "imaging_hooks.device.before", "imaging_hooks: {device: {before: [x], after: [x]}}"),
    # Storages.
    own("J156", "imaging_storage.url", STORAGE % ("smb://server/images", "")),
    own("J156", "imaging_storage.url", STORAGE % ("SFTP://server/images", "")),
    own("J156", "imaging_storage.url", STORAGE % ("imaging@server:/images", "")),
    own("J156", "imaging_storage.url", STORAGE % ("sftp://ser ver/images", "")),
    own("J156", "imaging_storage.url", STORAGE % ("\\server\\share", "")),
    own("J156", "imaging_storage.url", STORAGE % ("sftp://server:22x/images", "")),
    own("J146", "imaging_storage.url", STORAGE % ("", "")),
    own("J142", "imaging_storage.port", STORAGE % ("\\\\server\\share", ", port: smb")),
    own("J184", "imaging_storage.host_key", STORAGE % ("sftp://server/x", ", host_key: accept_new")),
    own("J184", "imaging_storage.host_key", STORAGE % ("sftp://server/x", ", host_key: 'MD5:aa:bb:cc'")),
    own("J184", "imaging_storage.host_key", STORAGE % ("sftp://server/x", ", host_key: '%s'" % KEY_LINE)),
    own("J146", "imaging_archive.url", "imaging_archive: {username: x}"),
    own("J146", "imaging_copy_storage.url", "imaging_copy_storage: {username: x}"),
    own("J140", "imaging_storage_user", "imaging_storage_user: imaging"),
    # Secrets in each spelling and in each place.
    own("J152", "imaging_password", "imaging_password: !vault |\n  %s" % SECRET),
    own("J152", "imaging_password", "imaging_password: |\n  " + SEALED_TEXT),
    own("J207", "imaging_password", "imaging_password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  not hex"),
    own("J152", "imaging_password", "imaging_password: !unsafe %s" % SECRET),
    own("J152", "imaging_password", "imaging_password: '{{ a }}'\na: '{{ b }}'\nb: %s" % SECRET, 4),
    own("J152", "imaging_password_previous", "imaging_password_previous: %s" % SECRET),
    own("J152", "imaging_storage.private_key", STORAGE % ("sftp://server/x", ", private_key: " + SECRET)),
    own("J152", "imaging_storage_private_key", "imaging_storage_private_key: %s" % SECRET),
    own("J152", "imaging_storage_private_key_passphrase", "imaging_storage_private_key_passphrase: %s" % SECRET),
    own("J152", "imaging_storage_operator.password", "imaging_storage_operator: {password: %s}" % SECRET),
    own("J152", "imaging_storage_operator_password", "imaging_storage_operator_password: %s" % SECRET),
    own("J152", "imaging_storage_operator_private_key", "imaging_storage_operator_private_key: %s" % SECRET),
    own("J152", "imaging_archive.password", "imaging_archive: {url: /archive, password: %s}" % SECRET),
    own("J152", "imaging_copy_storage.password", "imaging_copy_storage: {url: /copy, password: %s}" % SECRET),
    own(
        "J152",
        "imaging_jobs[0].archive.password",
        "imaging_jobs: [{name: a, archive: {url: /a, password: %s}}]" % SECRET,
    ),
    own("J152", "ansible_become_password", "ansible_become_password: %s" % SECRET),
    Wrong("J152", "press-11", "imaging_password", MORE, 2, "[line1]\npress-11 imaging_password=%s" % SECRET),
    Wrong("J152", "press-12", "imaging_password", LINE, 3, "imaging_password: %s" % SECRET),
    own("J156", "imaging_storage.url", "imaging_storage: {url: 'sftp://imaging:%s@server/x'}" % SECRET),
    own("J140", "imaging_pasword", "imaging_pasword: %s" % SECRET),
    own("J141", "imaging_storage.pasword", "imaging_storage: {url: /images, pasword: %s}" % SECRET),
    # Templates.
    own("J206", "imaging_password", "imaging_password: '{{ vault_password }'"),
    own("J206", "imaging_storage.url", "imaging_storage: {url: 'sftp://{% if x %}server/y'}"),
    own("J205", "imaging_password", "imaging_password: '{{ vault_pasword }}'"),
    own("J200", "imaging_password", "imaging_password: '{{ imaging_password }}'"),
    own("J184", "imaging_image", "imaging_image: monthly"),
]
WARNINGS = ("J205",)


def identity(wrong: Wrong) -> str:
    return "%s %s" % (wrong.code, wrong.text.replace("\n", " ")[:60])


@pytest.mark.parametrize("wrong", FILES, ids=identity)
def test_each_is_told_where_it_is(wrong: Wrong, tmp_path: Path) -> None:
    found = checked(written(tmp_path, **wrong.files()))
    places = [(one.code, one.host, one.key, one.line) for one in found if one.file == str(tmp_path / wrong.file)]
    if wrong.code == "J204":
        assert [(one.code, one.file) for one in found] == [("J204", str(tmp_path))]
        return
    assert (wrong.code, wrong.host, wrong.key, wrong.line) in places, found
    (told,) = {one.level for one in found if (one.code, one.key) == (wrong.code, wrong.key)}
    assert told == (finding.WARNING if wrong.code in WARNINGS else finding.ERROR)
    assert {one.code for one in found if one.level == finding.ERROR} <= {wrong.code, *_WITH.get(wrong.code, ())}
    assert SECRET not in str(found)


# What one fault may bring with it: a template without a value, a group without hosts, a key that opens nothing.
_WITH: Dict[str, Tuple[str, ...]] = {"J152": ("J147", "J142"), "J142": ("J146",), "J141": ("J146",)}


def test_fifty_of_them_and_more() -> None:
    assert len({wrong.text for wrong in FILES}) >= 93


def test_a_sample_of_them_through_the_playbook(tmp_path: Path) -> None:
    """A duplicate key, a hosts file without hosts, a broken file and a literal secret: one play tells all of them."""
    folder = tmp_path / "plant"
    folder.mkdir()
    files = {
        HOST: "---\nimaging_keep: 7\nimaging_keep: 0\nimaging_password: %s\n" % SECRET,
        OTHER: FILES[0].files()[HOST],
        "group_vars/lin1.yml": "imaging_keep: 3\n",
        HOSTS: GOOD[HOSTS] + "line2:\n  hosts: [press-21]\n",
    }
    written(folder, **files)
    site, report = Site(tmp_path / "site"), tmp_path / "report"
    words = ["-i", str(folder), "plantops.imaging.validate", "-e", "imaging_validate_report=%s" % report]
    done = subprocess.run(
        [str(site.programs / "ansible-playbook"), *words],
        cwd=str(ROOT),
        env=site.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    found = json.loads(Path(str(report) + ".json").read_text(encoding="utf-8"))
    assert {(one["code"], one["host"], one["key"], one["line"]) for one in found if one["level"] == "error"} == {
        ("J202", "press-11", "imaging_keep", 3),
        ("J143", "press-11", "imaging_keep", 3),
        ("J152", "press-11", "imaging_password", 4),
        ("J155", "press-12", "", 3),
        ("J155", "", "line2.hosts", 7),
    }
    assert SECRET not in done.stdout + json.dumps(found)
