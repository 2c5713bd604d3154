# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the recovery program: its commands and options, as docs/recovery.md promises them."""

from __future__ import annotations

import argparse
import os
from typing import Any, Dict, List, NoReturn, Optional

from ..errors import RecoveryArgumentInvalid
from ..restore.matching import AUTO, EVERY

PROGRAM = "plantops-recovery"
LATER = {
    "list": "list a folder inside an image",
    "get": "fetch files out of an image",
    "serve": "offer an imaged disk over NBD",
    "export": "write an imaged disk as raw, qcow2 or vhdx file",
    "boot-test": "start an image in a virtual machine",
}
LEVELS = ("quick", "storage", "full", "boot")
_STORAGE_HELP = "storage of the images: a directory, sftp://server/path or \\\\server\\share\\path"
_DESCRIPTION = """\
Restores images of plantops.imaging without an installation, a network, Ansible or packages.

Begin with "images", which lists the devices and images. Then "verify" checks that an image is intact, "plan" shows
the plan of a restore, and "restore" runs it after a confirmation.
"""
_EXAMPLES = """\
examples:
  plantops-recovery.pyz images /media/stick
  plantops-recovery.pyz verify /media/stick press-07
  plantops-recovery.pyz plan /media/stick press-07 --to disk0=/dev/sda
  plantops-recovery.pyz restore /media/stick press-07 --image 2026-11-22_13-45-10 --to disk0=/dev/sda --overwrite
  plantops-recovery.pyz restore sftp://backup.plant.example/srv/images press-07 --user line3 --to disk0=/dev/sda
  plantops-recovery.pyz copy /srv/images press-07 --to /media/stick

exit status: 0 success, 1 refused or failed, 2 wrong usage, 3 this Python can't run the program,
130 or 143 interrupted.
"""


