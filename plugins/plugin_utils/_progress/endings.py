# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line with which a verb ends, as a person would write it into a log, from the verb's result.

One pure function per verb; ``ending`` chooses it. ``plans`` has the lines of check mode.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Sequence

from .._units import duration, rate, size
from .moments import local_moment
from .readable import readable

_MOST_NAMED = 10
Result = Mapping[str, Any]


def ending(verb: str, result: Result) -> List[str]:
    """Return the lines for the result of a verb that has ended: one, or none where the verb has no such line."""
    made = _ENDINGS.get(verb)
    line = made(readable(result)) if made is not None else ""
    return [line] if line else []


def of_image(result: Result) -> str:
    """Which image, how long, how much; which old images went."""
    if not result.get("image") or "bytes_in_use" not in result:
        return ""
    words = "created image %s%s: %s in use, %s uploaded, the rest already stored or empty" % (
        result["image"],
        _took(result),
        size(result["bytes_in_use"]),
        size(result.get("bytes_stored") or 0),
    )
    return words + _and_deleted(result.get("rollover") or {})


def of_restore(result: Result) -> str:
    """Which image, onto what, how much, how long, read back or not."""
    disks = list(result.get("disks") or [])
    if result.get("already_restored"):
        targets = [str(one.get("target")) for one in result.get("targets") or []]
        what = "a boot entry was created" if result.get("changed") else "nothing was written"
        return "%s already had all of the image %s; %s" % (listed(targets), result.get("image"), what)
    if not disks:
        return ""
    written = sum(int(one.get("written_bytes") or 0) for one in disks)
    kept = sum(int(one.get("kept_bytes") or 0) for one in disks)
    onto = listed(["%s onto %s" % (one.get("disk"), one.get("target")) for one in disks])
    parts = ["%s written" % size(written)] + (["%s were there already" % size(kept)] if kept else [])
    parts += filter(None, [_PROOFS.get(str(result.get("proof")))])
    parts.append("read back" if result.get("read_back") else "not read back")
    if result.get("damaged"):
        parts.append("INCOMPLETE: parts of the image are lost")
    return "restored image %s%s, %s: %s" % (result.get("image"), _took(result), onto, ", ".join(parts))


def of_verify(result: Result) -> str:
    """Which image, level, how much was checked, and since when it is known to be intact."""
    if "ok" not in result:
        return ""
    checked = ", %s checked" % size(result["checked_bytes"]) if result.get("checked_bytes") else ""
    if not result["ok"]:
        count = len(result.get("problems") or [])
        problems = "1 problem" if count == 1 else "%d problems" % count
        return "image %s is NOT intact (level %s%s): %s" % (result.get("image"), result.get("level"), checked, problems)
    since = result.get("good_since")
    known = "intact at every verification since %s" % local_moment(str(since)) if since else "intact"
    return "verified image %s (level %s%s): %s" % (result.get("image"), result.get("level"), checked, known)


def of_rollover(result: Result) -> str:
    """The deleted images, which bytes are free now, and which come free when."""
    if "deleted" not in result or result.get("dry_run"):
        return ""
    deleted = list(result["deleted"])
    parts = ["deleted %s" % _images(deleted) if deleted else "deleted no image"]
    if isinstance(result.get("images"), list):
        parts.append("%d remain" % len(result["images"]))
    parts.append("%s freed now" % size(result.get("freed_bytes") or 0))
    return ", ".join(parts) + _and_trash(result)


def of_retire(result: Result) -> str:
    """The deleted images, those that stay and why, what is free now, and what comes free when."""
    if "deleted" not in result or result.get("dry_run"):
        return ""
    return retirement(result, "deleted", "freed now", "the directory was removed")


def retirement(result: Result, deleted: str, freed: str, gone: str) -> str:
    """The line of :func:`of_retire` in the words of what was done, or would be."""
    names, spared = list(result["deleted"]), dict(result.get("spared") or {})
    parts = [
        "%s: %s" % (result.get("device"), "%s %s" % (deleted, counted(names)) if names else "%s no image" % deleted)
    ]
    if spared:
        kept = ["%s (%s)" % (name, reason) for name, reason in sorted(spared.items())]
        parts.append("%s stay: %s" % (len(kept), listed(kept)) if len(kept) > 1 else "1 stays: %s" % kept[0])
    parts.append("%s %s" % (size(result.get("freed_bytes") or 0), freed))
    if result.get("is_gone"):
        parts.append(gone)
    trash = dict(result.get("trash") or {})
    words = trash_words(trash)
    again = "; repeat retire then" if words and trash.get("last_due") and not trash.get("needs_image") else ""
    return ", ".join(parts) + ("; " + words if words else "") + again


