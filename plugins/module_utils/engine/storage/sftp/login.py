# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in over SSH: certificate, key, password, in as many steps as the server wants [RFC 4252, RFC 4256]."""

from __future__ import annotations

import re
import threading
from typing import Any, Callable, Iterator, List, NamedTuple, NoReturn, Optional, Set

from ..._libraries import paramiko
from ...errors import (
    StorageAccountExpired,
    StorageAlgorithmsDiffer,
    StorageError,
    StorageLoginAttemptsUsedUp,
    StorageLoginCut,
    StorageLoginFailed,
    StorageLoginNeedsMore,
    StoragePasswordExpired,
    StorageUnreachable,
)
from . import certificate as sftp_certificate
from .transport import quoted, readable
from .user_keys import UserKey, show_certificate

_SERVICE, _USERAUTH_FAILURE, _USERAUTH_BANNER = "ssh-userauth", 51, 53
PASSWORD_EXPIRED = re.compile(r"password\b.{0,40}\b(expire|change)|(change|expire).{0,40}\bpassword", re.IGNORECASE)
_ACCOUNT_EXPIRED = re.compile(r"account\b.{0,40}\b(expire|disable|lock)", re.IGNORECASE)
_SECOND_FACTOR = re.compile(r"code|token|one.?time|otp|factor|pin\b", re.IGNORECASE)
_MAX_METHODS = 10


class Account(NamedTuple):
    server: str
    username: str
    password: str
    key: Optional[UserKey]


class _Step(NamedTuple):
    """One thing to try: its method, how, and what is said when it was not accepted."""

    method: str
    send: Callable[[Any, threading.Event], None]
    refused: str


def log_in(transport: Any, account: Account) -> None:
    """Log in, with everything that ``account`` has and the server asks for.

    :raises StorageError: for each cause another one.
    """
    handler = _handler_class()(transport)
    transport.auth_handler = handler
    refused: List[str] = []
    for step in _steps(account):
        if handler.allowed is not None and step.method not in handler.allowed:
            continue
        if step.method == "keyboard-interactive" and _was_wrong(handler):
            continue  # another try would only count against the account
        try:
            _attempt(transport, handler, step)
        except Exception as error:
            _explain(transport, handler, account, step, error)
        if transport.is_authenticated():
            return
        if not handler.is_partial:
            refused.append(step.refused)
    raise _not_accepted(handler, account, refused)


def _steps(account: Account) -> Iterator[_Step]:
    key, name, password = account.key, account.username, account.password
    if key is not None:
        ways = [True, False] if key.certificate is not None else [False]
        for has_certificate in ways:
            words = "the certificate" if has_certificate else "the key"
            reason = _why_certificate(key.certificate) if has_certificate and key.certificate else ""
            yield _Step(
                "publickey",
                lambda handler, event, shown=has_certificate: handler.auth_publickey(  # type: ignore[misc]
                    name, show_certificate(key, shown), event
                ),
                "%s was not accepted%s" % (words, reason),
            )
    if password:
        wrong = "wrong password"
        yield _Step("password", lambda handler, event: handler.auth_password(name, password, event), wrong)
        yield _Step(
            "keyboard-interactive",
            lambda handler, event: handler.auth_interactive(name, handler.answerer(password), event, ""),
            wrong,
        )


def _was_wrong(handler: Any) -> bool:
    """Whether the password was refused, and not just its method."""
    return "password" in handler.tried and not handler.is_partial and "password" in (handler.allowed or ())


def _why_certificate(blob: bytes) -> str:
    parsed = sftp_certificate.parse(blob)
    reason = sftp_certificate.why_not_now(parsed) if parsed is not None else ""
    return " (%s)" % reason if reason else ""


def _attempt(transport: Any, handler: Any, step: _Step) -> None:
    """Try one method. The handler holds the server's response."""
    event = threading.Event()
    handler.tried.append(step.method)
    handler.is_partial = False
    step.send(handler, event)
    try:
        handler.wait_for_response(event)
    except paramiko().AuthenticationException:
        if handler.answered != len(handler.tried) or not transport.is_active():
            raise


def _explain(transport: Any, handler: Any, account: Account, step: _Step, error: Exception) -> NoReturn:
    """Raise what ended the login, from what the transport and the handler remember of it."""
    text, farewell = str(error), transport.farewell
    named = {"storage": account.server, "username": account.username}
    if isinstance(handler.unanswered, str):
        asked = handler.unanswered
        if PASSWORD_EXPIRED.search(asked) or re.search("new|current|old", asked, re.IGNORECASE):
            raise StoragePasswordExpired(reason=_says(asked), **named) from None
        raise StorageLoginNeedsMore(reason="it asks %s" % quoted(asked), **named) from None
    if "Illegal info request" in text and step.method == "password":  # SSH_MSG_USERAUTH_PASSWD_CHANGEREQ
        raise StoragePasswordExpired(reason="the server asks for a new password", **named) from None
    if "pubkey algorithm" in text:
        offered = transport.server_extensions.get("server-sig-algs", b"")
        theirs = offered.decode("utf-8", "replace") if isinstance(offered, bytes) else str(offered)
        raise StorageAlgorithmsDiffer(
            server=account.server,
            kind="signature of this key",
            theirs=readable(theirs.replace(",", ", ").encode("utf-8")),
            ours=", ".join(transport.preferred_pubkeys),
        ) from None
    if "timeout" in text.lower():
        raise StorageUnreachable(
            storage="sftp://%s" % account.server, reason="it did not respond to the login in time"
        ) from None
    raise ended_by_server(account, farewell, handler.banner_text, handler.tried) from None


