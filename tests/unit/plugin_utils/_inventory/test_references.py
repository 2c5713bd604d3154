# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that a template reaches by any way that ends in a literal of the inventory, and those that end elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine import errors
from support.inventories import GOOD, HOST, HOSTS, SEALED, SECRET, checked, written

OTHER = "host_vars/press-12.yml"
# What the other host defines: a literal, a template of its own, and a sealed text.
OF_OTHER = "key: %s\nmine: '{{ key }}'\nnested: {a: [{b: '{{ key }}'}]}\nsealed: %s" % (SECRET, SEALED)
CLEAR = [
    "{{ hostvars['press-12'].key }}",
    "{{ hostvars['press-12']['key'] }}",
    "{{ hostvars['press-12'].mine }}",
    "{{ hostvars.get('press-12').get('key') }}",
    "{{ (hostvars['press-12'] | default({})).key | default('') }}",
    "{{ hostvars['press-12'].nested.a[0].b }}",
    "{{ hostvars['press-12'].nested['a'][-1]['b'] | trim }}",
    "{{ hostvars[other_host].key }}",
    "{{ hostvars[groups['line1'][1]].key }}",
    "{{ hostvars[groups['line1'] | last].key }}",
    "{{ hostvars['press-12'] | attr('key') }}",
    "{{ 'press-12' | extract(hostvars, 'key') }}",
    "{{ 'press-12' | extract(hostvars, ['nested', 'a', 0, 'b']) }}",
    "{{ ['press-12'] | map('extract', hostvars, 'key') | first }}",
    "{{ hostvars.values() | map(attribute='key') | first }}",
    "{{ hostvars['press-12'].missing | default(hostvars['press-12'].key) }}",
    "{% set one = hostvars['press-12'] %}{{ one.key }}",
    "{{ lookup('vars', 'own') }}",
    "{{ lookup('ansible.builtin.vars', 'missing', default='SECRET') }}",
    "{{ query('vars', 'own') | first }}",
    "{{ vars['own'] }}",
    "{{ vars.own }}",
    "{{ table.get('a') }}",
    "{{ table.get('none', 'SECRET') }}",
    "{{ aliased.a }}",
    "{{ (table | combine({})).a }}",
    "{{ table.values() | first }}",
    "{{ 'x' | ternary('SECRET', own_sealed) }}",
    "{% for one in ['SECRET'] %}{{ one }}{% endfor %}",
    "{% with one = 'SECRET' %}{{ one }}{% endwith %}",
    "{{ '%s' % 'SECRET' }}",
    "{{ 'SECRET' if inventory_hostname == 'x' else own_sealed }}",
]
NOT_CLEAR = [
    "{{ hostvars['press-12'].sealed }}",
    "{{ hostvars['press-12'].unknown }}",
    "{{ hostvars['not-here'].key }}",
    "{{ lookup('vars', 'own_sealed') }}",
    "{{ lookup('env', 'PASSWORD') }}",
    "{{ '%s-x' | format(own_sealed) }}",
    "{{ '{0}'.format(own_sealed) }}",
    "{{ sealed_table.a }}",
    "{{ vars['own_sealed'] }}",
    "{{ (sealed_table | combine({'b': 'x'})).a }}",
]
# Names that only a play can make up: with the names that match what is known of them, and with every entry of a dictionary.
OPEN_CLEAR = [
    "{{ lookup('vars', 'clear_pw_' ~ inventory_hostname) }}",
    "{{ lookup('vars', 'clear_pw_' ~ inventory_hostname_short) }}",
    "{{ vars['clear_' + unknown + '-12'] }}",
    "{{ vars['clear_pw_' ~ unknown] }}",
    "{{ vars[computed_clear] }}",
    "{{ hostvars['press-' ~ unknown]['k' ~ 'ey'] }}",
    "{{ table[unknown] }}",
    "{{ pws[unknown ~ '_plain'] }}",
    "{{ pws.get(unknown ~ '_plain') }}",
    "{{ table[unknown] if unknown else pws[unknown] }}",
]
OPEN_NOT_CLEAR = [
    "{{ lookup('vars', 'vault_pw_' ~ inventory_hostname) }}",
    "{{ lookup('ansible.builtin.vars', 'vault_pw_' ~ inventory_hostname, 'vault_pw_' ~ unknown) }}",
    "{{ vars['vault_pw_' ~ inventory_hostname_short] }}",
    "{{ lookup('vars', 'vault_pw_' + unknown) }}",
    "{{ lookup('vars', unknown ~ '_pw') }}",
    "{{ lookup('vars', 'none_' ~ unknown) }}",
    "{{ lookup('vars', unknown) }}",
    "{{ lookup('vars', 'mixed_' ~ unknown) }}",
    "{{ vars[unknown] }}",
    "{{ vars[computed] }}",
    "{{ vars[computed_text] }}",
    "{{ vars[mine | default(unknown)] }}",
    "{{ hostvars[inventory_hostname]['vault_pw_' ~ unknown] }}",
    "{{ hostvars[inventory_hostname][unknown] }}",
    "{{ pws[unknown ~ '_pw'] }}",
    "{{ pws[unknown] }}",
    "{{ pws[other_host ~ '_pw'] }}",
    "{{ pws.get('s1_pw') }}",
    "{{ pws.get(unknown ~ '_pw') }}",
    "{{ pws | attr('s1_pw') }}",
    "{{ 's1_pw' | extract(pws) }}",
    "{{ (unknown ~ '_pw') | extract(pws) }}",
    "{{ sealed_list | first }}",
    "{{ pws.values() | first }}",
    "{{ sealed_list[unknown + 1] }}",
]
OPEN_OWN = (
    "%s\nclear_pw_press-11: SECRET\nclear_pw_press-12: SECRET\nvault_pw_press-11: %s\nvault_pw_press-12: %s\nmixed_a: SECRET\n"
    "mixed_b: %s\ncomputed: '{{ \"vault_pw_\" ~ unknown }}'\ncomputed_text: 'vault_pw_{{ unknown }}'\n"
    "computed_clear: '{{ \"clear_pw_\" ~ unknown }}'\n"
    'sealed_list: [!vault "$ANSIBLE_VAULT;1.1;AES256 6333"]\n'
    "pws:\n  user: SECRET\n  s1_plain: SECRET\n  s1_pw: !vault |\n    $ANSIBLE_VAULT;1.1;AES256\n    6333\n"
)
OWN = (
    "other_host: press-12\nown: %s\ntable: {a: %s}\naliased: '{{ table }}'\nown_sealed: %s\nsealed_table:\n  a: !vault |\n"
    "    $ANSIBLE_VAULT;1.1;AES256\n    6333\n"
) % (SECRET, SECRET, SEALED)


