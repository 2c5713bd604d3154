# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images a rollover keeps: one function of the manifests, without a storage.

Rule 3. Each job is counted separately, and the newest ``keep`` images of each job stay. Of the older ones stay those
that are pinned or archived, the last image of every key that the present password can't open, and the last image of
every disk and volume that the job has ever held, until ``imaging_forget_disks`` names it.

An attacker with a create-only account must not be able to make the operator's rollover delete good images. So images
that are proved with the key are counted separately: an image that any writer could have made (unencrypted, under
another key) pushes none of them out. Without a password unencrypted images push no encrypted one out, and names in the
future do not count.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple

from ...errors import RequestInvalid
from ..format import constants as fmt
from ..format import job_name
from ..format.manifest import Manifest
from .missing import Key, Missing, Part, find_missing, is_forgotten, parts_of, sentences

_MOST_TOLD = 20


class Policy(NamedTuple):
    """The policy of a rollover. Images of jobs that are not in ``keep`` stay, unless their job is forgotten."""

    keep: Mapping[str, int]  # how many images remain of each job
    defined: Optional[FrozenSet[str]] = None  # the jobs of the inventory, None where they are not known
    forget_jobs: FrozenSet[str] = frozenset()
    forget_disks: FrozenSet[str] = frozenset()

    def is_orphan(self, job: str) -> bool:
        """Whether a job that made images is not defined any more. The default job always is."""
        return self.defined is not None and job not in self.defined and job not in self.keep and job != job_name.DEFAULT

    def kept_of_all(self, images: Iterable[Manifest]) -> Optional[int]:
        """How many images remain of all jobs by their number, None where it is not known for each job."""
        jobs = {*(self.defined or ()), *(one.job for one in images)}
        return sum(self.keep.values()) if jobs <= self.keep.keys() else None


class Verdict(NamedTuple):
    """``is_told``: the image is old, and the report gives ``reason`` for keeping it."""

    goes: bool
    reason: str = ""
    is_told: bool = False


def judge(
    images: List[Manifest],
    policy: Policy,
    protected: Mapping[str, str],
    openable_key: Optional[str],
    is_proved: bool = False,
    likely: Optional[Set[str]] = None,
) -> Dict[str, Verdict]:
    """Return a verdict for each of ``images``, which are in sequence order; the newest comes first.

    :param protected: images that are pinned or archived, with the reason.
    :param openable_key: the key id that the present password opens; ``None`` when that is not known.
    :param is_proved: whether the manifests of that key were proved with it.
    :param likely: without proofs, the names that may be the newest; ``None`` for all. Others are neither counted nor
        deleted.
    :raises RequestInvalid: when no image of a job would remain.
    """
    for keep in policy.keep.values():
        if keep < 1:
            raise RequestInvalid(reason="imaging_keep must be at least 1, not %d" % keep)
    proved = [one for one in images if is_proved and one.key_id == openable_key]
    last_of_keys = _last_of_keys(images, proved[0].sequence if proved else fmt.MAX_SEQUENCE)
    seen = _Seen()
    verdicts: Dict[str, Verdict] = {}
    for manifest in reversed(images):
        if likely is not None and not is_proved and manifest.image not in likely:
            verdicts[manifest.image] = Verdict(False, "its name is dated in the future", True)
            continue
        age, last_of = seen.take(manifest, _scope(manifest, openable_key, is_proved), policy.forget_disks)
        keep = policy.keep.get(manifest.job, 0)
        if manifest.job not in policy.keep and manifest.job not in policy.forget_jobs:
            verdict = Verdict(False, "it belongs to %s" % job_name.shown(manifest.job))
        elif age < keep:
            verdict = Verdict(False, "it is one of the newest %d" % keep)
        elif manifest.image in protected:
            verdict = Verdict(False, protected[manifest.image], True)
        elif manifest.key_id not in ("", openable_key) and manifest.image in last_of_keys:
            verdict = Verdict(False, "it may be the last image of a key that this password does not open", True)
        elif last_of is not None and manifest.job in policy.keep:
            verdict = Verdict(False, "it is the last image of %s" % last_of.shown, True)
        else:
            verdict = Verdict(True)
        verdicts[manifest.image] = verdict
    return _with_one(verdicts, {one.image for one in proved})


