# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds the cache of ansible-test with a pip bootstrap, so that its virtual environments need no download.

ansible-test fetches a get-pip script from the internet. A plant's build machine often reaches a package index only;
the pip that comes with Python (ensurepip) does the same there.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

BOOTSTRAP = '''\
"""A get-pip made of the pip that comes with Python, upgraded to what was asked for."""
import ensurepip
import os
import subprocess
import sys

ensurepip.bootstrap()
os.environ.pop("PIP_CONFIG_FILE", None)  # ensurepip points it at nothing
wanted = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *wanted]))
'''


def pip_version() -> str:
    """Return the version in the name of the script that the installed ansible-test looks for."""
    import ansible_test

    source = Path(ansible_test.__file__).parent / "_internal" / "python_requirements.py"
    match = re.search(r"""\bpip=["']([0-9.]+)["']""", source.read_text(encoding="utf-8"))
    if match is None:
        sys.exit("pip_bootstrap: this ansible-test names no pip version; see where it looks for its get-pip script")
    return match.group(1)


def main() -> None:
    name = "get_pip_%s.py" % pip_version().replace(".", "_")
    cache = Path.home() / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / name).write_text(BOOTSTRAP, encoding="utf-8")


if __name__ == "__main__":
    main()
