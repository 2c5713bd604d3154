# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an error of the catalogue to the exception by which Ansible knows what to do next.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure, AnsibleError
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    DeviceAccountBlocked,
    DeviceAccountLocked,
    DeviceLinkCut,
    DeviceLoginFailed,
    DeviceNtlmBlocked,
    DeviceSmbBusy,
    DeviceSmbClosed,
    EngineError,
)

LOGIN_ERRORS = (DeviceLoginFailed, DeviceAccountLocked, DeviceAccountBlocked, DeviceNtlmBlocked)
_AWAY = (DeviceSmbClosed, DeviceLinkCut, DeviceSmbBusy)


def ansible_error(error: EngineError) -> AnsibleError:
    """Return what to raise: a device that is away is asked again by who waits for it, a refused login never is."""
    about = error.as_dict()
    words = "%s %s (%s)" % (about["message"], about["hint"], about["code"])
    if isinstance(error, LOGIN_ERRORS):
        return AnsibleAuthenticationFailure(words)
    if isinstance(error, _AWAY):
        return AnsibleConnectionFailure(words)
    return AnsibleError(words)


def is_about_connection(error: EngineError) -> bool:
    """Whether the device could not be reached, or refused the login: the host is unreachable."""
    return isinstance(error, LOGIN_ERRORS + _AWAY)
