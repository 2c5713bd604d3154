# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts and values of an inventory are those that Ansible itself reads from it; what Ansible refuses or passes over is told."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Union

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager
from support.inventories import ALL, GOOD, HOST, HOSTS, LINE, check, checked, finding, sources

_PLUGINS = "ansible_collections.plantops.imaging.plugins.plugin_utils._inventory."
nodes, precedence = (import_module(_PLUGINS + name) for name in ("nodes", "precedence"))
Files = Dict[str, Union[str, bytes, None]]
Values = Dict[str, Dict[str, Any]]
PLAIN = GOOD[ALL].split("vault_storage:")[0]  # without sealed values, which have no key here
INI, TOML = "hosts", "hosts.toml"


def made(folder: Path, files: Files) -> Path:
    """Write the good inventory with ``files`` in it; None removes a file."""
    for name, text in {**GOOD, ALL: PLAIN, **files}.items():
        if text is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def of_ansible(folder: Path, *others: str) -> Values:
    """The variables of each host as a play has them, without those that Ansible adds."""
    loader = DataLoader()
    loader.set_basedir(str(folder.parent / "playbooks"))
    inventory = InventoryManager(loader=loader, sources=[str(folder), *others])
    manager = VariableManager(loader=loader, inventory=inventory)
    return {
        str(host): {
            str(name): value
            for name, value in manager.get_vars(host=host, include_hostvars=False).items()
            if not str(name).startswith(("ansible_", "inventory_", "group", "omit", "playbook_dir"))
        }
        for host in inventory.get_hosts()
    }


def plain(node: Any) -> Any:
    if isinstance(node.value, dict):
        return {name: plain(one) for name, one in node.value.items()}
    return [plain(one) for one in node.value] if isinstance(node.value, list) else node.value


def of_ours(folder: Path, *others: str) -> Values:
    inventory = sources.read([str(folder), *others])
    hosts = precedence.Hosts(inventory)
    return {
        host: {
            name: plain(node)
            for name, node in hosts.variables(host).items()
            if not name.startswith(("ansible_", "inventory_"))
        }
        for host in inventory.hosts
    }


