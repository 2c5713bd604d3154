# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A transport of paramiko that remembers why it ended: what each side offered, what the server said, how it hung up."""

from __future__ import annotations

import logging
import socket
import time
from typing import Any, Dict, List, NamedTuple, Optional

from ..._libraries import paramiko

# One pass over the data instead of two (cipher, then MAC): these make the most of a slow processor.
_FAST_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
_CERTIFICATES = "-cert-v01@openssh.com"
_NO_ALGORITHMS = ("ext-info-", "kex-strict-")  # flags that travel among the key exchanges
_MAX_WORDS = 200
_MOST_NAMES = 12
# One kind of algorithm that the two sides must have in common: its name, the server's lists of it, the client's.
_KINDS = (
    ("key exchange", ("kex_algo_list",), "preferred_kex"),
    ("host key", ("server_key_algo_list",), "preferred_keys"),
    ("cipher", ("client_encrypt_algo_list", "server_encrypt_algo_list"), "preferred_ciphers"),
    ("MAC", ("client_mac_algo_list", "server_mac_algo_list"), "preferred_macs"),
    ("compression", ("client_compress_algo_list", "server_compress_algo_list"), "preferred_compression"),
)


class Missing(NamedTuple):
    """The algorithms that two sides do not share, with the offers of each."""

    kind: str
    theirs: str
    ours: str


def open_transport(connection: socket.socket, timeout_seconds: float) -> Any:
    """Return a transport over ``connection``; nothing was sent yet."""
    # Without a handler Python would print what paramiko logs, tracebacks and a hostile server's words included.
    logger = logging.getLogger("paramiko")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    transport = _remembering_class()(PatientSocket(connection, timeout_seconds))
    _remember_greeting(transport)
    options = transport.get_security_options()
    known = list(options.ciphers)
    fast = [name for name in _FAST_CIPHERS if name in known]
    options.ciphers = fast + [name for name in known if name not in fast]
    return transport


def _remembering_class() -> Any:
    """Return the class; made on use, because its base comes from a package that may be missing."""
    base = paramiko().Transport

    class RememberingTransport(base):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any) -> None:
            self.offers: Dict[str, List[str]] = {}
            self.farewell = ""  # the server's words when it hung up
            self.greeting: List[str] = []
            super().__init__(*arguments)

        def _really_parse_kex_init(self, m: Any, ignore_first_byte: bool = False) -> Any:
            parsed = super()._really_parse_kex_init(m, ignore_first_byte)
            if ignore_first_byte:
                return parsed  # it is our own
            self.offers = {name: list(value) for name, value in parsed.items() if isinstance(value, list)}
            self._pass_over_macs(parsed)
            return parsed

        def _pass_over_macs(self, parsed: Dict[str, Any]) -> None:
            """A cipher that authenticates needs no MAC; paramiko requires an agreed one anyway."""
            for side in ("client", "server"):
                ciphers = parsed["%s_encrypt_algo_list" % side]
                chosen = next((name for name in self.preferred_ciphers if name in ciphers), "")
                macs = parsed["%s_mac_algo_list" % side]
                if "gcm@" in chosen and not set(macs) & set(self.preferred_macs):
                    macs.append(self.preferred_macs[0])

        def _parse_disconnect(self, m: Any) -> None:
            copy = type(m)(m.asbytes())
            try:
                copy.get_int()
                self.farewell = readable(copy.get_string())
            except Exception:  # a truncated packet can make the library raise anything; its text is only reported
                self.farewell = ""
            super()._parse_disconnect(m)

    return RememberingTransport


def _remember_greeting(transport: Any) -> None:
    read = transport.packetizer.readline

    def readline(timeout: float) -> Any:
        line = read(timeout)
        if len(transport.greeting) < 4:
            transport.greeting.append(readable(line.encode("utf-8", "replace") if isinstance(line, str) else line))
        return line

    transport.packetizer.readline = readline


def prefer(transport: Any, first: List[str], only: Optional[List[str]]) -> None:
    """Ask for host keys of the types ``first``; ``only`` excludes all others."""
    options = transport.get_security_options()
    known = list(options.key_types)
    certificates = [name + _CERTIFICATES for name in known] if _CERTIFICATES in first else []
    if only is not None:
        known = [name for name in known if name in only]
    chosen = [name for name in known if name in first]
    options.key_types = certificates + chosen + [name for name in known if name not in chosen]


def key_types(transport: Any) -> List[str]:
    """The types of host keys that were asked for, without certificates."""
    return [name for name in transport.get_security_options().key_types if not name.endswith(_CERTIFICATES)]


def missing(transport: Any) -> Optional[Missing]:
    """Return the algorithms that the server and this client do not share; or None if they share all."""
    if not transport.offers:
        return None
    for kind, lists, preferred in _KINDS:
        ours = list(getattr(transport, preferred))
        for name in lists:
            theirs = [one for one in transport.offers.get(name, []) if not one.startswith(_NO_ALGORITHMS)]
            if not set(ours) & set(theirs) and not (kind == "MAC" and _needs_no_mac(transport, name)):
                shown = [one for one in ours if not one.endswith(_CERTIFICATES)]
                return Missing(kind, _listed(theirs), _listed(shown))
    return None


def _needs_no_mac(transport: Any, name: str) -> bool:
    ciphers = transport.offers.get(name.replace("mac", "encrypt"), [])
    return "gcm@" in next((one for one in transport.preferred_ciphers if one in ciphers), "")


def _listed(names: List[str]) -> str:
    shown = [readable(name.encode("utf-8", "replace"), 64) for name in names[:_MOST_NAMES]]
    more = ["%d more" % (len(names) - _MOST_NAMES)] if len(names) > _MOST_NAMES else []
    return ", ".join([one for one in shown if one] + more) or "none"


def readable(words: bytes, most: int = _MAX_WORDS) -> str:
    """The words of a server, as one line that can't harm a terminal or a log."""
    text = words[: 4 * most].decode("utf-8", "replace")
    one_line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return one_line[:most].strip()


def quoted(words: str) -> str:
    """The server's words inside our sentence."""
    return '"%s"' % words.rstrip(".:; ").replace(". ", "; ")


class PatientSocket:
    """A socket whose sends end. paramiko repeats a send that timed out for as long as the transport lives, so a peer
    that stops reading would hold the sending thread for ever."""

    def __init__(self, connection: socket.socket, limit_seconds: float) -> None:
        self._connection = connection
        self._limit_seconds = limit_seconds
        self._stuck_since: Optional[float] = None

    def send(self, data: bytes) -> int:
        try:
            sent = self._connection.send(data)
        except (socket.timeout, BlockingIOError):
            now = time.monotonic()
            if self._stuck_since is None:
                self._stuck_since = now
            elif now - self._stuck_since > self._limit_seconds:
                raise ConnectionAbortedError("the peer stopped reading") from None
            raise socket.timeout from None
        self._stuck_since = None
        return sent

    def recv(self, length: int) -> bytes:
        return self._connection.recv(length)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
