# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``README.txt`` of a device's directory: what a person finds there who has neither the inventory nor this collection.

No program reads it. A run learns its size from the listing after the commit, so that a README that is stored costs no
call; one of another size (an earlier release, another name of the device) is replaced, where the account may.
"""

from __future__ import annotations

from typing import List, Optional

from ..errors import EngineError, StorageExists, StoragePermissionDenied
from .device_directory import DeviceDirectory
from .format import constants as fmt

_TEXT = """\
Images of the device {device}
{line}

This directory was written by plantops.imaging, an Ansible collection that
makes images of industrial PCs. It contains every image of this device.

WHAT IS HERE

  2026-11-22_13-45-10   An image: all disks of the device at this moment.
                        A directory like this without image.json is not
                        an image: its run was interrupted.
  packs                 The content of the disks, shared by all images.
  keys                  Key slots. If there are any, the images are encrypted
                        and can be read with the image password only.
  records               Facts about images: pinned, verified, archived.
  trash                 Packs that no image needs any more. A later rollover
                        deletes them.
  device-id.json        The machine that this directory belongs to.

Do not change, move or delete single files: images share them. The playbook
rollover of the collection deletes old images safely. Keep the name of this
directory: readers refuse its images under another name; the playbook rename
changes it. A complete copy of this directory, under the same name, is a
complete copy of all images.

VERIFY AN IMAGE (neither the collection nor the password is needed)

  cd 2026-11-22_13-45-10
  sha256sum -c SHA256SUMS

Every line must end in OK. To check the images with the collection:

  ansible-playbook plantops.imaging.verify --limit {device}

RESTORE AN IMAGE

On a running device, or on one that started from a rescue system:

  ansible-playbook plantops.imaging.restore --limit {device} \\
    -e '{{"imaging_restore_map": {{"disk0": "/dev/sdX"}}}}'

Without Ansible: the recovery program is one file, needs Python 3.8 and
nothing else. Every copy that the playbook copy makes contains it; the module
recovery_program builds it.

  python3 plantops-recovery.pyz images STORAGE {device}
  python3 plantops-recovery.pyz restore STORAGE {device} --to disk0=/dev/sdX

STORAGE is the directory above this one: a path, sftp://server/path or
\\\\server\\share\\path. The program prints a plan and asks before it writes.

The format of all files is open: docs/image-format.md of the collection.
"""


def readme_text(device: str) -> bytes:
    """The README of a device, with the line ends that every editor on every system shows."""
    text = _TEXT.format(device=device, line="=" * (len("Images of the device ") + len(device)))
    return text.replace("\n", "\r\n").encode("utf-8")


def keep_readme(directory: DeviceDirectory, there_bytes: Optional[int], may_replace: bool) -> List[str]:
    """Store the README where it is missing or another one; return a warning if that fails.

    :param there_bytes: the size of the one that is there, None where there is none, -1 where something else has its name.
    """
    text = readme_text(directory.device)
    if there_bytes in (len(text), -1) or (there_bytes is not None and not may_replace):
        return []
    try:
        directory.storage.put(directory.path(fmt.README_NAME), [text], replace=there_bytes is not None)
    except (StorageExists, StoragePermissionDenied):
        return []  # a directory of this name is foreign; an account may be limited to the names that it knows
    except EngineError as error:
        return ["%s could not be stored in %s: %s" % (fmt.README_NAME, directory.device, error)]
    return []
