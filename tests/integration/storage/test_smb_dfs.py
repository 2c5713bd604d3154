# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DFS name spaces of a real Samba: a path that leads to another share is followed, however deep, and never in circles."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Iterator

import pytest
from engine.errors import StorageFailed, StorageServerNotFound, StorageShareNotFound, StorageUrlInvalid
from engine.storage.smb.storage import SmbStorage
from support.refusing import check_sentence, failing
from support.samba_server import SambaServer


@pytest.fixture
def target() -> Iterator[Path]:
    """Samba answers questions about a name space as the user: what it serves must be open to all from the top."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        for name in ("root", "target"):
            (Path(folder) / name).mkdir()
        yield Path(folder) / "target"


@pytest.fixture
def server(tmp_path: Path, target: Path) -> Iterator[SambaServer]:
    options = {"msdfs root": "yes"}
    running = SambaServer(tmp_path / "server", share_options=options, root=target.parent / "root")
    running.more_shares = "[real]\n  path = %s\n  read only = no\n  force user = root\n" % target
    running.write_config()
    running.start()
    yield running
    running.stop()


def link(server: SambaServer, name: str, *targets: str) -> None:
    """A link of the name space: ``msdfs:server\\share,server\\share`` (smb.conf, msdfs root)."""
    os.symlink("msdfs:" + ",".join(targets), server.root / name)


def opened(server: SambaServer, below: str) -> SmbStorage:
    return SmbStorage({**server.settings, "url": "\\\\127.0.0.1\\images\\" + below, "timeout_seconds": 10})


@pytest.mark.parametrize("below", ["line 3", "line 3\\images", "Line 3\\Größe\\a"])
def test_a_link_is_followed_and_the_rest_of_the_path_kept(server: SambaServer, target: Path, below: str) -> None:
    link(server, "line 3", "127.0.0.1\\real")
    inside = target / "/".join(below.split("\\")[1:])
    inside.mkdir(parents=True, exist_ok=True)
    with opened(server, below) as storage:
        storage.make_directory("pc/packs")
        storage.put("pc/packs/file", [b"x"])
        assert (inside / "pc" / "packs" / "file").read_bytes() == b"x"
        storage.rename("pc/packs/file", "pc/moved")
        assert [entry.name for entry in storage.list("pc")] in (["moved", "packs"], ["packs", "moved"])
        assert storage.get("pc/moved") == b"x"
        assert storage.space() is not None
        server.stop()
        server.start()
        with pytest.raises(Exception, match="can't be reached"):
            storage.get("pc/moved")
        assert storage.get("pc/moved") == b"x"  # a new link finds its way again
    assert opened(server, below).description.startswith("\\\\127.0.0.1\\images\\")


def test_a_target_that_is_gone_gives_way_to_the_next(server: SambaServer, target: Path) -> None:
    link(server, "line3", "no-such-server.invalid\\real", "127.0.0.1\\nosuchshare", "127.0.0.1\\real")
    with opened(server, "line3") as storage:
        storage.put("file", [b"x"])
    assert (target / "file").read_bytes() == b"x"
    link(server, "gone", "no-such-server.invalid\\real")
    with pytest.raises(StorageServerNotFound) as caught:
        opened(server, "gone").list("")
    check_sentence(caught.value)


def test_links_that_lead_to_links_and_in_circles(server: SambaServer, target: Path) -> None:
    link(server, "first", "127.0.0.1\\images\\second")
    link(server, "second", "127.0.0.1\\real")
    (target / "x").mkdir()
    with opened(server, "first\\x") as storage:
        storage.put("file", [b"x"])
    assert (target / "x" / "file").read_bytes() == b"x"
    link(server, "here", "127.0.0.1\\images\\there")
    link(server, "there", "127.0.0.1\\images\\here")
    with failing(StorageFailed, reason="without an end") as caught:
        opened(server, "here").list("")
    check_sentence(caught.value)


def test_paths_of_a_name_space_that_are_no_links_are_where_they_are(server: SambaServer) -> None:
    (server.root / "plain" / "folder").mkdir(parents=True)
    with opened(server, "plain\\folder") as storage:
        storage.put("file", [b"x"])
    assert (server.root / "plain" / "folder" / "file").read_bytes() == b"x"
    with pytest.raises(StorageShareNotFound):
        SmbStorage({**server.settings, "url": "\\\\127.0.0.1\\nosuchshare\\x"}).list("")


def test_a_name_space_does_not_lead_to_places_that_are_no_shares(server: SambaServer) -> None:
    link(server, "pipes", "127.0.0.1\\IPC$")
    with pytest.raises(StorageUrlInvalid):
        opened(server, "pipes").list("")