def codes(folder: Path, line: str) -> list[tuple[str, str, str]]:
    found = checked(written(folder, **{HOST: OWN + line + "\n", OTHER: OF_OTHER}))
    assert SECRET not in str(found)
    return [(one.code, one.host, one.key) for one in found]


@pytest.mark.parametrize("template", CLEAR)
def test_a_template_that_ends_in_a_literal_is_an_error_by_every_way(template: str, tmp_path: Path) -> None:
    line = 'imaging_password: "%s"' % template.replace("SECRET", SECRET)
    assert set(codes(tmp_path, line)) == {(errors.SecretInClear.code, "press-11", "imaging_password")}


@pytest.mark.parametrize("template", NOT_CLEAR)
def test_a_template_that_ends_sealed_or_outside_the_inventory_is_fine(template: str, tmp_path: Path) -> None:
    assert codes(tmp_path, 'imaging_password: "%s"' % template) == []


def of_open(template: str, folder: Path) -> list[tuple[str, str, str]]:
    own = OPEN_OWN % ("---", SEALED.rstrip(), SEALED.rstrip(), SEALED.rstrip())
    text = own + 'table: {a: SECRET, b: SECRET}\nother_host: press-12\nimaging_password: "%s"\n' % template
    found = checked(written(folder, **{HOST: text.replace("SECRET", SECRET), OTHER: OF_OTHER}))
    assert SECRET not in str(found)
    return [(one.code, one.host, one.key) for one in found]


@pytest.mark.parametrize("template", OPEN_CLEAR)
def test_a_name_that_a_play_makes_up_is_an_error_where_all_that_match_are_clear(template: str, tmp_path: Path) -> None:
    assert set(of_open(template, tmp_path)) == {(errors.SecretInClear.code, "press-11", "imaging_password")}


@pytest.mark.parametrize("template", OPEN_NOT_CLEAR)
def test_a_name_that_a_play_makes_up_is_fine_where_one_that_matches_is_sealed(template: str, tmp_path: Path) -> None:
    assert of_open(template, tmp_path) == []


def test_a_name_that_is_made_up_of_itself_is_unknown(tmp_path: Path) -> None:
    line = "imaging_password: '{{ vars[name] }}'\nname: 'own{{ name ~ name }}_sealed'"
    assert codes(tmp_path, line) == []


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("imaging_storage: '{{ whole }}'\nwhole: {url: /images, password: %s}", "imaging_storage.password"),
        (
            "imaging_storage: \"{{ base | combine({'password': '%s'}) }}\"\nbase: {url: sftp://server/x}",
            "imaging_storage.password",
        ),
        ("imaging_jobs: '{{ all_jobs }}'\nall_jobs: [{name: a, storage: {url: /x, password: %s}}]",)
        + ("imaging_jobs[0].storage.password",),
        ("imaging_archive: \"{{ {'url': '/x', 'password': '%s'} }}\"", "imaging_archive.password"),
        ("imaging_storage_operator: '{{ aside.of.operator }}'\naside: {of: {operator: {password: %s}}}",)
        + ("imaging_storage_operator.password",),
    ],
)
def test_a_dictionary_that_is_a_template_as_a_whole(line: str, key: str, tmp_path: Path) -> None:
    assert (errors.SecretInClear.code, "press-11", key) in codes(tmp_path, line % SECRET)


def test_the_finding_is_at_the_literal_of_the_other_host(tmp_path: Path) -> None:
    line = "imaging_password: \"{{ hostvars['press-12'].key }}\"\n"
    (one,) = checked(written(tmp_path, **{HOST: line, OTHER: OF_OTHER, HOSTS: GOOD[HOSTS]}))
    assert (one.host, one.key, one.file, one.line) == ("press-11", "imaging_password", str(tmp_path / OTHER), 1)
