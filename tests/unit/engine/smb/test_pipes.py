# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pipe of a server refuses becomes a failure that says which pipe, and how."""

from __future__ import annotations

from typing import Any

import pytest
from engine.smb.errors import Failure, Refused, SmbError
from engine.smb.pipes import NamedPipe


class RefusingLink:
    """A link whose every request is refused, or whose pipe takes only half."""

    def __init__(self, status: int, opens: bool) -> None:
        self._status = status
        self._opens = opens

    def __getattr__(self, name: str) -> Any:
        def answer(*dummy: object) -> object:
            if name == "open_pipe" and self._opens:
                return object()
            raise Refused(self._status)

        return answer


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (0xC0000034, Failure.NOT_FOUND),
        (0xC0000022, Failure.DENIED),
        (0xC00000AE, Failure.BUSY),
        (0xC00000AC, Failure.BUSY),
        (0xC000014B, Failure.LINK_LOST),
        (0xC00000B1, Failure.LINK_LOST),
        (0xC0000001, Failure.OTHER),
    ],
)
def test_each_status_has_its_failure(status: int, failure: Failure) -> None:
    with pytest.raises(SmbError) as caught:
        NamedPipe(RefusingLink(status, opens=False), "svcctl")  # type: ignore[arg-type]
    assert (caught.value.failure, caught.value.about) == (failure, "svcctl")
    pipe = NamedPipe(RefusingLink(status, opens=True), "svcctl")  # type: ignore[arg-type]
    for ask in (pipe.read, lambda: pipe.transceive(b"x"), lambda: pipe.write(b"x")):
        with pytest.raises(SmbError) as again:
            ask()  # type: ignore[operator]
        assert again.value.failure is failure
