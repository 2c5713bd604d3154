# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of everything that can go wrong: one class per failure, with a code, a message and a hint.

The message names the object, the hint says what to do now. Codes are promises to users: they are never reused.
``docs/errors.md`` is generated from this file (``make docs``).

Ranges: D disks, S storage, K keys and passwords, I images, R restore, J jobs and runs, N snapshots and volumes, A agent.
This file also runs on Python 3.6, with the installer that says there what is too old.
"""

from typing import ClassVar, Dict, Iterator, Type

from .tame import one_line


class EngineError(Exception):
    """Base of all failures. Fields given to the constructor fill the message; no field may carry a secret."""

    code: ClassVar[str] = "X000"
    message: ClassVar[str] = "The engine failed: {reason}."
    hint: ClassVar[str] = "This is a defect of the engine; please report it with the job's log."

    def __init__(self, **fields: object) -> None:
        self.fields: Dict[str, object] = fields
        # Names and reasons come from disks, storages and devices.
        super().__init__(one_line(self.message.format(**fields)))

    def as_dict(self) -> Dict[str, str]:
        """Return code, message and hint, as shown to users and written to status files."""
        return {"code": self.code, "message": str(self), "hint": one_line(self.hint.format(**self.fields))}


def catalogue() -> Iterator[Type[EngineError]]:
    """Yield every concrete failure (classes with a code of their own), sorted by code."""
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
    hint = "Install it for this interpreter, or use the bundled agent, which brings its own."


class MemoryExhausted(EngineError):
    code = "X002"
    message = "There is not enough memory for this run: {reason}."
    hint = (
        "Earlier images are whole, and what was sent counts for the next run. Free some memory, or raise the limit of the "
        "service or session (ulimit -v, MemoryMax); a run takes some 200 MB."
    )


class LibraryUnusable(EngineError):
    """Base of failures to load a package that is installed."""


class LibraryBlocked(LibraryUnusable):
    code = "X003"
    message = (
        "The Python package {package} is installed for {interpreter}, but the system does not let it run: {reason}."
    )
    hint = (
        "The file system is mounted noexec, or SELinux or another policy forbids it: see findmnt -T and ausearch -m avc for the "
        "file. For the agent name a place that may run programs in imaging_agent_directory."
    )


class LibraryNeedsAnother(LibraryUnusable):
    code = "X004"
    message = "The Python package {package} can't be loaded by {interpreter}: it needs {needed}, which is not there ({reason})."
    hint = "Install what it needs for this interpreter, or install the package again with pip, which brings it along."


class LibraryForeign(LibraryUnusable):
    code = "X005"
    message = "The Python package {package} was built for another system than {interpreter}: {reason}."
    hint = (
        "Its C library, machine or Python is another one. Install the package with this interpreter's own pip (python -m pip), "
        "or install the agent anew (agent with state latest), which takes the bundle of this platform."
    )


class LibraryUnreadable(LibraryUnusable):
    code = "X006"
    message = "The Python package {package} can't be read by this user for {interpreter}: {reason}."
    hint = "Give the user that the engine runs as the right to read it (an install under a narrow umask is the usual cause)."


class LibraryBroken(LibraryUnusable):
    code = "X007"
    message = "The Python package {package} is installed for {interpreter}, but loading it failed: {reason}."
    hint = "Install it again for this interpreter (python -m pip install --force-reinstall), or use the agent, which brings its own."


def uncaught(error: BaseException) -> EngineError:
    """What is told of a failure that nobody foresaw: no memory, or a defect of ours."""
    if isinstance(error, MemoryError) or any(
        words in str(error) for words in ("can't start new thread", "malloc failure")
    ):
        return MemoryExhausted(reason=str(error) or "the system refused more")
    return EngineError(reason="%s: %s" % (type(error).__name__, error))


# ---------------------------------------------------------------------------------------------------------------------
# D: disks


class DiskError(EngineError):
    """Base of failures around a disk."""


class DiskNotFound(DiskError):
    code = "D100"
    message = "There is no disk, volume or image file {path}."
    hint = "Check imaging_drives against what device_info shows; name disks by serial or GUID so that names may move."


class DiskUnreadable(DiskError):
    code = "D101"
    message = "Reading {length_bytes} bytes at byte {offset_bytes} of {path} failed: {reason}."
    hint = (
        "The disk may be failing: check its health and its cable, then run the image again. Copy one that stays "
        "unreadable with ddrescue, and image the copy: imaging_drives takes image files."
    )


class DiskEndReached(DiskError):
    code = "D102"
    message = "{path} has {size_bytes} bytes; {length_bytes} bytes at byte {offset_bytes} reach past its end."
    hint = "The partition table or file system claims more than the disk has: check it with its own tool."


class DiskAccessDenied(DiskError):
    code = "D103"
    message = "Opening {path} was refused: {reason}."
    hint = "Run the agent as root (Administrator), or as a user that may read this file."


class DriveUnknown(DiskError):
    code = "D104"
    message = "imaging_drives names {drive}, which is nothing that can be imaged here: {reason}; the disks are {disks}."
    hint = "Choose from these; device_info shows them with serial numbers, GUIDs and mount points."


class DriveAmbiguous(DiskError):
    code = "D105"
    message = "imaging_drives names {drive}, which is the id of more than one disk: {disks}."
    hint = "Name the disk by another id that only one of them has, or by its path."


class NoDriveChosen(DiskError):
    code = "D106"
    message = "imaging_drives is {drives}, and no disk of this device is part of that; the disks are {disks}."
    hint = "Name the disks in imaging_drives: by serial number, WWN, GUID, path or mount point."


class DiskTooLarge(DiskError):
    code = "D107"
    message = "{path} has {size_bytes} bytes{what}; an image holds at most {most_bytes}."
    hint = "Choose another disk in imaging_drives, or exclude what need not be in an image with imaging_exclude."


class PartitionTableInvalid(DiskError):
    code = "D110"
    message = "The partition table of {path} can't be used: {reason}."
    hint = "The disk is imaged whole. Check the table with its own tool (sgdisk -v, fdisk -l)."


class FileSystemInvalid(DiskError):
    code = "D120"
    message = "The {kind} file system of {path} can't be understood: {reason}."
    hint = "The volume is imaged whole. Check it with its own tool (chkdsk, fsck)."


class TrustInvalid(DiskError):
    code = "D131"
    message = "imaging_trust has an entry that is not valid, {entry}: {reason}."
    hint = (
        "Write each entry as the warning of the run gives it: a disk, a partition (disk0p1) or a logical volume (group/volume), "
        "and the system that is believed (ntfs, ext4, zfs, table)."
    )


class PatternInvalid(DiskError):
    code = "D130"
    message = "The exclusion {pattern!r} can't be used: {reason}."
    hint = "Give a path or glob from the volume's root, such as C:\\Temp\\** or /var/cache/*."


# ---------------------------------------------------------------------------------------------------------------------
# N: volumes and snapshots


class VolumeMounted(EngineError):
    code = "N100"
    message = "{path} is in use at {mount_point} and can't be frozen: {reason}."
    hint = (
        "Unmount it or mount it read-only for the run, keep free extents in its volume group (LVM), start the rescue medium, "
        "or set imaging_snapshot to preferred to accept an image of a live volume."
    )


class SnapshotFailed(EngineError):
    code = "N101"
    message = "The snapshot of {volume} could not be made: {reason}."
    hint = "Nothing was imaged and no snapshot is left. Check the volume with its own tools (lvs, vgs), then run again."


class SnapshotOverflowed(EngineError):
    code = "N102"
    message = (
        "The snapshot of {volume} ran full while the image was made: it had room for {size_bytes} bytes of changes."
    )
    hint = "Keep more free extents in the volume group {group}, or make the image when less is written; what was sent counts."


# ---------------------------------------------------------------------------------------------------------------------
# S: storage


class StorageError(EngineError):
    """Base of failures of a storage. ``retry`` says whether trying again may help (part of the storage contract)."""

    retry: ClassVar[bool] = False
    # The server did answer, with a failure: it is asked a few times only, not until the time is over.
    is_answer: ClassVar[bool] = False


class StorageUrlInvalid(StorageError):
    code = "S100"
    message = "{url} is not a storage: {reason}."
    hint = "Give a directory, sftp://server:port/path or \\\\server\\share\\path as imaging_storage.url."


class StorageUnreachable(StorageError):
    code = "S101"
    message = "The storage {storage} can't be reached: {reason}."
    hint = "Check network, server name and port, then run again; what was sent already counts."
    retry = True


class StorageFailed(StorageError):
    code = "S102"
    message = "{operation} of {path} in the storage {storage} failed: {reason}."
    hint = "Check the storage, then run again; what was sent already counts."
    retry = True
    is_answer = True


class StorageFull(StorageError):
    code = "S103"
    message = "The storage {storage} is full: writing {path} failed."
    hint = "Make room or lower imaging_keep and run the rollover; earlier images are whole and what was sent counts."


class StoragePermissionDenied(StorageError):
    code = "S104"
    message = "The storage {storage} does not permit {operation} of {path}."
    hint = "Give the user of imaging_storage this permission (docs/security.md lists what is needed)."


class StorageNotFound(StorageError):
    code = "S105"
    message = "There is no {path} in the storage {storage}."
    hint = "Check the name; image_info lists what is there."


class StorageExists(StorageError):
    code = "S106"
    message = "{path} is in the storage {storage} already."
    hint = "Another run may be writing to the same device's directory; let it end."


class StoragePathInvalid(StorageError):
    code = "S107"
    message = "{path!r} is not a path that a storage may hold: {reason}."
    hint = "A name from outside was refused; if it came from an image, the image was tampered with."


class StorageReadBackDiffers(StorageError):
    code = "S108"
    message = "{path} read back from the storage {storage} differs from what was written."
    hint = "The storage or the way to it corrupts data: check memory, disks and network before trusting it."


class StorageHostKeyUnknown(StorageError):
    code = "S109"
    message = "The SFTP server {server} shows the host key {fingerprint}, which nothing here says is right."
    hint = "Compare it with the server's own (ssh-keygen -lf on its public host key) and give it as imaging_storage.host_key."


class StorageHostKeyChanged(StorageError):
    code = "S110"
    message = "The SFTP server {server} shows the host key {fingerprint}, but imaging_storage expects {expected}."
    hint = "It was installed anew, or another machine answers in its place: find out which before you change host_key or the recorded file."


class StorageLoginFailed(StorageError):
    code = "S111"
    message = "The storage {storage} refused the login of {username}: {reason}."
    hint = "Check username and password or key of imaging_storage; the server's log says more."


class StorageCredentialInvalid(StorageError):
    code = "S112"
    message = "{setting} of imaging_storage can't be used: {reason}."
    hint = "Correct this setting; nothing was sent to the server with it."


class LeaseHeld(StorageError):
    code = "S120"
    message = "Another run ({holder}) is writing to {device}."
    hint = "Wait for it to end; a run that died is recognised by itself within {wait_seconds} seconds."


class LeaseLost(StorageError):
    code = "S121"
    message = "This run's lease on {device} was taken over by {holder}."
    hint = "This run was silent for too long and stopped without a commit; run it again."


class StorageDirectoryMissing(StorageError):
    code = "S113"
    message = "The storage {storage} is not there."
    hint = (
        "Correct imaging_storage.url, make the directory, or mount what belongs there: images are not put into a directory "
        "that nobody made."
    )


class StorageServerNotFound(StorageError):
    code = "S122"
    message = "There is no server {server} that the storage {storage} could be on: {reason}."
    hint = "Check the server's name and the name service of this host, then run again."
    retry = True


class StorageShareNotFound(StorageError):
    code = "S123"
    message = "The server {server} has no share {share}."
    hint = "Check the share's name in imaging_storage.url; smbclient -L lists the shares of a server."


class StorageAccountBlocked(StorageError):
    code = "S124"
    message = "The storage {storage} does not let {username} in: {reason}."
    hint = "Have the account unlocked, enabled or given a new password by whoever runs the server."


class StorageGuestRefused(StorageError):
    code = "S125"
    message = (
        "The server made {username} a guest of the storage {storage}, which is refused: a guest's data is not signed."
    )
    hint = "Give a user that the server knows, and forbid guests there (Samba: map to guest = never)."


class StorageProtectionRefused(StorageError):
    code = "S126"
    message = "The storage {storage} can't be used safely: {reason}."
    hint = "Allow SMB 3 with signing and encryption on the server; without it others could read or change what is sent."


class StoragePathTooLong(StorageError):
    code = "S127"
    message = "The path {path} is too long for the storage {storage}."
    hint = "Use a shorter path in imaging_storage.url or a shorter device name."


class StorageQuotaReached(StorageFull):
    code = "S128"
    message = "The quota of {username} in the storage {storage} is used up: writing {path} failed."
    hint = "Have the quota raised, or lower imaging_keep and run the rollover; what was sent counts."


class StorageAnswerInvalid(StorageError):
    code = "S129"
    message = "The storage {storage} answered what no honest server would: {reason}."
    hint = "Find out whether another machine answers in its place; nothing of this answer was used."


class StorageSpaceTooSmall(StorageError):
    code = "S130"
    message = "The storage {storage} has {free} free, but the first image of {device} takes at least {needed}."
    hint = "Make room there or name another storage; nothing was read from the device and nothing sent."


class StorageAlgorithmsDiffer(StorageError):
    code = "S150"
    message = "The SFTP server {server} and this program have no {kind} in common: it offers {theirs}; this program has {ours}."
    hint = (
        "Allow one of this program's on the server (OpenSSH: KexAlgorithms, HostKeyAlgorithms, Ciphers, MACs, "
        "PubkeyAcceptedAlgorithms), or update the server."
    )


class StorageSftpMissing(StorageError):
    code = "S151"
    message = "The SFTP server {storage} let {username} in, but SFTP did not start: {reason}."
    hint = (
        "Set 'Subsystem sftp internal-sftp' on the server, and a login shell that is not nologin or false unless that is so; "
        "check with: sftp USER@SERVER."
    )


class StorageSftpDisturbed(StorageError):
    code = "S152"
    message = "The SFTP server {storage} let {username} in, but sent {reason} in the place of an SFTP answer."
    hint = (
        "Remove what the user's shell prints when it starts (.bashrc, .profile, a forced command), or set "
        "'Subsystem sftp internal-sftp' on the server."
    )


class StoragePasswordExpired(StorageAccountBlocked):
    code = "S153"
    message = "The storage {storage} does not let {username} in before the password is changed: {reason}."
    hint = (
        "Change the password of this account on its server, set it as imaging_storage.password, and let it not expire."
    )


class StorageSessionFailed(StorageError):
    code = "S154"
    message = "The SFTP server {storage} let {username} in and then failed to give a session: {reason}."
    hint = (
        "Look into the server's log. With OpenSSH: every directory down to ChrootDirectory must be there, belong to root and be "
        "writable by nobody else; the home directory must be there."
    )


class StorageSessionCut(StorageError):
    code = "S171"
    message = "The SFTP server {storage} let {username} in and then closed the connection{reason}."
    hint = (
        "Look into the server's log, and run again: it may be restarting, or the network in between cuts connections."
    )
    retry = True
    is_answer = True


class StorageLoginCut(StorageError):
    code = "S155"
    message = "The SFTP server {storage} closed the connection during the login of {username}{reason}."
    hint = (
        "Look into the server's log: the account may be expired or locked, not permitted by PAM, or the server is going down "
        "(/etc/nologin)."
    )
    retry = True
    is_answer = True


class StorageLoginAttemptsUsedUp(StorageError):
    code = "S156"
    message = "The SFTP server {storage} ended the login of {username} after too many failures; {tried} was tried."
    hint = (
        "Correct what is refused first, or give only the password or only the key; or raise MaxAuthTries on the server."
    )


class StorageSessionRefused(StorageError):
    code = "S157"
    message = "The SFTP server {storage} let {username} in, but refuses a session: {reason}."
    hint = "Raise MaxSessions on the server to at least 1 (3 are used at once where it permits them)."


class StorageLoginNeedsMore(StorageError):
    code = "S158"
    message = "The SFTP server {storage} wants more of {username} than imaging_storage has: {reason}."
    hint = "Give both password and private_key where it wants both, or exempt this account from the second factor."


class StorageHostCertificateRefused(StorageError):
    code = "S159"
    message = "The SFTP server {server} presented a host certificate that is not valid: {reason}."
    hint = (
        "Renew the certificate on the server for the name that imaging_storage.url has (ssh-keygen -s CA -h -n NAME)."
    )


class StorageAccountDisabled(StorageAccountBlocked):
    code = "S160"
    message = "The account {username} of the storage {storage} is disabled."
    hint = "Have the account enabled by whoever runs the server."


class StorageAccountExpired(StorageAccountBlocked):
    code = "S161"
    message = "The account {username} of the storage {storage} has expired or is closed: {reason}."
    hint = "Have the account extended by whoever runs the server (usermod -e, Account Expires)."


class StorageAccountLocked(StorageAccountBlocked):
    code = "S162"
    message = "The account {username} of the storage {storage} is locked after too many failed logins."
    hint = "Correct the password first, then have the account unlocked: every try with the wrong one locks it again."


class StorageLogonHours(StorageAccountBlocked):
    code = "S163"
    message = "The account {username} of the storage {storage} may not log in at this time of day."
    hint = "Have the account's logon hours extended to when images are made, or run in those hours."


class StorageWorkstationRefused(StorageAccountBlocked):
    code = "S164"
    message = "The account {username} of the storage {storage} may not log in from this machine."
    hint = "Add this machine to the account's workstations (Log On To), or use an account without that restriction."


class StorageNtlmBlocked(StorageLoginFailed):
    code = "S165"
    message = "The storage {storage} refused the login of {username}: it takes Kerberos only, and NTLM was tried."
    hint = (
        "Use Kerberos (no password, a ticket of this account, the server's full name), or permit NTLM for this server."
    )


class StorageLogonTypeRefused(StorageAccountBlocked):
    code = "S166"
    message = "The account {username} of the storage {storage} may not log in over the network."
    hint = "Give the account the right 'Access this computer from the network' on the server."


class StorageDialectRefused(StorageProtectionRefused):
    code = "S167"
    message = "The storage {storage} speaks no SMB 2 or 3: {reason}."
    hint = "Enable SMB 2 or 3 on the server (Samba: server max protocol); SMB 1 is never used because it is not secure."


class StorageHostRefused(StorageError):
    code = "S168"
    message = "The server of the storage {storage} takes no connections from this machine."
    hint = "Permit this machine's address on the server (Samba: hosts allow, hosts deny)."


class StorageForeignServer(StorageError):
    code = "S170"
    message = (
        'The storage {storage} can\'t be used: what answers there does not speak {kind}, it begins with "{words}".'
    )
    hint = "Correct server name and port; another service listens there."


class StorageServerBusy(StorageError):
    code = "S169"
    message = "The server of the storage {storage} takes no more work now: {reason}."
    hint = "Raise its limit of sessions or connections, or run fewer devices at once (imaging_parallel_per_storage)."
    retry = True


class StorageNameTaken(StorageExists):
    code = "S140"
    message = "{path} in the storage {storage} is not a file, though a file of this name belongs there."
    hint = "Look at what it is (a folder, a link, a pipe) and move it away; nothing was written beside it."


class StorageListingIncomplete(StorageError):
    code = "S141"
    message = "The storage {storage} does not list all of {path}: {missing} is there, but not in the listing."
    hint = "Run again when the storage has caught up; if key slots were deleted on purpose, set imaging_new_key or imaging_allow_clear."


# ---------------------------------------------------------------------------------------------------------------------
# K: keys and passwords


class KeyProblem(EngineError):
    """Base of failures around passwords and keys."""


class PasswordWrong(KeyProblem):
    code = "K100"
    message = "The password opens none of the {slots} key slots of {device}."
    hint = "Check imaging_password; to change the password give the old one as imaging_password_previous, to start over set imaging_new_key."


class PasswordMissing(KeyProblem):
    code = "K101"
    message = "The images of {device} are encrypted and no password was given."
    hint = "Give imaging_password; to store an image in clear all the same set imaging_allow_clear."


class PasswordUnused(KeyProblem):
    code = "K102"
    message = "The image {image} of {device} is not encrypted, though a password was given."
    hint = "If it was made before there was a password, leave imaging_password out to read it; if not, it is not yours."


class KeySlotInvalid(KeyProblem):
    code = "K103"
    message = "The key slot {path} can't be used: {reason}."
    hint = "It is damaged or was tampered with; every image holds a copy in its own keys directory."


class KeyMissing(KeyProblem):
    code = "K104"
    message = "The password is right for {device}, but not for the key {key_id} that this image was made with."
    hint = "Give the password that was used when this image was made."


class KeySlotsFull(KeyProblem):
    code = "K105"
    message = "{device} has {slots} key slots, as many as it may have; no password can be added."
    hint = "Go on with a password that opens one of them, or start another directory with imaging_device_alias."


class KeySlotsCrowded(KeyProblem):
    code = "K110"
    message = "The password opens none of the first {tried} of {slots} key slots; the rest were not tried."
    hint = "Check imaging_password. If it is right, false files lie in the keys directory: remove the newest ones."


# ---------------------------------------------------------------------------------------------------------------------
# I: images


class ImageError(EngineError):
    """Base of failures around an image."""


class ImageNotFound(ImageError):
    code = "I100"
    message = "{device} has no image {image} in {storage}."
    hint = "Check imaging_image, and imaging_device_alias and imaging_device_name, which make the name; image_info lists images."


class JobWithoutImage(ImageNotFound):
    code = "I130"
    message = "{device} has no image of {job} in {storage}."
    hint = "Run that job first, or name the image in imaging_image; image_info lists each image with its job."


class ImageDamaged(ImageError):
    code = "I101"
    message = "The image {image} is damaged: {reason}."
    hint = "Take another image, or run a new image: it heals what is still on the device."


class ImageFormatUnknown(ImageError):
    code = "I102"
    message = "{path} is of format version {version}, which this version does not read."
    hint = "Update the collection."


class ChunkMissing(ImageError):
    code = "I103"
    message = "Chunk {chunk} of the image {image} is in no pack of the storage."
    hint = "Run a new image of the device: it sends again what is still on its disk."


class ImageNotCommitted(ImageError):
    code = "I120"
    message = "No image of {device} was made: {image} was published and can't be used, {reason}."
    hint = "Check the storage and whether other hosts roll over there, then run again; the next run will reuse what was uploaded."


class ImageNotUnusable(ImageError):
    code = "I121"
    message = "The image {image} of {device} is not removed: it can be read."
    hint = "imaging_remove_damaged removes only images that can't be read; the rollover names them, imaging_keep deletes the others."


class RecordRefused(ImageError):
    code = "I140"
    message = "The record can't be kept in {path}: {reason}."
    hint = "Use the operator's account (imaging_storage_operator). If that was it, remove what is there and repeat."


class TooManyImages(ImageError):
    code = "I141"
    message = "{path} holds more than {most} directories of images."
    hint = "Remove those that no run of yours made; the device's account may be in other hands."


class TooManyPacks(ImageError):
    code = "I145"
    message = "{path} holds more than {most} packs."
    hint = "Remove the packs that no run of yours made; an attacker may be using the device's account."


class TooManyNames(ImageError):
    code = "I146"
    message = "{path} holds more than {most} names that a reader has to look at."
    hint = "Remove the files that no run of yours made; an attacker may be using the device's account."


class DeviceMismatch(ImageError):
    code = "I110"
    message = "The directory {device} belongs to another machine ({reason})."
    hint = "Give this device another name or alias, or set imaging_adopt if it replaces that machine."


class DeviceNameInvalid(ImageError):
    code = "I111"
    message = "{device!r} can't be the name of a device's directory: {reason}."
    hint = "Set imaging_device_name to letters, digits, dots, dashes and underscores."


class DeviceNameCollision(ImageError):
    code = "I112"
    message = "{device} and the existing directory {other} are the same name to a Windows share."
    hint = "Set imaging_device_name or imaging_device_alias so that the names differ in more than case."


# ---------------------------------------------------------------------------------------------------------------------
# R: restore


class RestoreError(EngineError):
    """Base of refusals and failures of a restore."""


class RestoreTargetBusy(RestoreError):
    code = "R100"
    message = "{target} is in use: {reason}."
    hint = (
        "Unmount it and stop what uses it; the disk of the running system can only be restored from the rescue medium."
    )


class RestoreTargetTooSmall(RestoreError):
    code = "R101"
    message = "{target} has {target_bytes} bytes, but {disk} of the image needs {needed_bytes}."
    hint = "Take a disk at least as large as the imaged one."


class RestoreTargetHoldsData(RestoreError):
    code = "R102"
    message = "{target} holds data: {reason}."
    hint = "Check that it is the right disk, then set imaging_restore_overwrite."


class RestoreMapInvalid(RestoreError):
    code = "R103"
    message = "imaging_restore_map can't be used: {reason}."
    hint = "Name for each imaged disk where it goes, such as {{disk0: /dev/sdb}}; image_info lists the disks."


class RestoreSectorSizeDiffers(RestoreError):
    code = "R104"
    message = "{target} has sectors of {target_sector_bytes} bytes, {disk} of the image has {sector_bytes}."
    hint = "The partition table would not fit: take a disk with the same sector size."


class RestoreTargetChanged(RestoreError):
    code = "R106"
    message = "{target} is not what it was when the restore was planned: {reason}."
    hint = "Nothing was written to it. Find out who works with it, check that it is the right disk, then run again."


class RestoreWriteFailed(RestoreError):
    code = "R105"
    message = "Writing {length_bytes} bytes at byte {offset_bytes} of {target} failed: {reason}."
    hint = "Check the target disk; run the restore again with the same map to go on where it stopped."


class RestoreTableDiffers(RestoreError):
    code = "R110"
    message = (
        "{target} has another partition table than {disk} of the image, which holds only some volumes, and with the "
        "image's table these partitions of {target} would go: {partitions}."
    )
    hint = (
        "Check that it is the right disk. To give them up, list each of them: imaging_restore_replace_table: [{names}]."
    )


class RestoreTargetNotOnDisk(RestoreError):
    code = "R111"
    message = "{target} is not a block device, and {reason}; disks of this machine: {disks}."
    hint = "Correct imaging_restore_map. To restore into an image file, name one in a directory on a disk."


class RestoreTargetIsPartition(RestoreError):
    code = "R112"
    message = "{target} is a partition, but {disk} of the image is a whole disk with a partition table of its own."
    hint = "Name the disk in imaging_restore_map: {parent}."


class RestoreTargetNotAbsolute(RestoreError):
    code = "R120"
    message = "{target!r} can't be a restore target: {reason}; disks of this machine: {disks}."
    hint = "Write the absolute path of a disk or an image file in imaging_restore_map, such as /dev/sdb."


class RestoreTargetNotFound(DiskNotFound):
    """A target's own words for D100, which speaks of what is imaged."""

    message = "{path} can't be a restore target: {reason}; disks of this machine: {disks}."
    hint = "Correct imaging_restore_map: name a disk, or an image file in a directory that exists."