ALIKE: Dict[str, Files] = {
    "a file of a host without suffix, whose name has dots": {
        HOSTS: "---\nline1:\n  hosts:\n    press-11.plant.example: {}\n",
        "host_vars/press-11.plant.example": "imaging_keep: 3\n",
    },
    "a folder of a host whose name has dots": {
        HOSTS: "---\nline1:\n  hosts:\n    press-11.plant.example: {}\n",
        "host_vars/press-11.plant.example/imaging.yml": "imaging_keep: 3\n",
    },
    "a folder beside a file": {"group_vars/line1/own.yml": "imaging_keep: 3\n"},
    "a file beside the folder of all": {"group_vars/all.yml": "imaging_keep: 3\nimaging_adopt: true\n"},
    "two suffixes": {"group_vars/line1.yaml": "imaging_keep: 3\n", "group_vars/line1.json": '{"imaging_keep": 4}'},
    "no suffix before all others": {"group_vars/line1": "imaging_keep: 3\n"},
    "folders in folders, those with a suffix too": {
        "group_vars/all/deep/a.yml": "imaging_keep: 3\n",
        "group_vars/all/put.aside/a.yml": "imaging_keep: 4\n",
        "group_vars/all/.hidden/a.yml": "imaging_keep: 5\n",
    },
    "backups and notes": {
        "group_vars/LICENSE": "Text: with: colons\n",
        "group_vars/README.md": "# a: b: c\n",
        "host_vars/press-11.yml.bak": "imaging_keep: [\n",
        "host_vars/press-12.off": "imaging_keep: 4\n",
        "host_vars/press-12.yml~": "imaging_keep: 4\n",
    },
    "an INI file with the mark of a Windows editor's line ends": {
        HOSTS: None,
        INI: "[line1]\r\npress-11\r\npress-12 imaging_keep=3\r\n",
    },
    "YAML with a byte order mark": {ALL: "\ufeff" + PLAIN},
    "INI: comments, quotes, numbers, ports": {
        HOSTS: None,
        INI: "# a\n; b\n[line1] # c\npress-[11:12]:2222 imaging_keep=3 # d\n[line1:vars]\nimaging_archive_comment = a # b\n"
        "imaging_limit_io_rate=2 # e\nimaging_drives=['C:']\nimaging_adopt=true\n[plant:children]\nline1 # f\n"
        "[plant:vars]\nimaging_compare=none\n",
    },
    "INI: a group that a later section defines": {HOSTS: None, INI: "[plant:children]\nline1\n[line1]\npress-11\n"},
    "INI: variables before the hosts": {HOSTS: None, INI: "[line1:vars]\nimaging_keep=3\n[line1:hosts]\npress-11\n"},
    "INI: a group of another file": {"zz": "[line1:vars]\nimaging_keep=3\n"},
    "INI: a group with dots, dashes and other letters": {
        HOSTS: None,
        INI: "[linie-ä.1]\nPresse-Süd imaging_keep=3\n[linie-ä.1:vars]\nimaging_snapshot=none\n",
        "host_vars/Presse-Süd.yml": "imaging_device_alias: ü\n",
    },
    "a host in two files": {
        "z.yml": "line1: {hosts: {press-11: {imaging_keep: 3}}}\n",
        "a.yml": "line1: {hosts: {press-11: {imaging_keep: 4}}}\n",
    },
    "two ways to one group": {
        HOSTS: "top:\n  vars: {imaging_keep: 1}\n  children:\n"
        "    m1: {children: {line1: {hosts: {press-11: {}}}}, vars: {imaging_keep: 2}}\n"
        "    m2: {children: {line1: {}}, vars: {imaging_keep: 5}}\n",
    },
    "a group that goes first": {
        HOSTS: "a:\n  vars: {ansible_group_priority: 10, imaging_keep: 1}\n  hosts: {press-11: {}}\n"
        "b:\n  vars: {imaging_keep: 3}\n  hosts: {press-11: {}}\n",
    },
    "merges and aliases": {
        HOST: "x: &x {keep: 3, drives: system}\nlist: &l [{url: /a}, {username: u}]\n"
        "imaging_jobs:\n  - <<: *x\n    name: a\n  - {name: b, <<: *x, keep: 4}\n"
        "y: &y {url: /b}\nz: &z {username: v, url: /c}\nimaging_storage:\n  <<: [*y, *z]\n",
    },
    "a text for a dictionary of hosts": {HOSTS: "line1:\n  hosts: press-11\n  children: line2\n"},
}


@pytest.mark.parametrize("files", ALIKE.values(), ids=ALIKE)
def test_hosts_and_values_are_those_of_ansible(files: Files, tmp_path: Path) -> None:
    folder = made(tmp_path / "plant", files)
    theirs = of_ansible(folder)
    assert theirs
    assert of_ours(folder) == theirs


def test_two_inventories_and_a_list(tmp_path: Path) -> None:
    folder = made(tmp_path / "plant", {})
    other = made(tmp_path / "other", {LINE: "imaging_keep: 2\n", ALL: "imaging_adopt: true\n"})
    for sequence in ([str(other), "robot-1,robot-2,"], ["robot-1,", str(other)]):
        assert of_ours(folder, *sequence) == of_ansible(folder, *sequence)


def test_a_hosts_file_that_may_be_run_is_read(tmp_path: Path) -> None:
    """On a file system of Windows every file may be run. Ansible tries that, and then reads it."""
    folder = made(tmp_path / "plant", {HOSTS: None, INI: "[line1]\npress-11\npress-12 imaging_keep=0\n"})
    (folder / INI).chmod(0o755)
    assert of_ours(folder) == of_ansible(folder)
    assert [(one.code, one.host) for one in checked(folder)] == [("J143", "press-12")]
    (folder / INI).write_text('#!/bin/sh\necho \'{"line1": {"hosts": ["press-31"]}}\'\n', encoding="utf-8")
    assert list(of_ansible(folder)) == ["press-31"]
    assert [(one.code, one.level) for one in checked(folder)] == [("J154", finding.WARNING)]


