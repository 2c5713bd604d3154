# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of a job are secret: taken out by the sender, refused by the spool, put back by the runner."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from ..storage.url import check_url

STORAGE_SECRETS = ("password", "private_key", "private_key_passphrase")


def split(job: Dict[str, Any]) -> Tuple[Dict[str, Any], Dict[str, Dict[str, Any]]]:
    """Return the job without secrets, and the secrets as :func:`merge` takes them.

    :raises StorageUrlInvalid: when the storage's URL holds a password, which would be written down with the job.
    """
    storage = dict(job.get("storage") or {})
    check_url(str(storage.get("url") or ""))
    hidden = {name: storage.pop(name) for name in STORAGE_SECRETS if name in storage}
    clear = {name: value for name, value in job.items() if name != "secrets"}
    if "storage" in job:
        clear["storage"] = storage
    return clear, {"secrets": dict(job.get("secrets") or {}), "storage": hidden}


def merge(job: Dict[str, Any], secrets: Dict[str, Dict[str, Any]]) -> Dict[str, Any]:
    """Return the job with its secrets. Settings that are no secrets stay as the job has them."""
    hidden = {name: value for name, value in secrets.get("storage", {}).items() if name in STORAGE_SECRETS}
    merged = dict(job, secrets=secrets.get("secrets", {}))
    if hidden:
        merged["storage"] = dict(job.get("storage") or {}, **hidden)
    return merged


def found_in(job: Dict[str, Any]) -> List[str]:
    """Name the secrets that the job holds in clear. :raises StorageUrlInvalid: for one in the storage's URL."""
    storage = job.get("storage")
    found = ["secrets"] if job.get("secrets") else []
    if isinstance(storage, dict):
        check_url(str(storage.get("url") or ""))
        found += ["storage.%s" % name for name in STORAGE_SECRETS if storage.get(name)]
    return found
