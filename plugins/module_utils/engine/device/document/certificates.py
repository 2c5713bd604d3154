# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``certificates``: those installed on this system, with the expiry date of each. Bundles of authorities are not read."""

from __future__ import annotations

import datetime
import re
import warnings
from typing import Any, Iterator, List

from ..._libraries import x509
from ...errors import EngineError
from .items import Item, Items
from .tree import SystemTree, Unreadable

_FOLDERS = (
    "/etc/ssl",
    "/etc/pki",
    "/etc/letsencrypt/live",
    "/etc/ipsec.d",
    "/etc/openvpn",
    "/usr/local/share/ca-certificates",
)
_NAME = re.compile(r".+\.(pem|crt|cer|der|cert)", re.IGNORECASE)
_OF_AUTHORITIES = re.compile(
    r"/etc/pki/(java|ca-trust/extracted|trust/extracted|rpm-gpg)/.*|.*/ca-(bundle|certificates)[^/]*|.*/private/.*"
    r"|/etc/ssl/certs/[0-9a-f]{8}\.\d+"
)
_AUTHORITIES = ("/usr/share/ca-certificates/", "/etc/pki/ca-trust/extracted/", "/var/lib/ca-certificates/")
_BLOCK = re.compile(
    rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----[A-Za-z0-9+/=\s]{1,100000}-----END (?:TRUSTED )?CERTIFICATE-----"
)
_FILE_BYTES = 256 << 10
_MOST_IN_A_FILE = 20
_MOST_FILES = 2000
_DEPTH = 4


def read_certificates(tree: SystemTree) -> Items:
    items: Items = {}
    for number, place in enumerate(_places(tree)):
        if number >= _MOST_FILES:
            raise Unreadable("there are more than %d files with certificates" % _MOST_FILES)
        try:
            data = tree.data(place, _FILE_BYTES) or b""
        except Unreadable as error:
            tree.check_time()
            items[place] = problem(str(error))
            continue
        blocks = _BLOCK.findall(data) if b"-----BEGIN" in data else [data] if data else []
        if len(blocks) > _MOST_IN_A_FILE:
            continue  # authorities
        for count, block in enumerate(blocks, 1):
            key = place if len(blocks) == 1 else "%s (%d)" % (place, count)
            items[key] = described(block)
    return items


def _places(tree: SystemTree) -> Iterator[str]:
    for folder in _FOLDERS:
        for file in tree.files(folder, _DEPTH):
            if not _NAME.fullmatch(file.name) or _OF_AUTHORITIES.fullmatch(file.place):
                continue
            if file.link.startswith(_AUTHORITIES) or (file.link and _is_known(file.link)):
                continue
            yield file.place


def _is_known(link: str) -> bool:
    """Whether a link leads to a file that is read at its own place."""
    return link.startswith(("/usr/local/share/ca-certificates/", "/etc/ssl/", "/etc/pki/")) or "/" not in link


def described(block: bytes) -> Item:
    """Return the fields of a certificate, or why it has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old authorities, whose serial numbers are 0 or negative
            return _fields(block)
    except EngineError as error:
        raise Unreadable(str(error)) from None
    except (ValueError, TypeError, OverflowError, UnicodeError) as error:
        return problem(" ".join(_words(error)))


def _fields(block: bytes) -> Item:
    library = x509()
    load = library.load_pem_x509_certificate if block[:5] == b"-----" else library.load_der_x509_certificate
    parsed = load(block)
    return {
        "subject": parsed.subject.rfc4514_string(),
        "issuer": parsed.issuer.rfc4514_string(),
        "serial": "%x" % parsed.serial_number,
        "expires": _moment(parsed),
        "problem": "",
    }


def _words(error: Exception) -> List[str]:
    return ["it is not a certificate that can be read:", type(error).__name__]


def _moment(parsed: Any) -> str:
    moment: datetime.datetime = getattr(parsed, "not_valid_after_utc", None) or parsed.not_valid_after
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def problem(reason: str) -> Item:
    """The fields of what is not a certificate."""
    return {"subject": "", "issuer": "", "serial": "", "expires": "", "problem": reason}