class RestoreOnManyHosts(RestoreError):
    code = "R121"
    message = "This play would restore on {count} hosts: {hosts}."
    hint = "Name the one that is meant with --limit, or set imaging_restore_many (many of the module) to true."


class RestoreTargetInStorage(RestoreError):
    code = "R113"
    message = "{target} lies in the storage {storage}, among the images."
    hint = "Name a target outside of the storage in imaging_restore_map."


class RestoreBeyondRepair(RestoreError):
    code = "R114"
    message = "No part of the image {image} can be restored: {reason}."
    hint = "Restore an earlier image, or one that was copied elsewhere; image_info lists what there is."


# ---------------------------------------------------------------------------------------------------------------------
# J: jobs and runs


class JobInvalid(EngineError):
    code = "J100"
    message = "The job can't be used: {reason}."
    hint = "Correct the setting it names."


class JobNameInvalid(EngineError):
    code = "J120"
    message = "{name} can't be the name of a job: {reason}."
    hint = "Rename the job in imaging_jobs."


class JobNamesTwice(EngineError):
    code = "J121"
    message = "imaging_jobs defines the job {job} more than once."
    hint = "Rename one of the two jobs in imaging_jobs."


class ForgottenJobDefined(EngineError):
    code = "J122"
    message = "imaging_forget_jobs lists {job}, which is still defined."
    hint = "Remove it from imaging_forget_jobs to keep its images, or from imaging_jobs to delete them."


