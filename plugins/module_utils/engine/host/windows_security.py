# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access lists of Windows: a directory that has its own from the moment when it exists, and the list of one that is there.

Sources: CreateDirectory with SECURITY_ATTRIBUTES, ConvertStringSecurityDescriptorToSecurityDescriptor,
GetNamedSecurityInfo, ConvertSecurityDescriptorToStringSecurityDescriptor. Wine derives lists from modes of the host: a test
replaces :func:`descriptor_of`.
"""

from __future__ import annotations

import ctypes

from .windows_calls import failure, kernel32, last_error, system_library

_REVISION = 1  # SDDL_REVISION_1
_FILE_OBJECT = 1  # SE_FILE_OBJECT
_OWNER_AND_LIST = 0x1 | 0x4  # OWNER_SECURITY_INFORMATION, DACL_SECURITY_INFORMATION


class _Attributes(ctypes.Structure):
    """SECURITY_ATTRIBUTES."""

    _fields_ = (("length", ctypes.c_uint32), ("descriptor", ctypes.c_void_p), ("inherit", ctypes.c_int))


def make_directory(path: str, descriptor: str) -> None:
    """Make a directory that has the access list of ``descriptor`` (SDDL) from the first moment.

    :raises FileExistsError: :raises OSError:
    """
    found = ctypes.c_void_p()
    convert = system_library("advapi32").ConvertStringSecurityDescriptorToSecurityDescriptorW
    if not convert(ctypes.c_wchar_p(descriptor), _REVISION, ctypes.byref(found), None):
        raise failure(last_error())
    try:
        attributes = _Attributes(ctypes.sizeof(_Attributes), found, 0)
        if not kernel32().CreateDirectoryW(ctypes.c_wchar_p(path), ctypes.byref(attributes)):
            raise failure(last_error())
    finally:
        kernel32().LocalFree(found)


def descriptor_of(path: str) -> str:
    """Owner and access list of a file or directory as SDDL: ``O:BAD:P(A;OICI;FA;;;SY)``. :raises OSError:"""
    found, text = ctypes.c_void_p(), ctypes.c_wchar_p()
    named = system_library("advapi32").GetNamedSecurityInfoW
    code = named(ctypes.c_wchar_p(path), _FILE_OBJECT, _OWNER_AND_LIST, None, None, None, None, ctypes.byref(found))
    if code:
        raise failure(code)
    try:
        convert = system_library("advapi32").ConvertSecurityDescriptorToStringSecurityDescriptorW
        if not convert(found, _REVISION, _OWNER_AND_LIST, ctypes.byref(text), None):
            raise failure(last_error())
        try:
            return str(text.value)
        finally:
            kernel32().LocalFree(text)
    finally:
        kernel32().LocalFree(found)
