# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What addresses of storages mean: sftp:// and UNC, IPv6 and percent signs, and what is refused with a hint."""

from __future__ import annotations

from typing import Tuple

import pytest
from engine.errors import StorageUrlInvalid
from engine.smb.unc import parse_unc
from engine.storage.open import open_storage
from engine.storage.sftp.address import describe, parse_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sftp://server/images", ("server", 22, "/images")),
        ("sftp://Server:2222/a%20b/%C3%9F", ("server", 2222, "/a b/ß")),
        ("sftp://server", ("server", 22, "/")),
        ("sftp://server:/x", ("server", 22, "/x")),
        ("sftp://server/~/images", ("server", 22, "images")),
        ("sftp://server/~/", ("server", 22, ".")),
        ("sftp://server/~", ("server", 22, ".")),
        ("sftp://server/~//x/", ("server", 22, "x")),
        ("sftp://server/~user/x", ("server", 22, "/~user/x")),
        ("sftp://server/a%3Fb%23c", ("server", 22, "/a?b#c")),
        ("sftp://server/100%", ("server", 22, "/100%")),
        ("sftp://[::1]:2222/x", ("::1", 2222, "/x")),
        ("sftp://[fe80::1%eth0]/x", ("fe80::1%eth0", 22, "/x")),
        ("sftp://[fe80::1%25eth0]:22/x", ("fe80::1%eth0", 22, "/x")),
    ],
)
def test_sftp(url: str, expected: Tuple[str, int, str]) -> None:
    address = parse_url(url)
    assert tuple(address) == expected
    again = parse_url(describe(address)[0].replace("?", "%3F").replace("#", "%23"))
    assert again == address


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("sftp://server/x?", "%3F"),
        ("sftp://server/x#", "%23"),
        ("sftp://server/x?y=z", "%3F"),
        ("sftp://server/%FF", "UTF-8"),
        ("sftp://server/a%00b", "zero byte"),
        ("sftp://server/%2e%2e/x", "outside itself"),
        ("sftp://server:0/x", "port 0"),
        ("sftp://server:99999/x", "ort"),
        ("sftp://server/a\nb", "control character"),
        ("sftp:///x", "no server"),
        ("sftp://[::1/x", "IPv6"),
    ],
)
def test_what_sftp_refuses(url: str, word: str) -> None:
    with pytest.raises(StorageUrlInvalid) as caught:
        parse_url(url)
    assert word in str(caught.value.fields["reason"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "host", "names"),
    [
        ("\\\\server\\share", "server", ()),
        ("\\\\server\\share\\a\\b\\", "server", ("a", "b")),
        ("\\\\192.0.2.1\\share", "192.0.2.1", ()),
        ("\\\\[2001:db8::1]\\share\\x", "2001:db8::1", ("x",)),
        ("\\\\[fe80::1%eth0]\\share", "fe80::1%eth0", ()),
        ("\\\\[fe80::1%254]\\share", "fe80::1%4", ()),
        ("\\\\fe80--1s4.ipv6-literal.net\\share", "fe80::1%4", ()),
        ("\\\\2001-db8--1.IPv6-Literal.net\\share", "2001:db8::1", ()),
    ],
)
def test_unc(url: str, host: str, names: Tuple[str, ...]) -> None:
    unc = parse_unc(url)
    assert unc.host == host
    assert unc.names == names
    assert unc.share == "share"


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("\\\\2001:db8::1\\share", "[2001:db8::1]"),
        ("\\\\server:445\\share", "imaging_storage.port"),
        ("\\\\[no]\\share", "not a server name"),
        ("\\\\[::1\\share", "not a server name"),
        ("\\\\[::1%a b]\\share", "not a server name"),
        ("\\\\?\\UNC\\server\\share", "not a server name"),
        ("\\\\server\\IPC$", "not a share"),
        ("\\\\server", "of the form"),
    ],
)
def test_what_unc_refuses(url: str, word: str) -> None:
    with pytest.raises(StorageUrlInvalid) as caught:
        open_storage({"url": url, "username": "u", "password": "p"})
    assert word in str(caught.value.fields["reason"])


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("smb://server/share/x/", "\\\\server\\share\\x"),
        ("cifs://server/share", "\\\\server\\share"),
        ("SMB://server/share", "\\\\server\\share"),
        ("//server/share/x", "\\\\server\\share\\x"),
        ("\\server\\share", "\\\\server\\share"),
        ("smb://server", "\\\\server\\share\\path"),
        ("smb://[::1]/share", "\\\\[::1]\\share"),
    ],
)
def test_shares_that_are_written_otherwise_get_the_hint(url: str, hint: str) -> None:
    with pytest.raises(StorageUrlInvalid) as caught:
        open_storage({"url": url, "username": "u", "password": "p"})
    assert str(caught.value.fields["reason"]).endswith(hint)


@pytest.mark.parametrize("url", ["/a\0b", "/a\ud800", "sftp://server/\udce9", "\\\\server\\share\\\ud800"])
def test_what_is_no_text_is_no_storage(url: str) -> None:
    with pytest.raises(StorageUrlInvalid), open_storage({"url": url}):
        raise AssertionError("it was opened")