class RunCancelled(EngineError):
    code = "J101"
    message = "The run was cancelled."
    hint = "Nothing was harmed; what was sent already makes the next run shorter."


class AgentDirectoryInvalid(EngineError):
    code = "J111"
    message = "imaging_agent_directory is {directory}, which can't be the agent's: {reason}."
    hint = "Name a directory of its own by its absolute path, such as /var/lib/plantops-imaging."


class EngineDied(EngineError):
    code = "J110"
    message = "The engine's process ended without a result ({how})."
    hint = (
        "Earlier images are intact, and what was sent counts for the next run. Run it again; report it if it repeats."
    )


# ---------------------------------------------------------------------------------------------------------------------
# A: the agent; from 200 its bundles and installation


class BundleError(EngineError):
    """Base of failures around the making of a bundle."""


class BundlePlatformUnknown(BundleError):
    code = "A200"
    message = "There is no bundle of the agent for {platform}."
    hint = "Install a CPython of 3.8 to 3.14 on the device and name it in ansible_python_interpreter; there are bundles for {known}."


class BundleWheelMissing(BundleError):
    code = "A201"
    message = "The package {wheel} of the agent could not be fetched: {reason}."
    hint = "Let this machine reach its package index, or name a folder that holds the wheels as wheel_folder."