def counted(names: Sequence[str]) -> str:
    """How many images, and their names."""
    return "%s %s" % ("image" if len(names) == 1 else "%d images:" % len(names), listed(names))


def of_rename(result: Result) -> str:
    """Which directory has which name now, and what is left to do."""
    if "former" not in result:
        return ""
    if not result.get("changed"):
        return "the directory of %s is called %s already" % (result["former"], result.get("device"))
    done = "renamed the directory %s to %s" if result.get("moved") else "repaired the directory of %s, now called %s"
    return renaming(result, done) + "; give the device this name in the inventory, or set imaging_device_name"


def renaming(result: Result, words: str) -> str:
    """The line of :func:`of_rename` in the words of what was done, or would be."""
    names = list(result.get("images") or [])
    return "%s: %s" % (words % (result["former"], result.get("device")), counted(names) if names else "no image")


def of_check(result: Result) -> str:
    """Room, speed, permissions of a storage."""
    if "storage" not in result:
        return ""
    parts = [] if result.get("free_bytes") is None else ["%s free" % size(result["free_bytes"])]
    if parts and result.get("total_bytes"):
        parts[0] += " of %s" % size(result["total_bytes"])
    if result.get("write_mb_per_second"):
        parts.append("writes %s" % rate(int(result["write_mb_per_second"] * 1e6)))
    answer = result.get("round_trip_milliseconds")
    if answer is not None:
        parts.append("answers in %.*f ms" % (0 if answer >= 10 else 1, answer))
    permissions = [words for name, words in _PERMISSIONS if name in result and not result[name]]
    if any(name in result for name, dummy in _PERMISSIONS):
        missing = "the account may create and read, but not %s" % " or ".join(permissions)
        parts.append(missing if permissions else "the account may create, read, rename, replace and delete")
    counted = result.get("images")
    images = counted if isinstance(counted, int) else 0
    parts.append("1 image" if images == 1 else "%d images" % images)
    return "storage %s: %s" % (result["storage"], ", ".join(parts)) + _and_trash(result)


def of_copy(result: Result) -> str:
    """Which image, where to, how much was copied and how much was there."""
    if "bytes_copied" not in result:
        return ""
    parts = ["%s copied" % size(result["bytes_copied"])]
    if result.get("bytes_kept"):
        parts.append("%s were there already" % size(result["bytes_kept"]))
    told = (result.get("image"), result.get("target"), _took(result), ", ".join(parts))
    if not result.get("changed"):
        return "image %s was copied to %s before%s: %s" % told
    return "copied image %s to %s%s: %s" % told


def of_archive(result: Result) -> str:
    """Which image became which version of which archive."""
    if result.get("not_due"):
        return "no version is due: v%s is the newest" % result.get("version")
    if result.get("version") is None or not result.get("archive") or "packs_copied" not in result:
        return ""
    copied = ", %s copied" % size(result.get("bytes_copied") or 0)
    if not result.get("changed"):
        return "image %s is v%s of the archive %s already" % (result.get("image"), result["version"], result["archive"])
    return "archived image %s as v%s in %s%s%s" % (
        result.get("image"),
        result["version"],
        result["archive"],
        _took(result),
        copied,
    )


def of_agent(result: Result) -> str:
    """Which agent is on the device now."""
    installed, replaced = result.get("installed"), result.get("replaced")
    if not result.get("changed"):
        return "the agent %s is installed already" % installed if installed else "no agent is installed"
    if not installed:
        return "removed the agent%s" % (" %s" % replaced if replaced else "")
    sent = ", %s sent" % size(result["sent_bytes"]) if result.get("sent_bytes") else ""
    if replaced:
        return "updated the agent from %s to %s%s" % (replaced, installed, sent)
    return "installed the agent %s%s" % (installed, sent)


