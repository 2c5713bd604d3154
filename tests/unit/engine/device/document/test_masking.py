# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in command lines and mount options are masked, and what is none stays."""

from __future__ import annotations

import pytest
from engine.device.document.masking import masked


@pytest.mark.parametrize(
    "text",
    [
        "sync --password=geheim /x",
        "sync --db-password geheim /x",
        "sync --password='geheim' /x",
        "rdesktop -u me -p x /password:geheim",
        "PGPASSWORD=geheim pg_dump x",
        "env API_KEY=geheim MY_SECRET=geheim run",
        "curl https://me:geheim@host/x",
        "curl -u me:geheim https://host",
        "curl --user me:geheim https://host",
        "curl -H 'Authorization: Bearer geheim' x",
        "mysqldump -u root -pgeheim db",
        "mysqldump -u root -p geheim db",
        "sshpass -p geheim ssh x",
        "rw,username=me,password=geheim,uid=0",
        "restic --token geheim backup",
        "smbclient //nas/x -U me%geheim",
        "rw,user=me%geheim,uid=0",
        "lftp -u me,geheim ftp.example.com",
        "/usr/bin/redis-cli -h db -a geheim ping",
        "ldapsearch -x -D cn=me -w geheim -b dc=x",
        "sqlcmd -S db -U sa -P geheim -Q x",
        "zip -P geheim a.zip b",
    ],
)
def test_a_secret_is_masked(text: str) -> None:
    assert "geheim" not in masked(text)
    assert "***" in masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "/usr/sbin/sshd -D -p 22",
        "cp -p a b",
        "run-parts --report /etc/cron.daily",
        "systemctl status ssh",
        "errors=remount-ro",
        "mysqld --port 3306",
        "/usr/bin/agent --user=%i --name=x%i",
        "zip -r a.zip b",
        "rsync -aP a b",
        "ldapsearch -W x",
    ],
)
def test_what_holds_no_secret_stays(text: str) -> None:
    assert masked(text) == text


def test_a_long_line_is_cut_and_quick() -> None:
    assert len(masked("--password" * 100_000)) <= 3000