class BundleWheelDamaged(BundleError):
    code = "A202"
    message = "{path} is not the file that the lock of the agent's packages names: its SHA-256 is {sha256}."
    hint = "Delete it and take it from a source that you trust."


class BundleInvalid(BundleError):
    code = "A203"
    message = "{path} can't be used as a bundle of the agent: {reason}."
    hint = "Build it again with agent_bundle, or carry it over again."


class BundleFailed(BundleError):
    code = "A204"
    message = "Making the bundle {path} failed: {reason}."
    hint = "Check the destination and its free space."


class InstallationError(EngineError):
    """Base of failures of an installation on a device. What was installed before stays as it is."""


class InstallationPythonUnfit(InstallationError):
    code = "A210"
    message = "{interpreter} is {found}; the agent needs CPython {needed} or newer."
    hint = "Install a newer Python on the device, or name another one in ansible_python_interpreter."


class InstallationPlatformDiffers(InstallationError):
    code = "A211"
    message = "This bundle is for {wanted}, but this is {found}."
    hint = "Build a bundle for {found} (module agent_bundle), or run it with the Python that it was built for."


class InstallationLibraryTooOld(InstallationError):
    code = "A212"
    message = "The C library is {library} {found}; the agent needs {needed} or newer."
    hint = "Image this device from the rescue medium, or update its operating system."


