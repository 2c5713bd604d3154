# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands for the service of a Windows device, and its answers: both sides of the files that docs/agent.md describes.

A command is sealed for the key that the service made at its start, the answer for a key that the sender made for this
command: neither can be read from the spool, or from a connection of SMB 2.1, which has no encryption. It opens no file.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Dict, NamedTuple, Tuple

from ..errors import CommandInterrupted, CommandRefused, EngineError, SecretsRefused, ServiceAnswerInvalid
from ..image.format import documents
from .protocol import RUN_ID
from .sealing import Recipient, seal

FORMAT = 1
SERVICE_RECIPIENT = "service"
MAX_STREAM_BYTES = 1 << 20
MAX_FILE_BYTES = 6 << 20
LIMIT_SECONDS = 900
_LONGEST_LIMIT_SECONDS = 86400
_MOST_LINE_CHARACTERS = 32767 - 1  # of CreateProcess
_REFUSED, _INTERRUPTED = "refused", "interrupted"


class Command(NamedTuple):
    """``line`` is a command line as CreateProcess takes it: no shell reads it."""

    id: str
    line: str
    stdin: bytes = b""
    folder: str = ""
    limit_seconds: int = LIMIT_SECONDS


class Answer(NamedTuple):
    """The outcome of a command. Of each stream the first MiB is kept; ``cut`` says that there was more."""

    exit_status: int
    stdout: bytes
    stderr: bytes
    timed_out: bool
    cut: bool = False


def seal_command(hello: Dict[str, str], command: Command) -> Tuple[bytes, Recipient]:
    """Return the request for the service that published ``hello``, and what opens its answer.

    :raises SecretsRefused: when ``hello`` holds no usable key.
    """
    recipient = Recipient(command.id)
    plain = dict(command._asdict(), stdin=_text(command.stdin))
    request = {
        "format": FORMAT,
        "id": command.id,
        "reply": recipient.hello(),
        "sealed": seal(hello, {"command": plain}),
    }
    return json.dumps(request).encode("ascii"), recipient


def open_command(recipient: Recipient, command_id: str, data: bytes) -> Tuple[Command, Dict[str, str]]:
    """The service's side: return the command of a request and the key for its answer.

    :raises CommandRefused: for any fault; nothing of the command has begun then.
    """
    try:
        request = documents.parse(data)
        reply, plain = request["reply"], recipient.open(json.dumps(request["sealed"]).encode("ascii"), MAX_FILE_BYTES)
        if request["format"] != FORMAT or not isinstance(reply, dict):
            raise ValueError("it has another format")
        return _command(plain["command"], command_id), reply
    except SecretsRefused:
        reason = "it was not sealed for the service that runs now"
    except (ValueError, KeyError, TypeError) as error:
        reason = "it is malformed (%s)" % type(error).__name__
    raise CommandRefused(command=command_id, reason=reason) from None


def _command(plain: Dict[str, Any], command_id: str) -> Command:
    """:raises ValueError: :raises KeyError: when it is none."""
    line, folder, limit = plain["line"], plain["folder"], plain["limit_seconds"]
    if plain["id"] != command_id or not all(isinstance(text, str) and "\0" not in text for text in (line, folder)):
        raise ValueError
    if not 0 < len(line) <= _MOST_LINE_CHARACTERS or not 0 < int(limit) <= _LONGEST_LIMIT_SECONDS:
        raise ValueError
    stdin = base64.b64decode(plain["stdin"], validate=True)
    return Command(command_id, line, stdin, folder, int(limit))


def seal_answer(command_id: str, reply: Dict[str, str], answer: Answer) -> bytes:
    """The service's side: the answer of a command that was carried out. :raises SecretsRefused:"""
    plain = dict(answer._asdict(), stdout=_text(answer.stdout), stderr=_text(answer.stderr))
    sealed = seal(dict(reply, run=command_id), {"answer": plain})
    return json.dumps({"format": FORMAT, "id": command_id, "sealed": sealed}).encode("ascii")


def plain_answer(command_id: str, error: EngineError) -> bytes:
    """The service's side: why a command was not carried out, or not to its end. It holds nothing of the command."""
    state = _INTERRUPTED if isinstance(error, CommandInterrupted) else _REFUSED
    return json.dumps(dict(error.as_dict(), format=FORMAT, id=command_id, state=state)).encode("ascii")


def open_answer(recipient: Recipient, command_id: str, data: bytes) -> Answer:
    """Return the answer to the command.

    :raises CommandRefused: nothing of it has begun: it may be sent again, as a new one.
    :raises CommandInterrupted: it has begun, and whether it had an effect is unknown.
    :raises ServiceAnswerInvalid:
    """
    try:
        document = documents.parse(data)
        if document["format"] != FORMAT or document["id"] != command_id:
            raise ValueError("it belongs to another command")
        if document.get("state") == _REFUSED:
            raise CommandRefused(command=command_id, reason=_reason(document))
        if document.get("state") == _INTERRUPTED:
            raise CommandInterrupted(command=command_id)
        plain = recipient.open(json.dumps(document["sealed"]).encode("ascii"), MAX_FILE_BYTES)["answer"]
        streams = [base64.b64decode(plain[name], validate=True) for name in ("stdout", "stderr")]
        told = bool(plain["timed_out"]), bool(plain.get("cut"))
        return Answer(int(plain["exit_status"]), streams[0], streams[1], *told)
    except SecretsRefused:
        reason = "it was not sealed for this command"
    except (ValueError, KeyError, TypeError):
        reason = "it is malformed"
    raise ServiceAnswerInvalid(command=command_id, reason=reason)


def _reason(document: Dict[str, Any]) -> str:
    """The service's own reason, which the message of its error ends with."""
    return str(document.get("message"))[:400].rpartition(": ")[2].rstrip(".") or "it gave no reason"


def is_command_id(name: str) -> bool:
    """Whether ``name`` can be the id of a command."""
    return RUN_ID.fullmatch(name) is not None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
