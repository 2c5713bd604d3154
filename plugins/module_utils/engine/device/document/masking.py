# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks secrets in command lines, mount options and the like: the document is kept unencrypted in places.

It knows how programs are usually given a secret. A secret that a command passes in another way stays in the document.
"""

from __future__ import annotations

import re

MASK = "***"
_WORD = r"pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|access[-_]?key|credentials?"
_PATTERNS = (
    # --password=x, --db-password x, -passwd:x, password=x in options of a mount
    (
        re.compile(
            r"((?:^|[\s,;\"'])[-/]{0,2}(?:\w+[-_])*(?:%s)\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;]+)" % _WORD, re.I
        ),
        r"\1***",
    ),
    (re.compile(r"((?:^|\s)--?(?:\w+-)*(?:%s)\s+)(\"[^\"]*\"|'[^']*'|[^\s-]\S*)" % _WORD, re.I), r"\1***"),
    # user:x@host in an address
    (re.compile(r"(\w[\w+.-]*://[^\s/:@]*:)[^\s@]+(@)"), r"\1***\2"),
    # PGPASSWORD=x
    (re.compile(r"(\b\w*(?:PASS|SECRET|TOKEN|CREDENTIAL|API_?KEY)\w*=)(\"[^\"]*\"|'[^']*'|[^\s;]+)", re.I), r"\1***"),
    (re.compile(r"(\b(?:mysql\w*|mariadb\S*|sshpass)\b[^|;&]*?\s-p\s?)(\"[^\"]*\"|'[^']*'|[^\s-]\S*)"), r"\1***"),
    (re.compile(r"(\s(?:-u|--user)[\s=]*[^\s:]+:)(\S+)"), r"\1***"),
    # user%x of Samba's programs and of mount.cifs
    (re.compile(r"((?:\s(?:-U|--user)[\s=]*|\buser(?:name)?=)[^\s,%=]+%)([^\s,;\"']+)"), r"\1***"),
    (re.compile(r"(\blftp\b[^|;&]*?\s-u\s*[^\s,]+,)(\S+)"), r"\1***"),
    # programs whose option for the password is a letter
    (re.compile(r"(\bredis-cli\b[^|;&]*?\s-a\s*)(\"[^\"]*\"|'[^']*'|\S+)"), r"\1***"),
    (re.compile(r"(\bldap\w+\b[^|;&]*?\s-w\s*)(\"[^\"]*\"|'[^']*'|\S+)"), r"\1***"),
    (re.compile(r"(\b(?:zip|sqlcmd|bcp|isql|tsql)\b[^|;&]*?\s-P\s*)(\"[^\"]*\"|'[^']*'|\S+)"), r"\1***"),
    (re.compile(r"((?:authorization|x-api-key)\s*:\s*)((?:basic|bearer)\s+)?([^\s\"']+)", re.I), r"\1\2***"),
)
_MOST_CHARACTERS = 2000


def masked(text: str) -> str:
    """Return the text, cut short, with ``***`` in place of what looks like a secret."""
    text = text[:_MOST_CHARACTERS]
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text