def _last_of_keys(images: List[Manifest], first: int) -> Set[str]:
    """The images that may be the last one of their key, among those of all keys.

    Only its own key proves an image, and any account may store one that names the key of others and looks newer. But an
    earlier key made its last image before the number ``first``, that of the first image which the present password proves.
    So the last one before that stays as well.
    """
    last: Dict[Tuple[str, bool], List[Manifest]] = {}
    for one in images:  # in sequence order, and one false image may have the number of the true one
        for is_before in (False, True) if one.sequence < first else (False,):
            others = last.get((one.key_id, is_before), [])
            is_equal = bool(others) and others[0].sequence == one.sequence
            last[one.key_id, is_before] = [*others, one] if is_equal else [one]
    return {one.image for found in last.values() for one in found}


def _scope(manifest: Manifest, openable_key: Optional[str], is_proved: bool) -> str:
    """The group in which an image is counted, so that one that any writer could have made pushes no other out."""
    if is_proved:
        return "proved" if manifest.key_id == openable_key else ""
    return "encrypted" if manifest.key_id and openable_key is None else ""


def orphans(images: Iterable[Manifest], policy: Policy) -> Dict[str, int]:
    """Return how many images there are of each job that is neither defined nor forgotten, in order of their names."""
    found: Dict[str, int] = {}
    for manifest in images:
        if policy.is_orphan(manifest.job) and manifest.job not in policy.forget_jobs:
            found[manifest.job] = found.get(manifest.job, 0) + 1
    return dict(sorted(found.items()))


def to_be_named(
    images: Iterable[Manifest], newest: Manifest, policy: Policy, others: Iterable[Manifest] = ()
) -> Tuple[List[Missing], List[str]]:
    """Return what only older ``images`` of the newest one's job hold, and the warnings of a run: that, and :func:`orphans`.

    :param others: images that are not proved; the last one of a disk stays among them too.
    """
    images = list(images)
    missing = find_missing(images, newest, policy.forget_disks, list(others))
    return missing, [*sentences(missing), *orphan_sentences(images, policy)]


def orphan_sentences(images: Iterable[Manifest], policy: Policy) -> List[str]:
    """A warning for each job of :func:`orphans`."""
    found = list(orphans(images, policy).items())
    told = [
        "The job %s is not defined, so the rollover skips its %s. Define the job in imaging_jobs again, or add %s "
        "to imaging_forget_jobs to delete them." % (job, "image" if count == 1 else "%d images" % count, job)
        for job, count in found[:_MOST_TOLD]
    ]
    if len(found) > _MOST_TOLD:
        told.append("%d more undefined jobs have images." % (len(found) - _MOST_TOLD))
    return told


class _Seen:
    """The contents of the images looked at so far, the newest first: by job, with separate entries for proved images."""

    def __init__(self) -> None:
        self._ages: Dict[Tuple[str, str], int] = {}
        self._parts: Dict[Tuple[str, str], Set[Key]] = {}

    def take(self, manifest: Manifest, among: str, forgotten: FrozenSet[str]) -> Tuple[int, Optional[Part]]:
        """Return how many newer images count, and a disk or volume that none of them holds."""
        scope = (manifest.job, among)
        age, newer = self._ages.get(scope, 0), self._parts.setdefault(scope, set())
        held = parts_of(manifest)
        last_of = next((part for part in held if part.key not in newer and not is_forgotten(part, forgotten)), None)
        # A proved image counts for an unproved one, never the other way round.
        for counted in sorted({scope, (manifest.job, "")}):
            self._ages[counted] = self._ages.get(counted, 0) + 1
            self._parts.setdefault(counted, set()).update(part.key for part in held)
        return age, last_of


def _with_one(verdicts: Dict[str, Verdict], proved: Set[str]) -> Dict[str, Verdict]:
    """At least one image stays: of those that are proved, where there are some."""
    for names in ([name for name in verdicts if name in proved], list(verdicts)):
        if names and all(verdicts[name].goes for name in names):
            verdicts[names[0]] = Verdict(False, "it is the only remaining image", True)
    return verdicts