class InstallationUnsafe(InstallationError):
    code = "A213"
    message = "The agent's folder {base} can't be trusted: {path} {reason}."
    hint = (
        "Someone else could change what runs there. Find out who made it and correct it, or name another directory in "
        "imaging_agent_directory."
    )


class InstallationPartInvalid(InstallationError):
    code = "A214"
    message = "The part {part} of the agent can't be used: {reason}."
    hint = "It was damaged on its way or is not ours: send it again, or build the bundle again."


class InstallationBroken(InstallationError):
    code = "A215"
    message = "The new installation {installation} does not work on this device and was not activated: {reason}."
    hint = (
        "What was installed before is still used. Where the reason is the place (noexec), name another one in "
        "imaging_agent_directory; else report this with the device's Python and C library."
    )


class InstallationFull(InstallationError):
    code = "A216"
    message = "There is not enough room in {base} for the agent."
    hint = "It needs about 70 MB for each of its two installations; what was installed before is still used."


class InstallationRunLives(InstallationError):
    code = "A217"
    message = "A run lives on this device, so the agent in {base} can't be removed."
    hint = "Wait for its end or cancel it, then remove the agent again."


class InstallationBusy(InstallationError):
    code = "A218"
    message = "Another installation or removal is at work in {base}."
    hint = "Let it end, then run this again."


