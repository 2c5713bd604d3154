# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The definition of one setting: a variable of the role, a key of a storage or a job, an option of a module."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, Mapping, Optional, Tuple

PREFIX = "imaging_"
NO_DEFAULT: Mapping[str, Any] = {"default": None}  # of an option that the role omits where it is empty


@dataclass(frozen=True)
class Setting:
    """One setting, with all that is written of it anywhere.

    ``description`` holds paragraphs in Ansible's markup. The first one stands alone in the role's argument specs and README; a
    module's documentation has all of them.
    """

    name: str  # without the prefix of the role
    type: str
    description: Tuple[str, ...]
    verbs: Tuple[str, ...] = ()  # the entry points of the role that take it
    required: bool = False
    default: Any = None  # None: there is none
    default_words: str = ""  # the default as the README says it, where the value alone would not tell
    elements: str = ""
    choices: Tuple[str, ...] = ()
    options: Tuple[Setting, ...] = ()  # the keys of a dictionary, or of the dictionaries in a list
    in_jobs: bool = False  # whether a job may override it
    secret: bool = False
    unit: str = ""
    minimum: Optional[float] = None
    maximum: Optional[float] = None
    pattern: str = ""  # what the whole text of a value matches
    option: str = ""  # the modules' name for it, where it is another one
    module: Optional[Mapping[str, Any]] = None  # what is different as an option of a module
    role_only: bool = False  # whether no module has an option for it

    @property
    def variable(self) -> str:
        """The name of the role's variable."""
        return PREFIX + self.name

    @property
    def summary(self) -> str:
        """The first paragraph of the description."""
        return self.description[0]

    def as_option(self) -> Setting:
        """Return this setting as the modules take it."""
        return replace(self, name=self.option or self.name, **(self.module or {}))

    def keys(self) -> Dict[str, Any]:
        """Return the keys of a dictionary's value, each with the keys below it."""
        return {option.name: option.keys() for option in self.options}
