# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root directories of Debian releases by debootstrap: what a device of that release is made of. Kept under the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from .guest_build import cache_folder, mirror

# With a whole Python: its minimal package lacks modules of the standard library.
_PACKAGES = "python3,openssh-server,sudo"


def debian_root(release: str, packages: str = _PACKAGES) -> Path:
    """Return the root of the release, made now if the cache has none of this recipe. It is never written to."""
    base = cache_folder()
    folder = base / ("%s-%s" % (release, hashlib.sha256(packages.encode()).hexdigest()[:16]))
    with open(base / ("lock-" + release), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test processes make it once
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=str(base), prefix=".making-") as making:
                tree = os.path.join(making, "tree")
                command = ["debootstrap", "--variant=minbase", "--include=" + packages, release, tree, mirror()]
                done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                if done.returncode:
                    raise AssertionError("debootstrap of %s failed: %s" % (release, done.stdout[-3000:]))
                os.rename(tree, str(folder))
    return folder