def ended_by_server(account: Account, farewell: str, banner: str, tried: List[str]) -> StorageError:
    """Return why a server hung up during the login, as far as it said so."""
    named = {"storage": account.server, "username": account.username}
    words = farewell or banner
    if "too many authentication failures" in farewell.lower():
        return StorageLoginAttemptsUsedUp(tried=", ".join(dict.fromkeys(tried)), **named)
    if PASSWORD_EXPIRED.search(words):
        return StoragePasswordExpired(reason=_says(words), **named)
    if _ACCOUNT_EXPIRED.search(words):
        return StorageAccountExpired(reason=_says(words), **named)
    return StorageLoginCut(reason="; %s" % _says(words) if words else "", **named)


def _says(words: str) -> str:
    return "it says %s" % quoted(words)


def _not_accepted(handler: Any, account: Account, refused: List[str]) -> StorageError:
    named = {"storage": account.server, "username": account.username}
    allowed = ", ".join(readable(kind.encode("utf-8", "replace"), 40) for kind in sorted(handler.allowed or ())[:5])
    if handler.has_been_partial and not refused:
        return StorageLoginNeedsMore(
            reason="after %s the server also requires %s" % (" and ".join(handler.tried), allowed), **named
        )
    if PASSWORD_EXPIRED.search(handler.banner_text):
        return StoragePasswordExpired(reason=_says(handler.banner_text), **named)
    if _ACCOUNT_EXPIRED.search(handler.banner_text):
        return StorageAccountExpired(reason=_says(handler.banner_text), **named)
    is_answered = handler.allowed is None or bool(set(handler.tried) & handler.allowed)
    if not is_answered:
        reason = "it accepts only %s" % allowed if allowed else "it offers no login method for this user"
    else:
        reason = ", ".join(dict.fromkeys(refused)) or "it accepts only %s" % allowed
    return StorageLoginFailed(reason=reason, **named)


class _Remembering:
    """Asks for the service once: servers written in Go and with asyncssh hang up at the second time [RFC 4252, 5]."""

    library: Any  # paramiko
    # The attributes of the library's class.
    _parse_service_accept: Any
    _parse_userauth_failure: Any

    def __init__(self, transport: Any) -> None:
        _library_of(super()).__init__(transport)
        self.allowed: Optional[Set[str]] = None  # the methods that can continue, as the server said last
        self.tried: List[str] = []
        self.answered = 0
        self.is_partial = self.has_been_partial = False
        self.unanswered: Optional[str] = None
        self.banner_text = ""
        self._has_service = False

    @property
    def _handler_table(self) -> Any:
        # The functions of one version of paramiko are bound, those of another are not: the last argument is the message.
        table = dict(_library_of(super())._handler_table)
        table[_USERAUTH_FAILURE] = lambda *given: self._take_failure(given[-1])
        table[_USERAUTH_BANNER] = lambda *given: self._take_banner(given[-1])
        return table

    def _request_auth(self) -> None:
        if not self._has_service:
            self._has_service = True
            _library_of(super())._request_auth()
            return
        accepted = self.library.Message()
        accepted.add_string(_SERVICE)
        accepted.rewind()
        self._parse_service_accept(accepted)

    def _take_failure(self, m: Any) -> None:
        copy = type(m)(m.asbytes())
        self.allowed = set(copy.get_list()[:_MAX_METHODS])
        self.is_partial = bool(copy.get_boolean())
        self.has_been_partial = self.has_been_partial or self.is_partial
        self.answered = len(self.tried)
        self._parse_userauth_failure(m)

    def _take_banner(self, m: Any) -> None:
        self._hear(type(m)(m.asbytes()).get_string())

    def _hear(self, words: bytes) -> None:
        self.banner_text = ("%s %s" % (self.banner_text, readable(words))).strip()[-200:]

    def answerer(self, password: str) -> Any:
        """Answers one question with the password, where it is hidden and the first."""
        has_answered = False

        def answer(title: Any, instructions: Any, questions: Any) -> List[str]:
            nonlocal has_answered
            self._hear(("%s %s" % (title, instructions)).encode("utf-8", "replace"))
            if not questions:
                return []
            text, is_shown = questions[0]
            words = readable(("%s %s %s" % (title, instructions, text)).encode("utf-8", "replace"))
            if len(questions) > 1 or is_shown or has_answered or _SECOND_FACTOR.search(str(text)):
                self.unanswered = words
                raise self.library.SSHException("a question that no setting can answer")
            has_answered = True
            return [password]

        return answer


def _library_of(parent: Any) -> Any:
    """The library's class behind ours, which a type checker can't see."""
    return parent


def _handler_class() -> Any:
    """Return the class; made on use, because its base comes from a package that may be missing."""
    library = paramiko()
    return type("RememberingHandler", (_Remembering, library.auth_handler.AuthHandler), {"library": library})
