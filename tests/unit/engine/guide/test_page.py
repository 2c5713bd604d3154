# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of a copy: what a stranger has to know is in them, and what a disk says steers nothing."""

from __future__ import annotations

import re
import shlex
import string
from html.parser import HTMLParser
from typing import Any, Dict, List, Optional, Tuple
from xml.etree import ElementTree

import pytest
from engine.guide.facts import MOST_DISKS, facts_of
from engine.guide.language import names
from engine.guide.page import html_page
from engine.guide.text import text_page
from engine.image.format.contents import DiskContents, VolumeEntry
from engine.image.format.manifest import DiskEntry, Manifest
from hypothesis import given
from hypothesis import strategies as st

GIB = 1 << 30
EVIL = "</pre><script>alert(1)</script>\"'&\x1b[31m\u202e\n$(reboot)"


def manifest(device: str = "press-07", disks: int = 1, key: str = "a" * 64, **more: Any) -> Manifest:
    entries = [
        DiskEntry(
            "disk%d" % number,
            "serial:S3Z8NB0K",
            500 * GIB,
            512,
            40 * GIB,
            "0" * 64,
            100,
            more.get("contents", DiskContents()),
        )
        for number in range(disks)
    ]
    return Manifest("2026-11-22_13-45-10", device, 3, "", "lvm", key, [], entries, {}, 10, 20 * GIB, "0" * 64, 60, 0)


def information(scheme: str = "gpt", partitions: Optional[List[Dict[str, Any]]] = None, **more: Any) -> Dict[str, Any]:
    listed = (
        partitions
        if partitions is not None
        else [partition(1, 1, 1, "efi"), partition(2, 2, 300), partition(3, 302, 100)]
    )
    layout = {"scheme": scheme, "disk_id": "x", "partitions": listed}
    volumes = [
        {"number": 1, "kind": "fat32", "label": "EFI", "selected": True},
        {"number": 2, "kind": "ntfs", "label": "Windows", "selected": False},
    ]
    document = {
        "disks": {"disk0": {"layout": layout, "volumes": volumes}},
        "vendor": "Siemens",
        "product": "IPC427E",
        "serial": "SVP123",
    }
    return dict(document, **more)


def partition(number: int, start_gib: int, gib: int, role: str = "", bootable: bool = False) -> Dict[str, Any]:
    place = {"number": number, "start_bytes": start_gib * GIB, "length_bytes": gib * GIB}
    return dict(place, role=role, bootable=bootable, name="", type_id="", unique_id="")