def test_an_inventory_in_toml_is_a_warning(tmp_path: Path) -> None:
    folder = made(tmp_path / "plant", {HOSTS: None, TOML: "[line1.hosts]\npress-11 = {}\n"})
    assert list(of_ansible(folder)) == ["press-11"]
    assert [(one.code, one.level, one.file) for one in checked(folder)] == [
        ("J154", finding.WARNING, str(folder / TOML))
    ]


class Told(NamedTuple):
    """A fault with its place, in files that Ansible refuses as a whole, or passes over without a word."""

    code: str
    key: str
    file: str
    line: int
    files: Files
    host: str = ""


def ini(key: str, line: int, text: str) -> Told:
    return Told("J155", key, INI, line, {HOSTS: None, HOST: None, INI: text})


def yaml_hosts(key: str, line: int, text: str) -> Told:
    return Told("J155", key, HOSTS, line, {HOSTS: text})


def hidden(file: str, name: str, files: Files) -> Told:
    return Told("J210", name, file, 1, files, name if file.startswith("host_vars") else "")


FAULTS = [
    hidden("group_vars/all.yml", "all", {"group_vars/all.yml": "imaging_keep: 3\n"}),
    hidden(LINE, "line1", {"group_vars/line1/own.yml": "imaging_keep: 3\n"}),
    hidden("group_vars/line1.yaml", "line1", {"group_vars/line1.yaml": "imaging_keep: 3\n"}),
    hidden(HOST, "press-11", {"host_vars/press-11": "imaging_keep: 3\n"}),
    hidden("host_vars/press-11.json", "press-11", {"host_vars/press-11.json": "{}"}),
    ini("", 1, "\ufeff[line1]\npress-11\n"),
    ini("line9", 2, "[plant:children]\nline9\n[line1]\npress-11\n"),
    ini("lin1", 3, "[line1]\npress-11\n[lin1:vars]\nimaging_keep=3\n"),
    ini("", 1, "[ line1 ]\npress-11\n"),
    ini("", 1, "[line 1]\npress-11\n"),
    ini("", 4, "[line1]\npress-11\n[plant:children]\nline1 imaging_keep=3\n"),
    ini("press-[1-3]", 2, "[line1]\npress-[1-3]\n"),
    ini("press-[001:9]", 2, "[line1]\npress-[001:9]\n"),
    ini("press-[13:11]", 2, "[line1]\npress-[13:11]\n"),
    ini("press-[1:3", 2, "[line1]\npress-[1:3\n"),
    yaml_hosts("press-[13:11]", 3, "line1:\n  hosts:\n    press-[13:11]: {}\n    press-11: {}\n"),
    yaml_hosts("press-[a:3]", 3, "line1:\n  hosts:\n    press-[a:3]: {}\n"),
    yaml_hosts("line1.hosts.11", 3, "line1:\n  hosts:\n    11: {}\n"),
    yaml_hosts("line1.hosts.on", 3, "line1:\n  hosts:\n    on: {}\n"),
    yaml_hosts("1", 1, "1:\n  hosts:\n    press-11: {}\n"),
    yaml_hosts("line1.children.2", 3, "line1:\n  children:\n    2: {hosts: {press-11: {}}}\n"),
    Told("J155", "", HOST, 3, {HOST: "a: &a 7\nimaging_storage:\n  <<: *a\n  url: /x\n"}, "press-11"),
    Told("J203", "press-11.plant.exampel", "host_vars/press-11.plant.exampel", 1, {
        HOSTS: "line1: {hosts: {press-11.plant.example: {}, press-12.exampel: {}}}\n", HOST: None,
        "host_vars/press-11.plant.exampel": "imaging_keep: 3\n"}),
]  # fmt: skip