class InstallationFailed(InstallationError):
    code = "A219"
    message = "Changing {path} failed: {reason}."
    hint = (
        "Check this file system and the permissions of the user that the agent runs as, or name a directory that can be "
        "written in imaging_agent_directory; what was installed before is still used."
    )


# ---------------------------------------------------------------------------------------------------------------------
# A: from 300 its spool and its runs


class AgentError(EngineError):
    """Base of failures of the agent on a device."""


class AgentPathUnsafe(AgentError):
    code = "A300"
    message = "{path} can't be used by the agent: {reason}."
    hint = "Find out who made it, take it away or give it to the agent's user (chown, chmod go-w), then run again."


class AgentFileFailed(AgentError):
    code = "A301"
    message = "{operation} {path} on the device failed: {reason}."
    hint = "Check the file system that holds it and its free space, then run again."


class RunIdInvalid(AgentError):
    code = "A310"
    message = "{run!r} can't be the id of a run."
    hint = "Use 1 to 64 lower-case letters, digits and dashes that begin with a letter or a digit."


class RunUnknown(AgentError):
    code = "A311"
    message = "This device knows no run {run}."
    hint = (
        "It was forgotten, belongs to another user's agent, or was never started: the verb runs lists those it knows."
    )


class RunLives(AgentError):
    code = "A312"
    message = "The run {run} was not started: the run {other} is at work on this device."
    hint = "Follow {other} to its end or cancel it; a device works on one run at a time."