class _Parser(argparse.ArgumentParser):
    """The standard parser, with errors that name the way to the help."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, "%s: %s. Try %s --help.\n" % (self.prog, message, self.prog))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = _Parser(
        prog=PROGRAM, description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    one = _add(commands, "images", "list the devices and images of a storage", device=False)
    one.add_argument("device", metavar="DEVICE", nargs="?", help="list only images of this device")
    _image(_add(commands, "show", "show the content of an image"))
    one = _add(commands, "verify", "verify that an image can be restored")
    _image(one)
    one.add_argument(
        "--level",
        choices=LEVELS,
        default="full",
        help=(
            "quick: compare names and sizes; storage: hash all stored data, no password needed; full: run "
            "the restore without writing (the default); boot: planned for a later version"
        ),
    )
    one = _add(commands, "plan", "show the plan of a restore without writing")
    _targets(one, is_required=False)
    one = _add(commands, "restore", "restore an image onto disks: show the plan, ask for confirmation, then write")
    _targets(one, is_required=True)
    one.add_argument("--yes", action="store_true", help="do not ask for confirmation; required without a terminal")
    _copy(
        _add(
            commands, "copy", "copy an image, with everything that a recovery needs, to a directory or another storage"
        )
    )
    for name, words in LATER.items():
        commands.add_parser(name, help="%s (planned for a later version)" % words)
    return top


def _add(commands: Any, name: str, words: str, device: bool = True) -> argparse.ArgumentParser:
    one: argparse.ArgumentParser = commands.add_parser(
        name, help=words, description=words[:1].upper() + words[1:] + "."
    )
    one.add_argument("storage", metavar="STORAGE", help=_STORAGE_HELP.replace("%", "%%"))
    if device:
        one.add_argument("device", metavar="DEVICE", help="the device directory, as shown by the command images")
    access = one.add_argument_group("access")
    _access(access, "", "the storage")
    access.add_argument(
        "--password-fd",
        metavar="N",
        type=int,
        help="read the image password from the file descriptor N; without it the program asks on the terminal",
    )
    one.add_argument(
        "--json", action="store_true", help="print one JSON document, and events as JSON lines on the error output"
    )
    return one


def _access(group: Any, prefix: str, what: str) -> None:
    group.add_argument("--%suser" % prefix, metavar="NAME", help="user on the server of %s" % what)
    group.add_argument(
        "--%sstorage-password-fd" % prefix,
        metavar="N",
        type=int,
        help="read the password of %s from the file descriptor N; without it the program asks on the terminal" % what,
    )
    group.add_argument(
        "--%sstorage-port" % prefix, metavar="N", type=int, help="TCP port of a share's server, where it is not 445"
    )
    group.add_argument("--%sprivate-key-file" % prefix, metavar="FILE", help="private key for an SFTP server")
    group.add_argument(
        "--%shost-key" % prefix,
        metavar="KEY",
        help="the SFTP server's host key: a fingerprint SHA256:..., a known_hosts file, or accept-new",
    )


def _image(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--image",
        metavar="IMAGE",
        default="latest",
        help="latest (the default), the name of an image, or a version of an archive, such as v3",
    )


def _targets(one: argparse.ArgumentParser, is_required: bool) -> None:
    _image(one)
    one.add_argument(
        "--to",
        metavar="diskN=TARGET",
        action="append",
        required=is_required,
        help=(
            "target of an imaged disk, such as disk0=/dev/sda; a plain file is also a valid target; repeat "
            "for each disk; disk0=auto selects the disk with the same serial number, partition table, or size and model, "
            "auto does so for every disk" + ("" if is_required else " (the default)")
        ),
    )
    one.add_argument(
        "--only",
        metavar="PARTITION",
        action="append",
        help="restore only this partition, such as disk0p2; repeat for each partition; the others stay as they are",
    )
    one.add_argument("--overwrite", action="store_true", help="overwrite a target that contains data")
    one.add_argument("--damaged", action="store_true", help="restore the intact data of a damaged image")
    one.add_argument(
        "--replace-table",
        metavar="PARTITION",
        action="append",
        help="delete this partition of the target, as shown in the error message; repeat for each partition",
    )
    one.add_argument(
        "--proof",
        choices=("auto", "first", "while-writing"),
        default="auto",
        help=(
            "when the image is verified: first, before the target is written to; or while-writing, which fetches an "
            "image from a server only once and keeps the target not bootable until the end; auto (the default) takes "
            "while-writing for a server and targets without data"
        ),
    )
    one.add_argument(
        "--no-read-back",
        action="store_true",
        help="do not compare the targets with the image after they were written; saves the time of reading them",
    )
    _changes(one)


def _changes(one: argparse.ArgumentParser) -> None:
    """The options of a target that is to differ from the imaged disk."""
    one.add_argument(
        "--grow",
        metavar="last|N|system",
        help=(
            "on a larger disk grow the last partition, partition N, or the one with the operating system, and its "
            "file system; partitions behind it move to the end"
        ),
    )
    one.add_argument(
        "--shrink",
        action="store_true",
        help="fit the image onto a smaller disk: move partitions, and shrink ext4 and NTFS where they have room",
    )
    one.add_argument(
        "--scratch",
        metavar="DIRECTORY",
        help="where --shrink makes volumes smaller before the target is written; the plan names the space it needs",
    )
    one.add_argument(
        "--identity",
        choices=("keep", "new"),
        default="keep",
        help=(
            "new: give a clone that runs beside the original its own disk GUID or signature and partition GUIDs; the "
            "plan names every file that is changed for that; keep (the default) leaves them byte for byte"
        ),
    )
    one.add_argument(
        "--boot-fallback",
        metavar="yes|LOADER",
        nargs="?",
        const="yes",
        default="no",
        help=(
            "add EFI/BOOT/BOOTX64.EFI to the EFI partition, by which another machine starts the disk: a copy of the boot loader "
            "that is there, or of LOADER, such as EFI/debian/shimx64.efi, if there are several"
        ),
    )
    one.add_argument(
        "--free-space",
        choices=("keep", "discard", "zero"),
        default="keep",
        help=(
            "what the image does not hold of a whole disk: keep leaves it on the target as it is (the default), discard gives it "
            "back to an SSD or a sparse file, zero overwrites it, so that nothing of the former content stays"
        ),
    )


def _copy(one: argparse.ArgumentParser) -> None:
    _image(one)
    one.add_argument(
        "--to", metavar="DIRECTORY|STORAGE", required=True, help="a directory, or a storage in the same form as STORAGE"
    )
    _access(one.add_argument_group("access to the target, if it is a storage on a server"), "to-", "the target")


def is_server(storage: str) -> bool:
    """Whether a storage is on a server, and not a directory of this machine."""
    return ("://" in storage and not storage.startswith("file://")) or storage.startswith(("\\\\", "//"))


def place(storage: str) -> str:
    """A storage as the engine takes it: a directory by its absolute path."""
    return storage if is_server(storage) or storage.startswith("file://") else os.path.abspath(storage)


def targets(given: List[str]) -> Dict[str, str]:
    """``["disk0=/dev/sda"]`` as the engine's map.

    :raises RecoveryArgumentInvalid: for what is not written so.
    """
    found: Dict[str, str] = {}
    for text in given:
        disk, sign, path = text.partition("=") if text != AUTO else (EVERY, "=", AUTO)
        if not sign or not disk or not path:
            raise RecoveryArgumentInvalid(option="--to %s" % text, reason="it must have the form disk0=TARGET")
        if disk in found:
            raise RecoveryArgumentInvalid(option="--to %s" % text, reason="%s is given twice" % disk)
        found[disk] = path if path == AUTO else os.path.abspath(path)
    return found


def storage_settings(
    url: str,
    user: Optional[str],
    password: Optional[str],
    key_file: Optional[str],
    host_key: Optional[str],
    port: Optional[int],
) -> Dict[str, Any]:
    """``imaging_storage`` from the options."""
    settings = {
        "url": place(url),
        "username": user,
        "password": password,
        "private_key_file": os.path.abspath(key_file) if key_file else None,
        "host_key": host_key,
        "port": port,
    }
    return {name: value for name, value in settings.items() if value is not None}
