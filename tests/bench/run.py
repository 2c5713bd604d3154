# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench`: measures and prints tables. Arguments choose: peers, io-rate, latency, scale, storages, smb, wire, restores, local-restores,
crowd, shares, windows; none means all."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent / "plugins" / "module_utils")]

import crowd  # noqa: E402
import latency  # noqa: E402
import limits  # noqa: E402  # the path is known only now
import local_restores  # noqa: E402
import peers  # noqa: E402
import restores  # noqa: E402
import scale  # noqa: E402
import shares  # noqa: E402
import smb  # noqa: E402
import storages  # noqa: E402
import windows  # noqa: E402
import wire  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "what",
        nargs="*",
        choices=[
            "peers",
            "io-rate",
            "latency",
            "scale",
            "storages",
            "smb",
            "wire",
            "restores",
            "local-restores",
            "crowd",
            "shares",
            "windows",
            [],
        ],
    )
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/plantops-bench"))
    parser.add_argument("--gib", type=float, default=4.0, help="bytes in use of the volume for peers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--file-systems", nargs="+", choices=["ntfs", "ext4"], default=["ntfs", "ext4"])
    parser.add_argument("--caches", nargs="+", choices=["warm", "cold"], default=["warm", "cold"])
    parser.add_argument("--images", type=int, default=500, help="of the one device of crowd")
    parser.add_argument(
        "--mib", type=int, default=256, help="what storages and smb move; wire takes four times as much"
    )
    parser.add_argument("--tib", type=float, default=2.0, help="size of the simulated disk")
    parser.add_argument("--against", type=Path, help="a checkout of another commit, which races too")
    options = parser.parse_args()
    os.environ["PATH"] = os.environ["PATH"] + ":/usr/sbin:/sbin"
    parts = {
        "io-rate": lambda: limits.io_rate(options.folder),
        "latency": lambda: latency.foreground_latency(options.folder, 3 * options.rounds),
        "scale": lambda: scale.main(options.folder, options.tib),
        "storages": lambda: storages.main(options.folder, options.mib, options.rounds),
        "smb": lambda: smb.main(options.folder, options.mib, options.rounds),
        "wire": lambda: wire.main(options.folder, 4 * options.mib, options.rounds),
        "restores": lambda: restores.main(options.folder, options.mib, options.rounds),
        "local-restores": lambda: local_restores.main(
            options.folder, options.gib / 2, options.rounds, options.caches, options.against
        ),
        "crowd": lambda: crowd.main(options.folder, images=options.images),
        "shares": lambda: shares.main(options.folder, options.gib / 2, options.rounds),
        "windows": lambda: windows.main(options.folder, options.mib, options.rounds),
        "peers": lambda: peers.main(
            options.folder, options.gib, options.rounds, options.file_systems, options.caches, options.against
        ),
    }
    for name in options.what or parts:
        text = parts[name]()
        print("\n## %s\n\n%s" % (name, text), flush=True)


if __name__ == "__main__":
    main()