def words_of(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_the_text_alone_says_what_to_have_and_what_to_type() -> None:
    text = text_page(
        facts_of(manifest("press 07"), information(), ["2026-11-21_10-00-00", "2026-11-22_13-45-10"])
    ).decode("utf-8")
    english, german = text.split("Wiederherstellung von press 07")
    for part in (english, german):
        assert "%d" % (500 * GIB) in part  # the smallest target
        assert "serial:S3Z8NB0K" in part
        assert "Siemens IPC427E" in part
        assert "SVP123" in part
        assert "UEFI" in part
        assert "2026-11-21_10-00-00" in part
        commands = [line.strip() for line in part.splitlines() if line.startswith("      ") and "pyz" in line]
        typed = [shlex.split(line) for line in commands]
        assert [one[2] for one in typed] == ["verify", "plan", "restore", "--help"]
        for one in typed[:3]:
            assert one[:2] == ["python3", "plantops-recovery.pyz"]
            assert one[3:7] == [".", "press 07", "--image", "2026-11-22_13-45-10"]
        assert typed[2][7:] == ["--to", "disk0=/dev/sdX"]
        # How the medium is found and mounted, where Linux comes from, and what to add for a disk of another size.
        for words in (
            "lsblk -o NAME,SIZE,LABEL,MOUNTPOINT",
            "mount /dev/",
            "www.debian.org/CD/live",
            "--grow last",
            "--shrink",
        ):
            assert words in words_of(part)
    assert "The image password" in english
    assert "Das Kennwort" in german
    assert "No password" in text_page(facts_of(manifest(key=""), None, [])).decode("utf-8")


@pytest.mark.parametrize(
    ("known", "firmware"),
    [
        (information(), "uefi"),
        (information(partitions=[partition(1, 1, 1, "bios-boot"), partition(2, 2, 300)]), "bios"),
        (information(partitions=[partition(1, 1, 1, "efi"), partition(2, 2, 1, "bios-boot")]), "both"),
        (information(partitions=[partition(1, 1, 1, "efi"), partition(2, 2, 1, "bios-boot")], firmware="bios"), "bios"),
        (information("mbr", [partition(1, 1, 100, bootable=True)]), "bios"),
        (information("none", []), ""),
        (None, ""),
    ],
)
def test_the_firmware_mode_follows_from_the_table(known: Optional[Dict[str, Any]], firmware: str) -> None:
    assert facts_of(manifest(), known, []).firmware == firmware


def test_without_the_password_the_manifest_tells_what_it_can() -> None:
    contents = DiskContents("Samsung SSD 860", "mbr:0x1234", [VolumeEntry(1, "1048576", 3 * GIB)])
    facts = facts_of(manifest(contents=contents), None, [])
    assert (facts.is_whole_story, facts.firmware) == (False, "bios")
    assert [(one.number, one.length_bytes) for one in facts.disks[0].partitions] == [(1, 3 * GIB)]
    assert "Samsung SSD 860" in text_page(facts).decode("utf-8")


class Parsed(HTMLParser):
    """The tags of a document, and its texts."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: List[str] = []
        self.attributes: List[Tuple[str, Optional[str]]] = []
        self.texts: List[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def hostile() -> Dict[str, Any]:
    known = information(vendor=EVIL, product=EVIL, serial=EVIL, operating_system=EVIL, firmware=EVIL)
    known["disks"]["disk0"]["volumes"][0].update(kind=EVIL, label=EVIL)
    known["disks"]["disk0"]["layout"]["partitions"][1].update(name=EVIL, role=EVIL)
    return known


def test_what_a_disk_says_is_escaped() -> None:
    facts = facts_of(manifest("it's <b>&amp;", contents=DiskContents("<img src=x>", "gpt:x")), hostile(), ["<i>"])
    document = html_page(facts).decode("utf-8")
    parsed = Parsed(document)
    assert {"script", "img", "b"} & set(parsed.tags) <= {"b"}
    assert not [name for name, dummy in parsed.attributes if name.startswith("on") or name in ("href", "src")]
    assert "\x1b" not in document
    assert "\u202e" not in document
    for drawing in re.findall(r"<svg.*?</svg>", document):
        ElementTree.fromstring(drawing)
    text = text_page(facts).decode("utf-8")
    assert not [line for line in text.splitlines() if not line.isprintable()]
    restores = [line for line in text.splitlines() if " restore . " in line]
    assert len(restores) == 2
    assert all(shlex.split(line)[4] == "it's <b>&amp;" for line in restores)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.text(max_size=80)
    | st.sampled_from(["disks", "disk0", "layout"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "disks",
                    "disk0",
                    "layout",
                    "volumes",
                    "partitions",
                    "number",
                    "start_bytes",
                    "length_bytes",
                    "role",
                    "scheme",
                    "label",
                    "kind",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=40,
)


@given(st.dictionaries(st.sampled_from(["disks", "vendor", "serial", "firmware", "product"]), JSON, max_size=5))
def test_any_device_document_gives_pages(document: Dict[str, Any]) -> None:
    facts = facts_of(manifest(), document, [])
    parsed = Parsed(html_page(facts).decode("utf-8"))
    assert "script" not in parsed.tags
    assert b"restore . press-07" in text_page(facts)


def test_many_disks_and_partitions_are_bounded() -> None:
    many = information(partitions=[partition(number, number, 1) for number in range(1, 300)])
    facts = facts_of(manifest(disks=200), many, ["2026-11-%02d_10-00-00" % day for day in range(1, 31)])
    assert len(facts.disks) == MOST_DISKS
    assert len(html_page(facts)) < 200_000
    assert "--to disk7=" in text_page(facts).decode("utf-8")


@pytest.mark.parametrize(("disks", "more"), [(MOST_DISKS, 0), (MOST_DISKS + 1, 1), (20, 20 - MOST_DISKS)])
def test_disks_that_the_page_does_not_show_are_counted(disks: int, more: int) -> None:
    """Whoever restores a disk less than there were must know it."""
    facts = facts_of(manifest(disks=disks), information(), [])
    assert facts.more_disks == more
    for page in (text_page(facts), html_page(facts)):
        text = words_of(page.decode("utf-8"))
        found = re.findall(r"(?:holds|enthält) (\d+) (?:more disks|weitere Platten)", text)
        assert found == [str(more)] * (2 if more else 0)


def test_both_languages_have_the_same_fields() -> None:
    for name, (english, german) in names().items():
        fields = [
            {field for dummy, field, dummy_spec, dummy_c in string.Formatter().parse(text) if field}
            for text in (english, german)
        ]
        assert fields[0] == fields[1], name
        assert english, name
        assert german, name


@pytest.mark.parametrize("number", [[1], {"a": 1}, None, "1", 1.5])
def test_a_volume_without_a_number_is_passed_by(number: object) -> None:
    known = information()
    known["disks"]["disk0"]["volumes"].insert(0, {"number": number, "kind": "ext4"})
    assert [one.kind for one in facts_of(manifest(), known, []).disks[0].partitions][:2] == ["fat32", "ntfs"]