def of_cancel(result: Result) -> str:
    """The remains of a cancelled run; a run that was quicker than the cancelling has ended as its state says."""
    status: Mapping[str, Any] = result.get("status") or {}
    run, state = str(result.get("run")), str(result.get("state"))
    if state != "cancelled" or not result.get("changed"):
        return "the run %s was not cancelled: its state is %s" % (run, state)
    done = int(status.get("bytes_done") or 0)
    if run.startswith("restore-"):
        return "cancelled the run %s: %s" % (run, _half_restored(_phase_of(status), done))
    stored = int(status.get("bytes_stored") or 0)
    if stored:
        return "cancelled the run %s: no image was created, and the next run reuses the %s already uploaded" % (
            run,
            size(stored),
        )
    return "cancelled the run %s: nothing was stored" % run


def has_written(verb: str, status: Result) -> bool:
    """Whether a run that failed has changed its storage or its targets, as far as its last status tells."""
    if status.get("state") not in ("failed", "cancelled"):
        return True  # one that was lost told no end
    if verb == "restore":
        return _phase_of(status) not in _BEFORE_WRITING
    return bool(status.get("bytes_stored")) or _phase_of(status) == "committing"


def _phase_of(status: Result) -> str:
    """The phase of a run, or the one that a wait interrupted; "" where that is unknown."""
    phase = str(status.get("phase") or "")
    return str(status.get("phase_before") or "") if phase.startswith(WAITING) else phase


def _half_restored(phase: str, done: int) -> str:
    if phase in _BEFORE_WRITING:
        return "nothing was written"
    if phase != "writing":
        return "its targets may be incomplete until the restore is repeated"
    written = "%s were written, so its targets are" % size(done) if done else "its targets are cleared in part and"
    return "%s incomplete until the restore is repeated" % written


def listed(names: Sequence[str], most: int = _MOST_NAMED) -> str:
    """Some names and how many more."""
    more = " and %d more" % (len(names) - most) if len(names) > most else ""
    return ", ".join(names[:most]) + more


def trash_words(trash: Mapping[str, Any]) -> str:
    """The size of the trash and when it comes free; "" for an empty one."""
    total = int(trash.get("bytes") or 0)
    if not total:
        return ""
    words = "%s in the trash" % size(total)
    due = int(trash.get("due_bytes") or 0)
    when = []
    if due:
        when.append("%s with the next rollover" % size(due))
    if trash.get("last_due"):
        when.append("all of it from %s on" % local_moment(str(trash["last_due"])))
    if trash.get("needs_image"):
        when.append("after one more image")
    return words + (" (free: %s)" % ", ".join(when) if when else "")


def _and_trash(result: Result) -> str:
    words = trash_words(result.get("trash") or {})
    return "; " + words if words else ""


def _and_deleted(rollover: Mapping[str, Any]) -> str:
    deleted = list(rollover.get("deleted") or [])
    words = "; deleted %s" % _images(deleted) if deleted else ""
    freed = rollover.get("freed_bytes")
    return words + (", %s freed" % size(freed) if words and freed else "")


def _images(names: Sequence[str]) -> str:
    return "%s %s" % ("old image" if len(names) == 1 else "%d old images:" % len(names), listed(names))


def _took(result: Result) -> str:
    seconds = result.get("seconds")
    return "" if seconds is None else " in %s" % duration(round(seconds))


WAITING = "waiting for "  # the engine says so of a storage that is away, and of another run's lease
# The phases of a restore before it touches its targets; any other one may have changed them.
_BEFORE_WRITING = ("waiting", "preparing", "starting", "working", "comparing", "verifying")
_PERMISSIONS = (("may_rename", "rename"), ("may_replace", "replace"), ("may_delete", "delete"))
_PROOFS = {
    "first": "verified in the storage before it was written",
    "while_writing": "verified while it was written",
}
_ENDINGS: Dict[str, Callable[[Result], str]] = {
    "image": of_image,
    "restore": of_restore,
    "verify": of_verify,
    "rollover": of_rollover,
    "retire": of_retire,
    "rename": of_rename,
    "check": of_check,
    "copy": of_copy,
    "archive": of_archive,
    "agent": of_agent,
    "cancel": of_cancel,
}
