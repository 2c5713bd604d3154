# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of the program for a person: results as text, and the engine's sentences with the names of options in them."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Type

from ..amounts import size
from ..errors import (
    ArchiveVersionMissing,
    ArchiveVersionTampered,
    EngineError,
    ImageNotFound,
    PasswordMissing,
    PasswordUnused,
    PasswordWrong,
    RestoreMapInvalid,
    StorageDirectoryMissing,
    StorageFull,
    TrashInUse,
)
from ..tame import one_line
from ..verbs.image_table import columns

# The engine's messages name settings of the inventory; here the options of the same meaning are named.
_OPTIONS = (
    ("imaging_restore_map", "--to"),
    ("imaging_restore_overwrite", "--overwrite"),
    ("imaging_restore_damaged", "--damaged"),
    ("imaging_restore_replace_table", "--replace-table"),
    ("imaging_restore_partitions", "--only"),
    ("imaging_restore_read_back", "--no-read-back"),
    ("imaging_restore_proof", "--proof"),
    ("imaging_restore_grow", "--grow"),
    ("imaging_restore_shrink", "--shrink"),
    ("imaging_restore_scratch", "--scratch"),
    ("imaging_restore_identity", "--identity"),
    ("imaging_restore_boot_fallback", "--boot-fallback"),
    ("imaging_restore_free_space", "--free-space"),
    ("imaging_storage.url", "STORAGE"),
    ("imaging_storage.username", "--user"),
    ("imaging_storage.password", "--storage-password-fd"),
    ("imaging_storage.private_key_file", "--private-key-file"),
    ("imaging_storage.host_key", "--host-key"),
    ("imaging_storage_host_key", "--host-key"),
    ("imaging_storage", "STORAGE"),
    ("imaging_password", "the image password (--password-fd)"),
    ("imaging_image", "--image"),
    ("imaging_device_name", "DEVICE"),
    ("host_key", "--host-key"),
    ("the playbook show", "the command images"),
)
# These hints replace those of the catalogue: a user of the recovery program has no inventory.
_HINTS: Dict[Type[EngineError], str] = {
    ArchiveVersionMissing: "List the versions with the command images.",
    ArchiveVersionTampered: "Use another version, or name the image with --image if you trust it.",
    ImageNotFound: "List what there is with the command images.",
    PasswordMissing: "Give the image password on the terminal or with --password-fd N.",
    PasswordUnused: "Run the command without a password if you trust where the image comes from.",
    PasswordWrong: "Check the keyboard layout and type the image password again.",
    RestoreMapInvalid: "Give --to for each disk, such as --to disk0=/dev/sda; the command show lists the disks.",
    StorageDirectoryMissing: "Correct the path, or mount what belongs there.",
    TrashInUse: "Wait for the run to end.",
    StorageFull: "Make room there, or copy to a larger target.",
}
_NAMES = re.compile("|".join(r"(?<![\w-])%s(?!\w)" % re.escape(name) for name, dummy in _OPTIONS))
_MAP = re.compile(r"\{(disk\d+): ([^{}]+)\}")


def option_words(text: str) -> str:
    """A sentence of the engine as it is meant here: settings become options."""
    named = dict(_OPTIONS)
    return _MAP.sub(r"\1=\2", _NAMES.sub(lambda match: named[match.group()], text))


def told(error: EngineError) -> Dict[str, str]:
    """Code, message and hint of a failure, for a person who has only this program."""
    found = error.as_dict()
    hint = next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), found["hint"])
    return dict(found, message=option_words(found["message"]), hint=option_words(hint))


def duration(seconds: int) -> str:
    """2:05 h, 3:10 min."""
    if seconds >= 3600:
        return "%d:%02d h" % (seconds // 3600, seconds % 3600 // 60)
    return "%d:%02d min" % (seconds // 60, seconds % 60)


def images(devices: Dict[str, List[Dict[str, Any]]]) -> List[str]:
    """One line for each image, newest last."""
    has_versions = any(one["version"] for found in devices.values() for one in found)
    heads = ["DEVICE", "IMAGE", *(["VERSION"] if has_versions else []), "DISKS", "IN USE", "KEY", "JOB", "PINNED"]
    heads += ["COMMENT"] if has_versions else []
    rows = []
    for device, found in sorted(devices.items()):
        rows += [
            [
                device,
                one["image"],
                *([_version(one) or "-"] if has_versions else []),
                size(one["size_bytes"]),
                size(one["in_use_bytes"]),
                "encrypted" if one["encrypted"] else "clear",
                one["job"] or "-",
                _pinned(one["pinned"]),
                *([_comment(one)] if has_versions else []),
            ]
            for one in found
        ]
    if not rows:
        return ["The storage contains no images."]
    return columns(heads, rows)


def _version(one: Dict[str, Any]) -> str:
    return "v%d" % one["version"] if one["version"] else ""


def _comment(one: Dict[str, Any]) -> str:
    """The first line of a version's comment, and who wrote it."""
    author = " (%s)" % one["author"] if one["author"] else ""
    return "%s%s" % (one["comment"].partition("\n")[0], author)


def _pinned(value: Any) -> str:
    return "unknown" if value is None else "pinned" if value else "-"


def boot(one: Dict[str, Any]) -> List[str]:
    """Whether a restored disk starts, and with which firmware mode; nothing for a disk of data."""
    if not one["starts"]:
        return []
    modes = {"uefi": "UEFI", "bios": "BIOS", "both": "UEFI or BIOS"}[one["starts"]]
    entry = {"created": "; its boot entry was created", "exists": "; it has a boot entry"}.get(one["entry"], "")
    return ["%s starts with %s%s." % (one_line(str(one["disk"])), modes, entry)]


def shown(device: str, one: Dict[str, Any]) -> List[str]:
    """An image in detail."""
    proofs = ["%s: %s" % (proof["level"], "whole" if proof["ok"] else "DAMAGED") for proof in one["verified"]]
    lines = [
        "Device    %s" % device,
        "Image     %s (number %d)" % (one["image"], one["sequence"]),
        "Job       %s" % (one["job"] or "none"),
        "Frozen    %s" % one["snapshot"],
        "Key       %s" % ("encrypted" if one["encrypted"] else "not encrypted"),
        "Pinned    %s" % {None: "unknown", True: "yes", False: "no"}[one["pinned"]],
        "Stored    %s" % size(one["pack_bytes"]),
        "Verified  %s" % (", ".join(proofs) or "never"),
    ]
    if one["version"]:
        lines.append(
            "Version   %s, checked in %s by %s" % (_version(one), one["checked_in"], one["author"] or "unknown")
        )
        lines += ["Comment   %s" % line for line in one["comment"].split("\n") if line]
    lines.append("")
    rows = [
        [
            disk["name"],
            size(disk["size_bytes"]),
            "%d" % disk["size_bytes"],
            size(disk["in_use_bytes"]),
            "%d" % disk["sector_bytes"],
            disk["stable_id"],
            disk.get("model", "") or "-",
        ]
        for disk in one["disks"]
    ]
    lines += columns(["DISK", "SIZE", "BYTES", "IN USE", "SECTOR", "ID", "MODEL"], rows)
    return [one_line(line) for line in lines]