@pytest.mark.parametrize("told", FAULTS, ids=lambda told: "%s %s %s" % (told.code, told.key, told.file))
def test_each_is_told_where_it_is(told: Told, tmp_path: Path) -> None:
    folder = made(tmp_path / "plant", told.files)
    found = checked(folder)
    places = [(one.level, one.code, one.host, one.key, one.file, one.line) for one in found]
    assert (finding.ERROR, told.code, told.host, told.key, str(folder / told.file), told.line) in places, found


def test_the_hidden_file_alone_is_told_and_not_what_is_missing_because_of_it(tmp_path: Path) -> None:
    """The storage and all secrets are in it."""
    files: Files = {ALL: None, "group_vars/all.yml": PLAIN, "group_vars/all/more.yml": "site: 7\n"}
    assert [(one.code, one.file) for one in checked(made(tmp_path / "plant", files))] == [
        ("J210", str(tmp_path / "plant/group_vars/all.yml"))
    ]


def one_of(folder: Path, text: str) -> Optional[Any]:
    found = checked(made(folder, {HOST: text}))
    assert len(found) <= 1, found
    return found[0] if found else None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("imaging_device_name: 0123", "imaging_device_name"),
        ("imaging_device_name: 10:30", "imaging_device_name"),
        ("imaging_device_alias: 1_000", "imaging_device_alias"),
        ("imaging_storage: {url: /x, username: 007}", "imaging_storage.username"),
        ("imaging_archive_comment: 0x1F", "imaging_archive_comment"),
        ("imaging_device_name: 1.50", "imaging_device_name"),
    ],
)
def test_a_name_that_yaml_turns_into_another_number_is_told(text: str, key: str, tmp_path: Path) -> None:
    told = one_of(tmp_path, text + "\n")
    assert told is not None
    assert (told.code, told.key, told.line) == ("J142", key, 1)


@pytest.mark.parametrize("text", ["4711", "'0123'", "0815", "1.5", "3.10.2", "09"])
def test_a_name_of_digits_is_fine(text: str, tmp_path: Path) -> None:
    assert one_of(tmp_path, "imaging_device_name: %s\n" % text) is None


def test_aliases_that_repeat_each_other_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten lines that stand for thousands of millions of values, as a mistake or to keep a pipeline busy."""
    monkeypatch.setattr(import_module(_PLUGINS + "yaml_file"), "_MOST_VALUES", 20_000)
    lines: List[str] = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += ["a%d: &a%d [%s]" % (one, one, ", ".join(["*a%d" % (one - 1)] * 10)) for one in range(1, 10)]
    told = one_of(tmp_path, "\n".join(lines) + "\n")
    assert told is not None
    assert (told.code, told.host) == ("J155", "press-11")
    assert 1 < told.line <= 10


def test_a_long_list_is_refused_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its entries is fine, and there are too many: the entries are not asked for one by one."""
    values = import_module(_PLUGINS + "engine_values")
    asked: List[Any] = []
    taken = values._asked
    monkeypatch.setattr(values, "_asked", lambda setting, value: asked.append(value) or taken(setting, value))
    told = one_of(tmp_path, "imaging_exclude: [%s]\n" % ", ".join("/a%d" % number for number in range(5000)))
    assert told is not None
    assert (told.code, told.key) == ("J184", "imaging_exclude")
    assert len(asked) < 1500


def test_the_report_names_the_file_of_an_inventory_that_is_not_there(tmp_path: Path) -> None:
    found = check.findings(sources.read([str(tmp_path / "nowhere.yml")]))
    assert [(one.code, one.level, one.file) for one in found] == [
        ("J155", finding.ERROR, str(tmp_path / "nowhere.yml"))
    ]
