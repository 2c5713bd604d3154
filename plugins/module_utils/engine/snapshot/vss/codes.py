# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words for the answers of the Volume Shadow Copy Service, each with its HRESULT, which a search finds in every language.

Sources: vsserror.h and the pages of IVssBackupComponents of the Windows documentation.
"""

from __future__ import annotations

from typing import Dict

IN_PROGRESS = 0x80042316
NOT_FOUND = 0x80042308
PENDING, FINISHED, CANCELLED = 0x00042309, 0x0004230A, 0x0004230B
NOT_SUPPORTED = frozenset([0x8004230C, 0x8004230E])
# A second try may succeed: another program was faster, or the device was busy for a while.
FOR_A_WHILE = frozenset(
    [IN_PROGRESS, 0x80042313, 0x80042314, 0x80042319, 0x80042328, 0x80042329, 0x800423F2, 0x800423F3]
)

_WORDS: Dict[int, str] = {
    0x80042301: "it received a call in a state in which it can't carry it out",
    0x80042302: "it met an unexpected error; the event log of Windows has the details",
    0x80042304: "the provider of shadow copies is not registered",
    0x80042306: "the provider of shadow copies refused; the event log of Windows has the details",
    0x80042307: "the provider of shadow copies is in use",
    NOT_FOUND: "it does not know the volume or shadow copy",
    PENDING: "it did not finish in time",
    CANCELLED: "the operation was cancelled",
    0x8004230C: "it does not support this volume",
    0x8004230D: "the shadow copy exists already",
    0x8004230E: "the provider of shadow copies does not support this volume",
    0x8004230F: "the provider of shadow copies failed; the event log of Windows has the details",
    0x80042310: "a writer sent a damaged document",
    0x80042311: "a writer sent an invalid document",
    0x80042312: "the set has as many volumes as Windows allows",
    0x80042313: "Windows could not write its caches in time, because the disk is busy",
    0x80042314: "Windows could not hold the writes of programs long enough, because the disk is busy",
    0x80042315: "a writer failed unexpectedly; the event log of Windows has the details",
    IN_PROGRESS: "another program is making a shadow copy",
    0x80042317: "the volume has as many shadow copies as Windows allows",
    0x80042318: "the writers can't be reached: check the services COM+ Event System and Volume Shadow Copy",
    0x80042319: 'a writer does not answer; "vssadmin list writers" shows which',
    0x8004231A: "the writer is subscribed already",
    0x8004231B: "it does not support this kind of shadow copy",
    0x80042303: "the provider is registered already",
    0x80042320: "no shadow copy was imported",
    0x80042321: "some shadow copies were not imported",
    0x80042322: "the limit of remote devices is reached",
    0x80042323: "the remote server can't be reached",
    0x80042324: "the remote server does not support shadow copies",
    0x80042326: "the volume that was being reverted is missing",
    0x8004232A: "a disk holds a volume that was not selected",
    0x8004232B: "the shadow copy is not part of the set",
    0x800423F6: "the identity of a disk could not be reverted",
    0x800423FD: "the store of boot entries can't be moved",
    0x800423FE: "the identity of a disk could not be reverted",
    0x800423FF: "a volume is being copied back",
    0x80042400: "the cluster failed",
    0x80042411: "a volume that Windows needs is on an unsuitable disk",
    0x80042417: "the file server did not answer in time",
    0x8004231D: "the volume is in use",
    0x8004231E: "no further shadow storage can be assigned to the volume",
    0x8004231F: 'there is not enough room for shadow storage; "vssadmin list shadowstorage" shows its limits',
    0x80042325: "a volume is being reverted to a shadow copy",
    0x80042327: "Windows must be restarted first",
    0x80042328: "transactions could not be held in time, because the device is busy",
    0x80042329: "transactions could not be continued in time, because the device is busy",
    0x8004232C: "the volume is in a virtual disk that is nested too deep",
    0x8004232D: "the volume is not on this device",
    0x8004232E: "the cluster did not answer in time",
    0x8004232F: "it does not support this operation",
    0x80042336: "a part of a writer failed",
    0x800423F0: "the shadow copies do not have all volumes that a writer needs",
    0x800423F1: "a writer has not enough memory or disk space",
    0x800423F2: "a writer did not finish in time, because the device is busy",
    0x800423F3: "a writer failed and may succeed in another try",
    0x800423F4: "a writer failed and needs attention; the event log of Windows has the details",
    0x800423F5: "a writer could not bring its shadow copy into order",
    0x800423F7: "the provider of shadow copies is too old",
    0x800423F8: "a disk is missing",
    0x800423F9: "a hidden volume is missing",
    0x800423FA: "a volume is missing",
    0x800423FB: "Windows could not bring the shadow copy into order",
    0x800423FC: "a dynamic disk is in error",
    0x80042409: "the states of the writers are not available",
    0x8000FFFF: "it met an unexpected error; the event log of Windows has the details",
    0x80004001: "this Windows does not support the operation",
    0x80070005: "access is denied: only administrators and backup operators may make shadow copies",
    0x8007000E: "Windows has not enough memory",
    0x80070057: "it calls an argument invalid",
    0x800705B4: "Windows did not answer in time",
    0x80040154: "the service is not registered on this Windows",
    0x80070422: "the service Volume Shadow Copy is disabled",
    0x800706BA: "the service can't be reached",
    0x800706BE: "the service ended during the call",
    0x80080005: "the service does not start",
}
_STATES: Dict[int, str] = {
    6: "failed when it was identified",
    7: "failed while it prepared for the backup",
    8: "failed while it prepared for the shadow copy",
    9: "failed while it held its writes",
    10: "failed while it continued its writes",
    11: "failed after the shadow copy",
    12: "failed at the end of the backup",
    15: "failed when the backup was shut down",
}


def words_of(code: int) -> str:
    """A clause about the service, with the code."""
    return "%s (0x%08X)" % (_WORDS.get(code, "it reports an error that is not in its documentation"), code)


def failed_state(state: int) -> str:
    """The moment at which a writer failed, by its VSS_WRITER_STATE; "" for one that did not fail."""
    return _STATES.get(state, "")