class RunNotReady(AgentError):
    code = "A313"
    message = "The run {run} did not get ready within {seconds} seconds."
    hint = "The device may be very busy: ask again with the same id; engine.log in the run's folder has what a defect said."


class RunNotEnded(AgentError):
    code = "A314"
    message = "The run {run} has not ended and can't be forgotten."
    hint = "Cancel it, and wait until its status says how it ended."


class RunLost(AgentError):
    code = "A315"
    message = "The run {run} ended without a last word: {reason}."
    hint = "Earlier images are whole and what was sent counts: start a new run."


class SecretsRefused(AgentError):
    code = "A316"
    message = "The sealed secrets for the run {run} can't be used: {reason}."
    hint = "Start a new run; secrets are sealed to the key and the nonce that the run has published."


class SecretsLate(AgentError):
    code = "A317"
    message = "The run {run} waited {seconds} seconds for its secrets and gave up."
    hint = "Start a new run: nothing was read and nothing was stored."


class RunEndedBySystem(AgentError):
    code = "A319"
    message = (
        "The run {run} was ended by {signal_name}: the device shuts down or restarts, or somebody ended its process."
    )
    hint = (
        "Earlier images are whole and what was sent counts: start a new run. Where sessions are ended with all that they "
        "started (KillUserProcesses of systemd-logind), spare the user whom Ansible logs in with KillExcludeUsers."
    )


