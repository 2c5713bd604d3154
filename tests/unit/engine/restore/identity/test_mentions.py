# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which configuration files of a Linux are read, and that what is there but can't be read is named."""

from __future__ import annotations

from typing import Dict

import pytest
from engine.restore.identity import mentions as module
from engine.restore.identity.mentions import configs_of
from support.small_volumes import INLINE, LINK, Content, closed, volume

LINE = b"UUID=ABCD-1234 /data ext4 defaults 0 2\n"


@pytest.mark.parametrize(
    "path",
    [
        "etc/fstab",
        "etc/crypttab",
        "etc/systemd/system/data.mount",
        "etc/grub.d/40_custom",
        "etc/default/grub.d/50-site.cfg",
        "boot/grub/menu.lst",
        "grub/grub.cfg",
        "syslinux.cfg",
        "boot/syslinux/syslinux.cfg",
        "boot/uEnv.txt",
        "armbianEnv.txt",
        "boot/armbianEnv.txt",
        "boot/extlinux/extlinux.conf",
        "loader/entries/debian.conf",
        "EFI/debian/grub.cfg",
        "efi/EFI/debian/grub.cfg",
    ],
)
def test_a_file_that_names_an_id_is_read(path: str) -> None:
    found = configs_of([volume(3, "ext4", {path: LINE, "etc/other": b"PARTUUID=5"})])
    assert [(one.partition, one.path, one.names("abcd-1234"), one.names("5")) for one in found.read] == [
        (3, path, True, False)
    ]
    assert found.unknown == []


def test_a_name_that_spans_two_pieces_of_a_file_is_found() -> None:
    (one,) = configs_of([volume(1, "ext4", {"etc/fstab": b"#" * 4090 + LINE})]).read
    assert one.names("ABCD-1234")


def test_letter_case_counts_as_on_the_volume() -> None:
    files: Dict[str, Content] = {"etc/FSTAB": b"decoy", "etc/fstab": LINE}
    assert [one.path for one in configs_of([volume(1, "ext4", files)]).read] == ["etc/fstab"]
    assert len(configs_of([volume(1, "vfat", {"SYSLINUX.CFG": LINE})]).read) == 1
    assert configs_of([volume(1, "ext4", {"SYSLINUX.CFG": LINE})]).read == []


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("etc/fstab", LINK),
        ("etc", LINK),
        ("etc/fstab", INLINE),
        ("etc/fstab", b"#" * (1 << 20) + LINE),
        ("etc/systemd/system/data.mount", LINK),
        ("boot/grub", LINK),
        ("EFI/Linux/debian.efi", b"MZ" * (1 << 20)),
    ],
)
def test_a_file_that_is_there_but_is_not_read_is_unknown(path: str, content: Content) -> None:
    files: Dict[str, Content] = {path: content, "etc/crypttab": LINE} if path != "etc" else {path: content}
    found = configs_of([volume(3, "ext4", files)])
    assert [one for one in found.unknown if path in one and "3" in one]
    assert len(found.unknown) == 1
    assert len(found.read) == (path != "etc")  # the others are read all the same


@pytest.mark.parametrize("kind", ["LVM2 physical volume", "LUKS", "btrfs", "f2fs", "bcache", "a RAID", "XFS"])
def test_a_volume_that_has_a_kind_and_no_tree_is_unknown(kind: str) -> None:
    assert configs_of([closed(2, kind)]).unknown == ["partition 2 (%s)" % kind]


def test_unknown_content_is_unknown_and_emptiness_is_not() -> None:
    assert len(configs_of([closed(2, "", b"\0" * 5000 + b"ciphertext")]).unknown) == 1
    quiet = [closed(1, ""), closed(2, "swap", b"x"), closed(3, "", b"code", "bios-boot")]
    assert configs_of(quiet).unknown == []


def test_a_folder_with_a_thousand_entries_is_read_to_its_end() -> None:
    files: Dict[str, Content] = {"loader/entries/%d.conf" % number: b"options" for number in range(600)}
    found = configs_of([volume(1, "vfat", dict(files, **{"loader/entries/last.conf": LINE}))])
    assert len([one for one in found.read if one.names("ABCD-1234")]) == 1
    assert found.unknown == []
    files = {"loader/entries/%d.conf" % number: b"options" for number in range(1100)}
    assert len(configs_of([volume(1, "vfat", files)]).unknown) == 1


def test_what_does_not_fit_into_memory_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES_IN_ALL", 3000)
    volumes = [volume(number, "ext4", {"etc/fstab": b"#" * 1000}) for number in range(1, 6)]
    found = configs_of(volumes)
    assert [one.partition for one in found.read] == [1, 2, 3]
    assert len(found.unknown) == 2
