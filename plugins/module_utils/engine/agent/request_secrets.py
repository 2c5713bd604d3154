# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of a request are secret: taken out by the sender, refused by the spool, put back by the runner."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from ..storage.url import check_url
from ..verbs.secret_names import STORAGE_SECRETS, STORAGES


def split(document: Dict[str, Any]) -> Tuple[Dict[str, Any], Dict[str, Dict[str, Any]]]:
    """Return the request without secrets, and the secrets as :func:`merge` takes them.

    :raises StorageUrlInvalid: when a storage's URL holds a password, which would be written down with the request.
    """
    clear = {name: value for name, value in document.items() if name != "secrets"}
    secrets: Dict[str, Dict[str, Any]] = {"secrets": dict(document.get("secrets") or {}), "storage": {}}
    for name in STORAGES:
        if name in document:
            storage = dict(document[name] or {})
            check_url(str(storage.get("url") or ""))
            secrets[name] = {secret: storage.pop(secret) for secret in STORAGE_SECRETS if secret in storage}
            clear[name] = storage
    return clear, secrets


def merge(document: Dict[str, Any], secrets: Dict[str, Dict[str, Any]]) -> Dict[str, Any]:
    """Return the request with its secrets. Settings that are not secrets stay as the request has them."""
    merged = dict(document, secrets=secrets.get("secrets", {}))
    for name in STORAGES:
        hidden = {secret: value for secret, value in secrets.get(name, {}).items() if secret in STORAGE_SECRETS}
        if hidden:
            merged[name] = dict(document.get(name) or {}, **hidden)
    return merged


def found_in(document: Dict[str, Any]) -> List[str]:
    """Name the secrets that the request holds unencrypted. :raises StorageUrlInvalid: for one in a storage's URL."""
    found = ["secrets"] if document.get("secrets") else []
    for name in STORAGES:
        storage = document.get(name)
        if isinstance(storage, dict):
            check_url(str(storage.get("url") or ""))
            found += ["%s.%s" % (name, secret) for secret in STORAGE_SECRETS if storage.get(secret)]
    return found
