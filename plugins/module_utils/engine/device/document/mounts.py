# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``mounts``: the file systems that the system is configured to mount. Source: fstab(5)."""

from __future__ import annotations

from ...host.linux_mountinfo import unescape
from .items import Items, add
from .masking import masked
from .tree import SystemTree


def read_mounts(tree: SystemTree) -> Items:
    items: Items = {}
    for line in tree.text("/etc/fstab").split("\n"):
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        source, point, kind = (unescape(field) for field in fields[:3])
        source = masked(source)  # curlftpfs and davfs take an address with its password
        options = masked(",".join(fields[3:4]))
        add(
            items, "swap %s" % source if kind == "swap" else point, {"source": source, "type": kind, "options": options}
        )
    return items
