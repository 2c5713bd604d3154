# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of a device and paths of its share."""

from __future__ import annotations

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.place import place_of


@pytest.mark.parametrize(
    ("folder", "base"),
    [
        ("C:\\", "C:\\Program Files\\plantops-imaging"),
        ("d:/", "d:\\Program Files\\plantops-imaging"),
        ("D:\\KRC\\", "D:\\KRC\\plantops-imaging"),
        ("D:\\KRC\\ROBOTER", "D:\\KRC\\ROBOTER\\plantops-imaging"),
    ],
)
def test_the_agent_lives_among_the_programs_of_a_drive_or_in_the_share(folder: str, base: str) -> None:
    place = place_of("X$", folder)
    assert place.base == base
    assert place.in_share(place.base) == place.base_in_share
    assert place.in_share(place.on_device("a\\b c.txt").upper()) == "A\\B C.TXT"


@pytest.mark.parametrize(
    "folder", ["", "C:", "/etc", "\\\\server\\share", "C:\\a\\..\\b", "C:\\a\\\\b", 'C:\\a"b', "C:\\a:b"]
)
def test_no_other_folder_is_taken(folder: str) -> None:
    with pytest.raises(ValueError, match="not a folder of a drive"):
        place_of("C$", folder)


@pytest.mark.parametrize(
    "name", ["D:\\a", "C:\\KRCX\\a", "C:\\KRC\\..\\a", "a\\..\\b", "a\\\\b", "", "a:b", "C:\\KRC\\"]
)
def test_a_file_outside_of_the_share_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="it is not"):
        place_of("KRC", "C:\\KRC").in_share(name)
