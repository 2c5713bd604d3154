# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that let the files of a bundle run where Windows runs nothing unknown: App Control, AppLocker, and a plain list.

Hashes are those that Windows compares: Authenticode for executables and libraries. A file that the plant signs keeps its.
Python runs any program that it is given, so AppLocker's rules are for SYSTEM and administrators only.
Sources: "App Control for Business policy file rules", "AppLocker CSP" (schema of the policy) of the Windows documentation.
"""

from __future__ import annotations

import uuid
from typing import Iterable, List, Tuple
from xml.sax.saxutils import quoteattr

from .document import File

_OURS = uuid.UUID("6f2b7c5e-5d0a-5c5e-9a53-9a1f7f1f2f10")
_SINGLE_POLICY = "{A244370E-44C9-4C06-B551-F6016E563076}"  # the base that a policy has unless a plant sets its own
_WINDOWS_PLATFORM = "{2E07F7E4-194C-4D20-B7C9-6F44A6C5A234}"
_USERS = (("S-1-5-18", "SYSTEM"), ("S-1-5-32-544", "administrators"))
_COLLECTIONS = (("Dll", (".dll", ".pyd")), ("Exe", (".exe",)), ("Script", (".cmd",)))


def hash_list(files: Iterable[File]) -> bytes:
    """Return a table of all files: name, size, SHA-256 of the file, SHA-256 by Authenticode (empty for no executable)."""
    lines = ["name,size_bytes,sha256,authenticode_sha256"]
    lines += ["%s,%d,%s,%s" % (file.name, file.size_bytes, file.sha256, file.authenticode) for file in files]
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def app_control(files: Iterable[File], title: str) -> bytes:
    """Return a supplemental policy of App Control with a rule for every executable and library."""
    allowed = [file for file in files if file.authenticode]
    rules, references = [], []
    for number, file in enumerate(allowed, 1):
        name = "ID_ALLOW_A_%X" % number
        words = quoteattr("%s Hash Sha256" % file.name)
        rules.append('    <Allow ID="%s" FriendlyName=%s Hash="%s" />' % (name, words, file.authenticode.upper()))
        references.append('            <FileRuleRef RuleID="%s" />' % name)
    policy = "{%s}" % str(uuid.uuid5(_OURS, "app-control " + title)).upper()
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<SiPolicy xmlns="urn:schemas-microsoft-com:sipolicy" PolicyType="Supplemental Policy">',
        "  <VersionEx>1.0.0.0</VersionEx>",
        "  <PlatformID>%s</PlatformID>" % _WINDOWS_PLATFORM,
        "  <Rules>",
        "    <Rule>",
        "      <Option>Enabled:Unsigned System Integrity Policy</Option>",
        "    </Rule>",
        "  </Rules>",
        "  <EKUs />",
        "  <FileRules>",
        *rules,
        "  </FileRules>",
        "  <Signers />",
        "  <SigningScenarios>",
        '    <SigningScenario Value="12" ID="ID_SIGNINGSCENARIO_WINDOWS" FriendlyName="User Mode">',
        "      <ProductSigners>",
        "        <FileRulesRef>",
        *references,
        "        </FileRulesRef>",
        "      </ProductSigners>",
        "    </SigningScenario>",
        "  </SigningScenarios>",
        "  <UpdatePolicySigners />",
        "  <CiSigners />",
        "  <HvciOptions>0</HvciOptions>",
        "  <BasePolicyID>%s</BasePolicyID>" % _SINGLE_POLICY,
        "  <PolicyID>%s</PolicyID>" % policy,
        "</SiPolicy>",
    ]
    return ("\r\n".join(lines) + "\r\n").encode("utf-8")


def app_locker(files: Iterable[File], title: str) -> bytes:
    """Return a policy of AppLocker. Its collections are not enforced by it: that stays the plant's choice."""
    known = list(files)
    lines = ['<AppLockerPolicy Version="1">']
    for collection, endings in _COLLECTIONS:
        chosen = [file for file in known if file.name.endswith(endings)]
        lines.append('  <RuleCollection Type="%s" EnforcementMode="NotConfigured">' % collection)
        for user in _USERS:
            lines += _locker_rule(chosen, collection, title, user)
        lines.append("  </RuleCollection>")
    return ("\r\n".join([*lines, "</AppLockerPolicy>"]) + "\r\n").encode("utf-8")


def _locker_rule(files: List[File], collection: str, title: str, user: Tuple[str, str]) -> List[str]:
    if not files:
        return []
    number, who = user
    rule = str(uuid.uuid5(_OURS, "applocker %s %s %s" % (title, collection, number)))
    name = quoteattr("%s: %s for %s" % (title, collection, who))
    lines = [
        '    <FileHashRule Id="%s" Name=%s Description="" UserOrGroupSid="%s" Action="Allow">' % (rule, name, number),
        "      <Conditions>",
        "        <FileHashCondition>",
    ]
    for file in files:
        data = (file.authenticode or file.sha256).upper()
        words = (data, quoteattr(file.name.rpartition("/")[2]), file.size_bytes)
        lines.append('          <FileHash Type="SHA256" Data="0x%s" SourceFileName=%s SourceFileLength="%d" />' % words)
    return [*lines, "        </FileHashCondition>", "      </Conditions>", "    </FileHashRule>"]
