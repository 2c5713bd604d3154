# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that mean nothing to the role, each told with the one that is meant: variables, and keys of dictionaries.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import difflib
import re
from functools import lru_cache
from typing import Any, Iterable, Iterator, List, Mapping, Sequence

from ansible_collections.plantops.imaging.plugins.module_utils.engine.nearest import nearest
from ansible_collections.plantops.imaging.plugins.module_utils.settings.later import LATER

_PREFIX = "imaging_"
_FLAT = _PREFIX + "storage_"
_PREFIX_LIKENESS = 0.8
_RESULT = "_result"


def unknown_settings(names: Iterable[str], known: Iterable[str], site: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each of ``names`` that has the role's prefix, or nearly, and is neither ``known`` nor the ``site``'s."""
    settings = sorted({str(one) for one in known})
    for name in sorted({str(one) for one in names} - set(settings) - {str(one) for one in site}):
        meant = meant_by(name, settings, ())
        if meant and _end(name) in LATER:
            yield "This version has no setting %s yet." % name
        elif meant:
            yield _sentence("setting", name, "", meant)


def meant_by(name: str, known: Iterable[str], site: Iterable[str]) -> str:
    """Return the setting that is meant by a ``name`` that has the role's prefix, or nearly; "" for any other name."""
    settings = sorted(known)
    if name in settings or name in site:
        return ""
    return _setting_like(name, settings) if name.startswith(_PREFIX) else _with_another_prefix(name, settings)


def unknown_keys(value: Any, setting: str, known: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each key in ``value``, a dictionary or a list of them, that is not among ``known``."""
    if isinstance(value, Mapping):
        for key in sorted(value, key=str):
            if key not in known:
                yield _sentence("key", str(key), " in %s" % setting, nearest(str(key), known))
            elif known[key]:
                yield from unknown_keys(value[key], "%s.%s" % (setting, key), known[key])
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for place, one in enumerate(value):
            if isinstance(one, Mapping):
                yield from unknown_keys(one, "%s[%d]" % (setting, place), known)


def _sentence(kind: str, name: str, where: str, meant: str) -> str:
    return "Unknown %s %s%s.%s" % (kind, name, where, " Did you mean %s?" % meant if meant else "")


def _setting_like(name: str, settings: Sequence[str]) -> str:
    """Return the setting that is most like ``name``; results of tasks are not what an inventory sets.

    A name of one word, such as imaging_passphrase, is none of the flat spellings of a storage's keys.
    """
    candidates: List[str] = [one for one in settings if not one.endswith(_RESULT)] or list(settings)
    if "_" not in _end(name):
        candidates = [one for one in candidates if not one.startswith(_FLAT)] or candidates
    return nearest(name, candidates, part=_end) or _PREFIX + "*"


def _with_another_prefix(name: str, settings: Iterable[str]) -> str:
    """Return the setting that ``name`` is but for its prefix; "" for a name that has nothing to do with the role."""
    prefix, dummy_bar, end = name.partition("_")
    letters = _letters(name)
    for setting in settings:
        if letters == _letters(setting):
            return setting
        if end.lower() == _end(setting) and _is_like_ours(prefix):
            return setting
    return ""


def _is_like_ours(prefix: str) -> bool:
    return difflib.SequenceMatcher(None, prefix.lower() + "_", _PREFIX).ratio() >= _PREFIX_LIKENESS


@lru_cache(maxsize=1024)
def _letters(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _end(name: str) -> str:
    return name.partition("_")[2]