class JobHoldsSecrets(AgentError):
    code = "A318"
    message = "The job of the run {run} holds {names} in clear."
    hint = "Take it out: secrets reach a run sealed, by the verb deliver, and never a file of the device."


# The controller's side of the agent; raised in plugins/plugin_utils.


class DeviceLinkLost(AgentError):
    code = "A400"
    message = "The connection to {device} was lost and did not come back within {seconds} seconds: {reason}."
    hint = "A run under way goes on without it: run the playbook again when the device can be reached, and it is followed to its end."


class ConnectionUnfit(AgentError):
    code = "A401"
    message = "{device} is reached over {transport}, which can't carry the agent: {reason}."
    hint = "This version images Linux devices over ssh or local connections with a POSIX shell."


class PythonNotFound(AgentError):
    code = "A402"
    message = "There is no Python 3.8 or newer on {device}; looked for {names}."
    hint = "Install Python there, or name the interpreter with ansible_python_interpreter."


class AgentAnswerInvalid(AgentError):
    code = "A403"
    message = (
        "The agent on {device} answered {command} with exit status {status} and no answer that can be used: {words}."
    )
    hint = "Install it anew: run the playbook agent with imaging_agent_state absent, then with latest."


class DeviceAnswerEndless(AgentError):
    code = "A405"
    message = "{device} answered a question with more than {mebibytes} MiB, so the answer was cut off."
    hint = "No answer is that large: the device may be in somebody else's hands. Look at its python3 and at the profile of the user who logs in."


class AgentMissing(AgentError):
    code = "A404"
    message = "{device} has no agent, so there is no run {run} to ask for."
    hint = "Make a new image; the handle was given by another device, or the agent was removed since."
