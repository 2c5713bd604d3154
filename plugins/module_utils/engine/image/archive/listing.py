# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions that images are, for lists of images and for what is said beside the verification of one."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional

from ..device_directory import DeviceDirectory
from ..format.keys import MasterKey
from .chain import Problem, chain_of
from .held import numbers_taken, read_versions
from .version_record import Version


class VersionsOfImages(NamedTuple):
    """The version that each image is, by the image's name, and what is wrong with the chain."""

    versions: Dict[str, Version]
    problems: List[Problem]

    @property
    def sentences(self) -> List[str]:
        return [problem.sentence for problem in self.problems]


NO_VERSIONS = VersionsOfImages({}, [])


def versions_of_images(directory: DeviceDirectory, key: Optional[MasterKey]) -> VersionsOfImages:
    """Read the versions of an archive, of a storage that was archived from, or of a copy. Records that the key contradicts are skipped."""
    held = read_versions(directory, key)
    problems: List[Problem] = []
    if held.is_archive:
        chain = chain_of(held, key is not None)
        found, problems = [link.record.version for link in chain.links], chain.problems
    else:
        found = [one.record.version for one in held.held if one.record.is_authentic is not False]
    ordered = sorted(found, key=lambda version: version.number)
    return VersionsOfImages({version.image: version for version in ordered}, problems)


def versions_of_archive(directory: DeviceDirectory, key: Optional[MasterKey]) -> VersionsOfImages:
    """The same where the directory is an archive's; one listing tells that."""
    return versions_of_images(directory, key) if numbers_taken(directory) else NO_VERSIONS
