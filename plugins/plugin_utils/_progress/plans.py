# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a verb, from its result in check mode: a line, and one for each disk and volume.

One pure function per verb; ``plan`` chooses it.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, List, Mapping

from .._units import size
from .endings import ending, listed, renaming, retirement, trash_words
from .readable import cut, readable

Result = Mapping[str, Any]


def plan(verb: str, result: Result) -> List[str]:
    """Return the lines for the result of a verb in check mode; none where the verb changes nothing anyway."""
    made = _PLANS.get(verb)
    return cut(made(readable(result))) if made is not None else []


def of_image(result: Result) -> List[str]:
    """How much would be sent, what would be deleted, and how each disk and volume would be read."""
    if result.get("image") or not all(name in result for name in ("bytes_in_use", "bytes_to_send")):
        return []
    lines = ["would create an image (%s in use, %s to upload)" % (size(result["bytes_in_use"]), _to_send(result))]
    deleted = list((result.get("rollover") or {}).get("deleted") or [])
    if deleted:
        lines[0] += " and then delete: %s" % listed(deleted)
    for disk in result.get("plan") or []:
        lines += _disk(disk) if isinstance(disk, dict) else []
    return lines


def of_restore(result: Result) -> List[str]:
    """The sentences of the plan, one for each disk and for each volume that does not stay as it is."""
    if result.get("already_restored") and not result.get("changed"):
        return ["nothing to restore: the targets already contain the image %s" % result.get("image")]
    title = "would restore image %s:"
    if result.get("already_restored"):  # what is left is the boot entry
        title = "the targets already contain the image %s, but the restore would still change the device:"
    return [title % result.get("image")] + ["  %s" % one for one in result.get("plan") or [] if isinstance(one, str)]


def of_rollover(result: Result) -> List[str]:
    """The images that would be deleted, and what that frees."""
    if "deleted" not in result:
        return []
    deleted = list(result["deleted"])
    words = "would delete %s" % listed(deleted) if deleted else "would delete no image"
    words += ", and free %s now" % size(result.get("freed_bytes") or 0)
    trash = trash_words(result.get("trash") or {})
    return [words + ("; " + trash if trash else "")]


def of_retire(result: Result) -> List[str]:
    """The images that would be deleted, those that would stay, and what that frees."""
    if "deleted" not in result:
        return []
    return [retirement(result, "would delete", "freed at once", "the directory would be removed")]


def of_rename(result: Result) -> List[str]:
    """Which directory would get which name."""
    if "former" not in result or not result.get("changed"):
        return [ending("rename", result)[0]] if "former" in result else []
    words = "would rename the directory %s to %s" if result.get("moved") else "would repair the directory of %s, now %s"
    return [renaming(result, words)]


def of_copy(result: Result) -> List[str]:
    """The image that would be copied, and its target."""
    if "bytes_to_copy" not in result:
        return []
    if not result.get("changed"):
        return ["%s already contains the image %s" % (result.get("target"), result.get("image"))]
    told = (result.get("image"), result.get("target"), size(result["bytes_to_copy"]))
    return ["would copy the image %s to %s, %s to copy" % told]


def of_archive(result: Result) -> List[str]:
    """Which version would be made."""
    if result.get("not_due"):
        return ["no version is due: v%s is the newest" % result.get("version")]
    if result.get("version") is None:
        return []
    if "bytes_to_copy" not in result:  # the image is still to be made
        coming = "the image of this run would be v%s in %s" % (result["version"], result.get("archive"))
        return [coming] if result.get("changed") else []
    told = (result.get("image"), result["version"], result.get("archive"), size(result.get("bytes_to_copy") or 0))
    if not result.get("changed"):
        return ["image %s is v%s of the archive %s already" % told[:3]]
    return ["would archive the image %s as v%s in %s, %s to copy" % told]


def of_agent(result: Result) -> List[str]:
    """Which agent would be on the device."""
    installed, replaced = result.get("installed"), result.get("replaced")
    if not result.get("changed"):
        return ["the agent %s is installed already" % installed if installed else "no agent is installed"]
    if installed or result.get("sent_bytes") is not None:
        sent = ", %s to send" % size(result["sent_bytes"]) if result.get("sent_bytes") else ""
        name = installed or "of this collection"
        if replaced:
            return ["would update the agent from %s to %s%s" % (replaced, name, sent)]
        return ["would install the agent %s%s" % (name, sent)]
    return ["would remove the agent%s" % (" %s" % replaced if replaced else "")]


def of_cancel(result: Result) -> List[str]:
    """Whether there is a run to cancel."""
    return ["would cancel the run %s if it is in progress: its state is %s" % (result.get("run"), result.get("state"))]


def _to_send(result: Result) -> str:
    """A guess with its range: no disk was read, and only that tells what has changed and how well it compresses.

    A volume that repeats one chunk is stored in nearly nothing, also in a first image.
    """
    likely, in_use = int(result["bytes_to_send"]), int(result["bytes_in_use"])
    most = max(likely, in_use)
    return "a guess: %s, from nothing to %s," % (size(likely), size(most)) if most else "nothing"


def _disk(disk: Mapping[str, Any]) -> List[str]:
    words = "  %s: %s, %s, %s in use" % (
        disk.get("disk"),
        disk.get("path"),
        size(disk.get("size_bytes") or 0),
        size(disk.get("in_use_bytes") or 0),
    )
    return [words] + ["    %s" % _volume(one) for one in disk.get("volumes") or []]


def _volume(volume: Mapping[str, Any]) -> str:
    name = "volume %s" % volume["name"] if volume.get("name") else "partition %s" % volume.get("number")
    if not volume.get("name") and not volume.get("number"):
        name = "the whole disk"
    points = listed([str(one) for one in volume.get("mount_points") or []])
    what = " ".join(part for part in (str(volume.get("kind") or "no file system"), _label(volume)) if part)
    words = "%s%s: %s, %s" % (name, " (%s)" % points if points else "", what, size(volume.get("size_bytes") or 0))
    if not volume.get("selected", True):
        return words + ", not in the image"
    words += ", %s in use" % size(volume.get("in_use_bytes") or 0)
    how = _STATES.get(str(volume.get("state")), "")
    words += ", %s" % how if how else ""
    reason = str(volume.get("reason") or "").rstrip(".")
    return words + (", imaged whole: %s" % reason if reason else "")


def _label(volume: Mapping[str, Any]) -> str:
    return "'%s'" % volume["label"] if volume.get("label") else ""


_STATES = {
    "frozen": "read at one moment",
    "foretold": "to be read from a snapshot",
    "live": "read while it changes",
}
_PLANS: Dict[str, Callable[[Result], List[str]]] = {
    "image": of_image,
    "restore": of_restore,
    "verify": partial(ending, "verify"),
    "rollover": of_rollover,
    "retire": of_retire,
    "rename": of_rename,
    "check": partial(ending, "check"),  # as far as it is known without a write
    "copy": of_copy,
    "archive": of_archive,
    "agent": of_agent,
    "cancel": of_cancel,
}
