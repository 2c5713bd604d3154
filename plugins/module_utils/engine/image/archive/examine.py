# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Examines an archive: the chain, the storage's records of it, and whether each version's image is still what was checked in."""

from __future__ import annotations

from typing import Any, Collection, Dict, List, NamedTuple, Optional

from ...errors import EngineError
from ...storage.shared_connect import together
from ..device_directory import DeviceDirectory
from ..format.manifest import packs_digest
from ..pack_references import needed_packs
from .chain import Chain, Link, Problem
from .find import what_is_wrong


class Examined(NamedTuple):
    """The result. ``problems`` name their version."""

    chain: Chain
    problems: List[Problem]

    @property
    def sentences(self) -> List[str]:
        return [problem.sentence for problem in self.problems]

    def versions(self) -> List[Dict[str, Any]]:
        """The versions for a result, those that are missing with their number alone."""
        wrong: Dict[int, List[str]] = {}
        for one in self.problems:
            wrong.setdefault(one.number, []).append(one.reason)
        told = {link.record.version.number: as_dict(link, wrong) for link in self.chain.links}
        for number in wrong:
            told.setdefault(number, {"version": number, "image": None, "ok": False, "problems": wrong[number]})
        return [told[number] for number in sorted(told) if number]


def as_dict(link: Link, wrong: Dict[int, List[str]]) -> Dict[str, Any]:
    version = link.record.version
    problems = wrong.get(version.number, [])
    return {
        "version": version.number,
        "image": version.image,
        "job": version.job,
        "comment": version.comment,
        "author": version.author,
        "checked_in": version.checked_in,
        "authenticated": link.is_proved,
        "ok": not problems,
        "problems": problems,
    }


def examine(archive: DeviceDirectory, chain: Chain, problems: List[Problem]) -> Examined:
    """Look at the image of each version: its manifest by its hash, its packs by name. No file is changed.

    :param problems: what is wrong with the chain.
    """
    present = archive.packs()

    def one(link: Link) -> Optional[Problem]:
        reason = what_is_wrong(archive, link.record) or _lacking(archive, link.record.version.image, present)
        return Problem(link.record.version.number, reason) if reason else None

    found = [problem for problem in together(archive.storage, one, chain.links) if problem is not None]
    uncovered = [
        Problem(
            link.record.version.number, "its record among those of the image %s is missing" % link.record.version.image
        )
        for link in chain.links
        if not link.held.is_among_records
    ]
    return Examined(chain, sorted(set(problems + found + uncovered)))


def _lacking(archive: DeviceDirectory, image: str, present: Collection[str]) -> str:
    try:
        manifest = archive.manifest(image)
        packs = needed_packs(archive, [manifest]).by_any
    except EngineError as error:
        return "its image %s can't be used: %s" % (image, str(error).rstrip("."))
    if packs_digest(packs) != manifest.packs_sha256:
        return "SHA256SUMS of its image %s is not the one that was checked in" % image
    lacking = [pack for pack in packs if pack not in present]
    return "its image %s lacks %d packs" % (image, len(lacking)) if lacking else ""
