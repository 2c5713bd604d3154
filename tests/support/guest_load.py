# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a guest busy while it is imaged. Runs in the guest: ``load.py <database> <count file> [<file to overwrite>]``.

The database commits rows that must add up, through a journal of its own; the count file, in memory, says how many were committed.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time

_LOAD_BYTES = 24 << 20
_BLOCK_BYTES = 64 << 10


def main(database: str, count_file: str, load_file: str) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("pragma synchronous = full")
    connection.execute("create table if not exists facts (number integer primary key, filler blob)")
    connection.execute("create table if not exists sums (total integer)")
    if not connection.execute("select count(*) from sums").fetchone()[0]:
        connection.execute("insert into sums values (0)")
    number = connection.execute("select count(*) from facts").fetchone()[0]
    with open(load_file, "wb") as load:
        load.truncate(_LOAD_BYTES)
        while True:
            number += 1
            connection.execute("begin")
            connection.execute("insert into facts values (?, ?)", (number, os.urandom(2000)))
            connection.execute("update sums set total = total + ?", (number,))
            connection.execute("commit")
            with open(count_file + ".new", "w", encoding="ascii") as count:
                count.write(str(number))
            os.rename(count_file + ".new", count_file)
            load.seek(number * _BLOCK_BYTES % _LOAD_BYTES)
            load.write(os.urandom(_BLOCK_BYTES))
            load.flush()
            time.sleep(0.15)


if __name__ == "__main__":
    main(*sys.argv[1:4])
