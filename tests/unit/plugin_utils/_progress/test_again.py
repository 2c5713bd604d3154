# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that repeats a play for the devices that failed: it can be pasted, and it tells no secret."""

from __future__ import annotations

import shlex
from typing import Any, Dict, List

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.again import command_again

OPTIONS: Dict[str, Any] = {
    "inventory": ("/etc/site hosts",),
    "check": False,
    "extra_vars": ("imaging_password=secret",),
}
IMAGE = ("plantops.imaging.image",)


def test_it_limits_the_play_to_the_devices() -> None:
    found = command_again(
        IMAGE, OPTIONS, ["plantops.imaging.image", "--limit", "a"], ["press-02", "press-05", "press-02"]
    )
    assert shlex.split(found) == ["ansible-playbook", *IMAGE, "--limit", "press-02,press-05"]


@pytest.mark.parametrize("given", [["-i", "x"], ["-ix"], ["--inventory", "x"], ["--inventory=x"]])
def test_an_inventory_of_the_command_line_is_repeated(given: List[str]) -> None:
    found = command_again(IMAGE, OPTIONS, given, ["press-02"])
    assert shlex.split(found) == ["ansible-playbook", "-i", "/etc/site hosts", *IMAGE, "--limit", "press-02"]


@pytest.mark.parametrize(
    "given", [["-e", "imaging_password=secret"], ["--extra-vars=x"], ["-eimaging_password=secret"]]
)
def test_variables_of_the_command_line_are_told_and_not_repeated(given: List[str]) -> None:
    found = command_again(IMAGE, dict(OPTIONS, check=True), given, ["press-02"])
    assert "secret" not in found
    assert "-e options" in found
    assert "--check" in found


def test_a_name_that_steers_a_shell_or_a_terminal_does_not() -> None:
    found = command_again(IMAGE, OPTIONS, [], ["a;reboot", "b\x1b[2J"])
    assert shlex.split(found)[-1].startswith("a;reboot,b")
    assert "\x1b" not in found


def test_without_failures_and_for_more_devices_than_a_line_holds_there_is_none() -> None:
    assert command_again(IMAGE, OPTIONS, [], []) == ""
    assert command_again((), OPTIONS, [], ["a"]) == ""
    assert command_again(IMAGE, OPTIONS, [], ["press-%d" % number for number in range(201)]) == ""
    assert command_again(IMAGE, OPTIONS, [], ["press-%d" % number for number in range(200)])
