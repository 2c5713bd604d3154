# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules. Made from plugins/module_utils/settings by make docs; changes go there."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the options that are settings, by module; several modules share the first of them."""

    STORAGE = r"""
options:
  storage:
    description: The storage of the images.
    type: dict
    required: true
    suboptions:
      url:
        description:
          - A directory, C(sftp://server:port/path) for an SFTP server, or the UNC path of a share on a Windows or Samba
            server.
          - A directory is an absolute path (or C(file:///path)) on the machine that runs the task. On an SFTP server
            C(sftp://server/~/path) starts at the home directory of the user. Write IPv6 addresses in brackets.
          - The directory must exist, also on a server or share. Only the device directories below it are created.
          - A path through a DFS namespace is resolved to its target server, with the same credentials. DFS links below
            the storage directory are not followed.
        type: str
        required: true
      port:
        description:
          - TCP port of the server of a share, if it is not 445.
          - The port of an SFTP server is part of its URL.
        type: int
      username:
        description:
          - User name on the server.
          - C(domain\\user), C(computer\\user) and C(user@domain) are accepted.
        type: str
      password:
        description: Password on the server.
        type: str
      private_key_file:
        description:
          - File with a private key for an SFTP server, on the machine that runs the task.
          - C(~) is the home directory of the user there.
          - The format is OpenSSH, PEM or PKCS#8.
          - If a file of the same name with C(-cert.pub) appended exists, it is used as the certificate of the key.
        type: str
      private_key:
        description:
          - Text of a private key for an SFTP server.
          - The certificate of the key may follow as an additional line.
        type: str
      private_key_passphrase:
        description: Passphrase of the private key.
        type: str
      host_key:
        description:
          - 'The host key of the SFTP server: a fingerprint, a known_hosts line or file, or V(accept-new).'
          - A fingerprint is the output of C(ssh-keygen -lf) (C(SHA256:...)). A line comes from a known_hosts or public
            key file. Lines and files are interpreted as in OpenSSH, including markers, patterns and hashed names.
          - V(accept-new) accepts the first key that the server presents, with a warning that shows its fingerprint. The
            key is recorded in O(storage.known_hosts_file), if set, and required from then on; otherwise it applies to
            this run only.
          - The result contains the fingerprint. A key that differs from the recorded one is refused, and the message
            shows both fingerprints.
          - A server with an unknown key is refused; the message shows its fingerprint.
        type: str
      known_hosts_file:
        description:
          - File of known host keys in OpenSSH format, on the machine that runs the task.
          - C(~) is the home directory of the user there.
          - With O(storage.host_key=accept-new) the file may be missing, and new keys are added to it.
        type: str
      require_encryption:
        description: Refuse a share that does not support encrypted connections.
        type: bool
        default: false
      own_ntlm:
        description:
          - On a Windows device, log in to a share with the NTLM of the engine instead of that of Windows.
          - Rules of the device that restrict NTLM, and Kerberos, do not apply then.
        type: bool
        default: false
      time_limit_seconds:
        description:
          - How long a single operation is retried before the run fails.
          - At most two minutes before the first response of the server. The run reports a wait within ten seconds, and
            does not retry failures that a retry can't fix.
        type: int
        default: 3600
  device_alias:
    description:
      - Prefix of O(device_name), as C(<alias>_<device>). Required when O(device_name) is C(localhost).
      - C(localhost) is the same name on every device.
    type: str
    default: ""
"""

    DEVICE_DIRECTORY = r"""
options:
  device_name:
    description: Name of the device directory in the storage.
    type: str
    required: true
"""

    PASSWORD = r"""
options:
  password:
    description:
      - Password that encrypts the images of the device. Without a password images are unencrypted.
      - The password is only passed to the engine in memory, never in a command line, an environment variable or a log.
    type: str
"""

    LINK = r"""
options:
  reconnect_seconds:
    description:
      - How long a task retries a lost connection to the device before it fails.
      - A run on the device continues regardless.
      - A device that can't be reached at the start of a task is reported as unreachable at once, as with any module.
    type: int
    default: 600
  bundle_directory:
    description:
      - Directory on the controller with agent bundles built by M(plantops.imaging.agent_bundle), for a site without a
        package index.
      - The directory is only read, and must contain the bundle for the platform of the device.
      - Without this setting a missing bundle is built and stored in the user's cache.
    type: path
  agent_directory:
    description:
      - Absolute path of the agent's directory on the device, for systems where C(/opt) is not writable or is mounted
        noexec. Remove the agent before you change this setting.
      - The default is C(/opt/plantops-imaging) for root, and C(plantops-imaging) in the user's data folder for any other
        user.
      - Only the agent may use the directory. A missing directory is created. Its parent directories must belong to root
        or to the agent's user and must not be writable by other users.
      - An agent in another directory is not found. Remove it, using the setting that it was installed with, before you
        change this setting.
    type: str
"""

    RUN = r"""
options:
  wait:
    description:
      - Whether to follow the run to its end. Otherwise the result contains the handle of the run, C(run).
      - V(false) returns as soon as the run has received its secrets.
      - In both cases the run does not depend on the connection or on C(ansible-playbook).
    type: bool
    default: true
  run:
    description:
      - The handle of a run, as returned by an earlier task. The task follows that run instead of starting a new one.
      - 'Not needed for a run in progress that a killed play or O(wait=false) started: a task with the same settings finds
        it.'
    type: str
  cancel:
    description: Cancel the run O(run).
    type: bool
    default: false
  cancel_on_interrupt:
    description: Cancel the run when the play is interrupted. Otherwise the run continues.
    type: bool
    default: false
"""

    AGENT = r"""
options:
  state:
    description:
      - V(present), V(latest) for the agent of this collection, or V(absent).
      - V(present) installs the agent if the device has no usable agent, and keeps an older version.
      - V(latest) installs the version of this collection.
      - V(absent) removes the agent and all of its files from the device. It is refused while a run is in progress.
    type: str
    choices: [present, latest, absent]
    default: present
"""

    IMAGE = r"""
options:
  operating_system:
    description:
      - The kind of operating system that the device must have. A run on a Windows of another kind ends before anything
        is read or frozen; on Linux it is as declared.
      - Without it a device of either kind is imaged.
    type: str
    choices: [workstation, server]
  drives:
    description:
      - The disks to image. V(all) selects every internal fixed disk, V(system) the disks with the operating system. A
        list selects mount points, absolute paths of disks, volumes or image files, and stable disk ids (C(serial:...),
        C(wwn:...), C(gpt:...), C(mbr:...)).
      - On Windows a list also selects letters (C(C:)) and disks by their number (C(disk0)), and V(system) includes the
        disk that Windows starts from. Numbers are those of Windows; an image numbers its own disks in their order.
      - V(all) skips removable disks, network disks, and the disk that contains a directory storage of this machine.
      - When the list selects a volume, the image also includes the structures of its disk and the small boot partitions.
      - A disk is imaged with its partition tables and boot areas, so that a restored disk boots.
    type: list
    elements: str
    required: true
  exclude:
    description:
      - Files whose content is excluded, as paths or globs from the root of the volume. C(*) matches within a folder,
        C(**) across folders.
      - Only the content is excluded, and only on volumes that are frozen or not mounted. After a restore the file exists,
        but its content is undefined.
      - C(pagefile.sys), C(hiberfil.sys) and C(swapfile.sys) are always excluded. An active Linux swap file is excluded
        except for its first page.
    type: list
    elements: str
    default: []
  trust:
    description:
      - 'The structure to trust on a volume, disk or logical volume that contains marks of more than one, such as C({disk0p1:
        ntfs, disk1: table, vg0/data: xfs}). The warning of the run lists the names.'
      - Without this setting each run images all of such a volume, with a warning that lists the structures, the positions
        of their marks, and the entry to set.
      - A key is a disk (V(disk0)), a partition (V(disk0p1)) or a logical volume (V(group/volume)). A value is the structure
        to trust, such as V(ntfs), V(ext4) or V(zfs), or V(table) for the partition table of a disk.
    type: dict
    default: {}
  snapshot:
    description:
      - How to image volumes in use. V(required) refuses a mounted volume that can't be frozen; V(preferred) and V(none)
        read it while it changes, with a warning.
      - V(required) fails before the run writes any data. The image records whether a volume was read while it changed.
    type: str
    choices: [required, preferred, none]
    default: required
  limit_io_rate:
    description:
      - Maximum rate of uploads to the storage in MB/s (10^6 bytes); V(0) means unlimited.
      - Fractions are allowed, such as V(2.5).
    type: float
    default: 0
  limit_read_rate:
    description: Maximum rate of reads from the device's disks in MB/s (10^6 bytes); V(0) means unlimited. V(auto) slows
      down when the latency of the disk rises.
    type: str
    default: auto
  limit_read_rate_floor:
    description:
      - 'If O(limit_read_rate) is V(auto): the rate in MB/s (10^6 bytes) that a run does not go below while other programs
        use the disk or the processors. A run that is given less processor time stays below it.'
      - Raise it if a run on a busy device takes longer than it may. Values above 8 also raise the rate on a busy disk.
    type: float
    default: 2
  window:
    description:
      - The hours in which images are to be made, on the clock of the controller, such as C(22:00-05:00). A run that will
        take longer warns, with the reason and the setting that changes it.
      - The run continues after the end. A run that starts outside of these hours warns if it takes longer than a day.
    type: str
    default: ""
  compare:
    description:
      - The image whose device document the run compares with the device.
      - V(previous) is the previous image of the same job, V(baseline) its newest pinned image. V(none) does not compare.
    type: str
    choices: [previous, baseline, none]
    default: previous
  compare_ignore:
    description: Differences that a comparison of device documents does not report, as globs of C(section/key), such as
      C(software/linux-image-*). C(*) matches any text.
    type: list
    elements: str
    default: []
  compression_level:
    description: Level of Zstandard compression, from 1 (fast) to 19. Level 3 stores about 3 % less and takes a fifth
      more processor time.
    type: int
    default: 1
  password_previous:
    description:
      - The previous password, needed once to change the password.
      - The new password becomes another slot of the same key. Both passwords open older images, and no data is uploaded
        again.
    type: str
  new_key:
    description: Confirms that a new key is started when the password opens no existing key.
    type: bool
    default: false
  allow_clear:
    description: Confirms that an unencrypted image is stored although the device has encrypted images.
    type: bool
    default: false
  adopt:
    description: Confirms that this machine takes over a directory that belongs to another machine, such as a replaced
      PC.
    type: bool
    default: false
  keep:
    description:
      - How many images of each job to keep, at least 1.
      - Pinned and archived images are kept in addition.
      - The last image of a disk or volume that is missing from the newest image is also kept, until O(forget_disks) lists
        it.
    type: int
    default: 7
  forget_jobs:
    description:
      - Jobs that are no longer defined and whose images are deleted regardless of O(keep). An empty name is the default
        job.
      - Pinned images are kept, and so is the only remaining image.
    type: list
    elements: str
    default: []
  forget_disks:
    description:
      - Ids of disks or volumes that were removed for good, as the warnings show them. Their last image is no longer protected.
      - The rollover then treats it like any other image.
    type: list
    elements: str
    default: []
  job:
    description: The job that the image belongs to, empty for the default job. O(keep) and the comparison apply to images
      of the same job only.
    type: str
    default: ""
  jobs:
    description: All jobs that are defined for the device. Images of other jobs cause a warning. Without this option they
      are not checked.
    type: list
    elements: str
  collect:
    description: Return in RV(ended_runs) the runs that ended on the device and whose play did not see their end, so that
      M(plantops.imaging.run_result) leaves their documents, too.
    type: bool
    default: false
  after_command:
    description:
      - The RV(plantops.imaging.after_command#module:id) of a command that the device runs when the run ends.
      - The run then uses the agent, also on a local device.
    type: str
"""

    DEVICE_COMPARE = r"""
options:
  image:
    description: 'The later image: V(latest) or the name of an image. With O(document) it is the earlier one.'
    type: str
    default: latest
  against:
    description: 'The earlier image: V(previous) for the previous image of the same job, V(baseline) for the newest pinned
      image, or the name of an image.'
    type: str
    default: previous
  document:
    description: A device document, such as RV(plantops.imaging.device_info#module:document). O(image) is compared with
      it.
    type: dict
  compare_ignore:
    description: Differences that are not reported, as globs of C(section/key), such as C(software/linux-image-*).
    type: list
    elements: str
  job:
    description: The job whose newest image V(latest) selects. Empty selects the newest image of the device, regardless
      of the job.
    type: str
    default: ""
"""

    DEVICE_HISTORY = r"""
options:
  image:
    description: "The image: V(latest) or the name of an image."
    type: str
    default: latest
  repository:
    description:
      - Absolute path of a Git repository, bare or with a working tree, on the host that runs the task.
      - Documents in it are not encrypted, even if the image is.
    type: str
    required: true
  job:
    description: The job whose newest image V(latest) selects. Empty selects the newest image of the device, regardless
      of the job.
    type: str
    default: ""
"""

    DEVICE_RENAME = r"""
options:
  password_previous:
    description:
      - The previous password, needed once to change the password.
      - The new password becomes another slot of the same key. Both passwords open older images, and no data is uploaded
        again.
    type: str
  to:
    description:
      - The new name of the device's directory, in place of O(device_name). O(device_alias) stays in front of it.
      - After the renaming, change the name in the inventory, or set O(device_name) to it.
    type: str
    required: true
"""

    IMAGE_ARCHIVE = r"""
options:
  limit_io_rate:
    description:
      - Maximum rate of uploads to the storage in MB/s (10^6 bytes); V(0) means unlimited.
      - Fractions are allowed, such as V(2.5).
    type: float
    default: 0
  image:
    description:
      - 'The image: V(latest), the name of an image, or a version of the archive such as V(v3).'
      - The versions are listed by M(plantops.imaging.image_info) and by the archive's own verification.
    type: str
    default: latest
  archive:
    description:
      - 'The archive: a separate storage in which each image is a numbered version that no rollover deletes.'
      - It has the same keys as O(storage), with separate credentials, which need not allow deleting.
      - With O(image) set to a version, such as V(v3), the other entry points of the role use the archive.
    type: dict
    required: true
    suboptions:
      url:
        description:
          - A directory, C(sftp://server:port/path) for an SFTP server, or the UNC path of a share on a Windows or Samba
            server.
          - A directory is an absolute path (or C(file:///path)) on the machine that runs the task. On an SFTP server
            C(sftp://server/~/path) starts at the home directory of the user. Write IPv6 addresses in brackets.
          - The directory must exist, also on a server or share. Only the device directories below it are created.
          - A path through a DFS namespace is resolved to its target server, with the same credentials. DFS links below
            the storage directory are not followed.
        type: str
        required: true
      port:
        description:
          - TCP port of the server of a share, if it is not 445.
          - The port of an SFTP server is part of its URL.
        type: int
      username:
        description:
          - User name on the server.
          - C(domain\\user), C(computer\\user) and C(user@domain) are accepted.
        type: str
      password:
        description: Password on the server.
        type: str
      private_key_file:
        description:
          - File with a private key for an SFTP server, on the machine that runs the task.
          - C(~) is the home directory of the user there.
          - The format is OpenSSH, PEM or PKCS#8.
          - If a file of the same name with C(-cert.pub) appended exists, it is used as the certificate of the key.
        type: str
      private_key:
        description:
          - Text of a private key for an SFTP server.
          - The certificate of the key may follow as an additional line.
        type: str
      private_key_passphrase:
        description: Passphrase of the private key.
        type: str
      host_key:
        description:
          - 'The host key of the SFTP server: a fingerprint, a known_hosts line or file, or V(accept-new).'
          - A fingerprint is the output of C(ssh-keygen -lf) (C(SHA256:...)). A line comes from a known_hosts or public
            key file. Lines and files are interpreted as in OpenSSH, including markers, patterns and hashed names.
          - V(accept-new) accepts the first key that the server presents, with a warning that shows its fingerprint. The
            key is recorded in O(storage.known_hosts_file), if set, and required from then on; otherwise it applies to
            this run only.
          - The result contains the fingerprint. A key that differs from the recorded one is refused, and the message
            shows both fingerprints.
          - A server with an unknown key is refused; the message shows its fingerprint.
        type: str
      known_hosts_file:
        description:
          - File of known host keys in OpenSSH format, on the machine that runs the task.
          - C(~) is the home directory of the user there.
          - With O(storage.host_key=accept-new) the file may be missing, and new keys are added to it.
        type: str
      require_encryption:
        description: Refuse a share that does not support encrypted connections.
        type: bool
        default: false
      own_ntlm:
        description:
          - On a Windows device, log in to a share with the NTLM of the engine instead of that of Windows.
          - Rules of the device that restrict NTLM, and Kerberos, do not apply then.
        type: bool
        default: false
      time_limit_seconds:
        description:
          - How long a single operation is retried before the run fails.
          - At most two minutes before the first response of the server. The run reports a wait within ten seconds, and
            does not retry failures that a retry can't fix.
        type: int
        default: 3600
  comment:
    description:
      - Comment of a new version, such as the reason for it; at most 1000 characters.
      - It is stored unencrypted and can't be changed later.
    type: str
    default: ""
  author:
    description: Author of a new version; at most 200 characters. Empty uses the user of AWX or of the controller.
    type: str
    default: ""
  every:
    description:
      - The least time between two versions of a job, such as V(30d), V(4w) or V(12h); V(0) archives each image.
      - The time is measured between the names of the images. A run that begins earlier by a tenth of it, at most six
        hours, is on time. An image that O(image) names is always checked in.
    type: str
    default: "0"
  keep_source:
    description:
      - Whether the rollover of O(storage) spares the images that are versions of the archive.
      - V(true) never deletes an archived image, in no storage. With V(false) C(keep) counts these images like any other,
        so that the storage does not grow with the archive.
    type: bool
    default: true
  state:
    description: V(present) checks the image in. V(verified) lists the versions and each one that was changed, replaced,
      renumbered or removed. V(compared) compares the two versions of C(archive_versions).
    type: str
    choices: [present, verified, compared]
    default: present
  versions:
    description: The two versions to compare, such as V([v1, v2]).
    type: list
    elements: str
  job:
    description: The job whose newest image V(latest) selects. Empty selects the newest image of the device, regardless
      of the job.
    type: str
    default: ""
  coming:
    description: 'For check mode only: the image does not exist yet, because the run before this task would make it.'
    type: bool
    default: false
"""

    IMAGE_COPY = r"""
options:
  limit_io_rate:
    description:
      - Maximum rate of uploads to the storage in MB/s (10^6 bytes); V(0) means unlimited.
      - Fractions are allowed, such as V(2.5).
    type: float
    default: 0
  image:
    description:
      - 'The image: V(latest), the name of an image, or a version of the archive such as V(v3).'
      - The versions are listed by M(plantops.imaging.image_info) and by the archive's own verification.
    type: str
    default: latest
  directory:
    description:
      - Absolute path of the target directory on the operator host, such as a USB disk or stick.
      - The directory is created if its parent directory exists. Several devices and images may share it.
      - Either this or O(copy_storage) is required.
    type: str
  copy_storage:
    description:
      - The target storage, as an alternative to a directory.
      - It has the same keys as O(storage), with separate credentials.
    type: dict
    suboptions:
      url:
        description:
          - A directory, C(sftp://server:port/path) for an SFTP server, or the UNC path of a share on a Windows or Samba
            server.
          - A directory is an absolute path (or C(file:///path)) on the machine that runs the task. On an SFTP server
            C(sftp://server/~/path) starts at the home directory of the user. Write IPv6 addresses in brackets.
          - The directory must exist, also on a server or share. Only the device directories below it are created.
          - A path through a DFS namespace is resolved to its target server, with the same credentials. DFS links below
            the storage directory are not followed.
        type: str
      port:
        description:
          - TCP port of the server of a share, if it is not 445.
          - The port of an SFTP server is part of its URL.
        type: int
      username:
        description:
          - User name on the server.
          - C(domain\\user), C(computer\\user) and C(user@domain) are accepted.
        type: str
      password:
        description: Password on the server.
        type: str
      private_key_file:
        description:
          - File with a private key for an SFTP server, on the machine that runs the task.
          - C(~) is the home directory of the user there.
          - The format is OpenSSH, PEM or PKCS#8.
          - If a file of the same name with C(-cert.pub) appended exists, it is used as the certificate of the key.
        type: str
      private_key:
        description:
          - Text of a private key for an SFTP server.
          - The certificate of the key may follow as an additional line.
        type: str
      private_key_passphrase:
        description: Passphrase of the private key.
        type: str
      host_key:
        description:
          - 'The host key of the SFTP server: a fingerprint, a known_hosts line or file, or V(accept-new).'
          - A fingerprint is the output of C(ssh-keygen -lf) (C(SHA256:...)). A line comes from a known_hosts or public
            key file. Lines and files are interpreted as in OpenSSH, including markers, patterns and hashed names.
          - V(accept-new) accepts the first key that the server presents, with a warning that shows its fingerprint. The
            key is recorded in O(storage.known_hosts_file), if set, and required from then on; otherwise it applies to
            this run only.
          - The result contains the fingerprint. A key that differs from the recorded one is refused, and the message
            shows both fingerprints.
          - A server with an unknown key is refused; the message shows its fingerprint.
        type: str
      known_hosts_file:
        description:
          - File of known host keys in OpenSSH format, on the machine that runs the task.
          - C(~) is the home directory of the user there.
          - With O(storage.host_key=accept-new) the file may be missing, and new keys are added to it.
        type: str
      require_encryption:
        description: Refuse a share that does not support encrypted connections.
        type: bool
        default: false
      own_ntlm:
        description:
          - On a Windows device, log in to a share with the NTLM of the engine instead of that of Windows.
          - Rules of the device that restrict NTLM, and Kerberos, do not apply then.
        type: bool
        default: false
      time_limit_seconds:
        description:
          - How long a single operation is retried before the run fails.
          - At most two minutes before the first response of the server. The run reports a wait within ten seconds, and
            does not retry failures that a retry can't fix.
        type: int
        default: 3600
  program:
    description:
      - The recovery program on the controller to include in the copy, as built by M(plantops.imaging.recovery_program).
      - Without this setting the program for Linux on x86-64 with glibc is built once and stored in the cache of the user,
        which requires a package index.
    type: path
  job:
    description: The job whose newest image V(latest) selects. Empty selects the newest image of the device, regardless
      of the job.
    type: str
    default: ""
"""

    IMAGE_INFO = r"""
options:
  image:
    description:
      - 'The images to show: V(all), V(latest), the name of an image or a version such as V(v3).'
      - A single image is returned with the result of its run.
    type: str
    default: all
  documents:
    description:
      - 'Documents to read from the image: V(device) is the description of the device, V(log) the log of the run.'
      - They are read from a single image. Those of an encrypted image require O(password).
    type: list
    elements: str
  devices:
    description: V(one) shows the images of the device itself, V(all) those of every device in the storage, including
      devices that are not in the inventory.
    type: str
    choices: [one, all]
    default: one
  device_name:
    description: Name of the device directory in the storage. Required unless O(devices) is V(all).
    type: str
  job:
    description: List only images of this job; empty lists the images of all jobs.
    type: str
    default: ""
"""

    IMAGE_PIN = r"""
options:
  image:
    description: 'The image: V(latest), the name of an image or a version such as V(v3).'
    type: str
    required: true
  state:
    description: Whether the image is pinned. The rollover never deletes a pinned image.
    type: str
    choices: [pinned, unpinned]
    default: pinned
"""

    IMAGE_RESTORE = r"""
options:
  image:
    description:
      - 'The image: V(latest), the name of an image, or a version of the archive such as V(v3).'
      - The versions are listed by M(plantops.imaging.image_info) and by the archive's own verification.
    type: str
    default: latest
  map:
    description:
      - 'The target of each imaged disk, such as C({disk0: /dev/sdb}).'
      - The keys are V(disk0), V(disk1) and so on, as listed by M(plantops.imaging.image_info). The values are paths of
        disks, or of files that are created or extended.
      - On a running Windows a disk (V(\\\\.\\PhysicalDrive1)) can be a target if it holds no system and no volume that
        is in use; restore its other disks with a rescue medium.
      - 'V(auto) as a value stands for the disk of the device that certainly is the imaged one: by its serial number,
        else by its partition table, else by size and model. C({all: auto}) does so for each disk of the image. Where
        two disks may be meant, the restore is refused. A disk that the device had and that the image does not hold is
        not taken for one of the same model.'
    type: dict
    required: true
  partitions:
    description:
      - The partitions that are restored, such as V(disk0p2), or V(2) if one disk is restored. The others stay as they
        are on the target.
      - If the partition table of the target has the same partitions as the image, it stays unchanged. Otherwise it is
        replaced, and O(replace_table) has to name the partitions that this deletes.
      - By default all partitions that the image holds.
    type: list
    elements: str
    default: []
  overwrite:
    description: Confirms that a target that contains data is overwritten.
    type: bool
    default: false
  replace_table:
    description:
      - Confirms that these partitions of the target are deleted, because only some volumes are restored and the partition
        table of the image differs from that of the target. List each by its number, as the error message shows it, or
        by a name that no other partition has.
      - Use the form V(disk0p3) when several disks are restored.
      - V(disk1) confirms that a target that is disk1 of the image is overwritten with another disk.
      - An id such as V(serial:S3Z1NB0K) confirms it for a disk with data that the device had when the image was made,
        and that the image does not hold; the error message shows the id.
    type: list
    elements: str
    default: []
  damaged:
    description:
      - Confirms that the intact data of a damaged image is restored. Lost data becomes zeros, and C(damaged) in the result
        lists the files.
      - RV(damaged) lists the lost ranges and the damaged files. Such a restored target is incomplete.
      - An image that lost its manifest or the root of its index can't be restored. A lost segment of the index costs
        268 MB.
    type: bool
    default: false
  proof:
    description:
      - 'When the image is verified: V(first) before the first byte is written, V(while_writing) each byte before it is
        written.'
      - V(while_writing) fetches an image from a server once instead of twice. It verifies the manifest, the whole index,
        all sizes and a sample of the data first. The target stays not bootable until the last byte is verified, but damage
        that is found late costs the data that the target had.
      - V(auto) chooses V(while_writing) for an SFTP or UNC storage and targets without data, else V(first). A directory
        and a damaged image are always verified first.
    type: str
    choices: [auto, first, while_writing]
    default: auto
  grow:
    description:
      - 'The partition that grows on a larger disk, with its file system: V(last), V(system) or the number of a partition.
        Partitions behind it move to the end of the disk.'
      - 'The device needs the tools of the file system: C(resize2fs), C(ntfsresize) or C(xfs_growfs). The plan names those
        that are missing before anything is written.'
    type: str
    default: ""
  shrink:
    description:
      - 'Confirms that the image is fitted onto a smaller disk: partitions move, and ext4 and NTFS volumes are shrunk
        where they have room.'
      - A disk that can't be shrunk far enough is refused with the numbers, before anything is written.
    type: bool
    default: false
  scratch:
    description:
      - The directory on the device where volumes are shrunk before the target is written. The plan names the space that
        it needs.
      - By default the directory of a target that is a file, or C(/var/tmp), if it is on a disk with enough room.
    type: path
  identity:
    description:
      - V(new) gives the restored disk its own disk GUID or signature and partition GUIDs, for a clone that runs beside
        the original. The boot configuration of Windows is changed with them.
      - The plan names every file and file system that is changed, and what keeps its ids. A disk on which something names
        the old ids that can't be changed is refused before anything is written.
    type: str
    choices: [keep, new]
    default: keep
  read_back:
    description:
      - Reads each target back after it was written, and compares it with the image, before it becomes bootable. A disk,
        cable or controller that loses data is an error then, and not a restored disk.
      - This takes the time of reading the data once; nothing is fetched from the storage again.
    type: bool
    default: true
  boot_fallback:
    description:
      - 'Adds V(EFI/BOOT/BOOTX64.EFI) to the EFI partition, by which a machine without a boot entry starts the disk: V(no),
        V(yes) or the path of a boot loader, such as V(EFI/debian/shimx64.efi).'
      - V(yes) copies the boot loader that is on the partition, with the files that it needs beside it. If there are several,
        name one. An existing file is not overwritten.
      - The plan names the files. A partition that is damaged or too full is refused before anything is written.
    type: str
    default: "no"
  free_space:
    description:
      - The free space of a target, which is everything that the image does not hold of the disk.
      - V(keep) leaves it as it is. V(discard) gives it back to an SSD, a thin volume or a sparse file.
      - V(zero) overwrites it with zeros, so that nothing of the former content of the target stays.
      - Only when a whole disk is restored. Gaps between partitions in which the image holds bytes stay as they are, and
        the plan says how much.
    type: str
    choices: [keep, discard, zero]
    default: keep
  many:
    description:
      - Confirms that a play restores on more than one host.
      - Without it a play with several hosts is refused, also in batches or with C(run_once), because a forgotten C(--limit)
        would overwrite the disks of a whole plant.
      - Not needed with O(run), which does not start a restore.
    type: bool
    default: false
  job:
    description: The job whose newest image V(latest) selects. Empty selects the newest image of the device, regardless
      of the job.
    type: str
    default: ""
  collect:
    description: Return in RV(ended_runs) the runs that ended on the device and whose play did not see their end, so that
      M(plantops.imaging.run_result) leaves their documents, too.
    type: bool
    default: false
"""

    IMAGE_RETIRE = r"""
options:
  purge_trash:
    description:
      - Delete at once what deleted images leave in the trash, which otherwise stays for a day and a successful run.
      - 'The risk: a restore, copy or verification in progress of an image that was deleted within the last day loses
        its data. Images that exist keep theirs. Refused while a run writes to the device''s directory.'
    type: bool
    default: false
  retire:
    description:
      - 'Confirms that images of the device are deleted, the newest ones included: repeats the name of its directory.'
      - The name is O(device_name), or C(<alias>_<device>) with O(device_alias). Any other text is refused, and nothing
        is deleted.
    type: str
    required: true
  image:
    description:
      - "The image to delete: the name of an image, or V(all)."
      - An image whose key O(password) does not open is deleted only if its name is given here.
    type: str
    default: all
  in_inventory:
    description: Whether the device is still in the inventory. A warning then says that its next run starts a new directory,
      unless O(image) names one image.
    type: bool
    default: false
"""

    IMAGE_ROLLOVER = r"""
options:
  keep:
    description:
      - How many images of each job to keep, at least 1.
      - Pinned and archived images are kept in addition.
      - The last image of a disk or volume that is missing from the newest image is also kept, until O(forget_disks) lists
        it.
    type: int
    default: 7
  forget_jobs:
    description:
      - Jobs that are no longer defined and whose images are deleted regardless of O(keep). An empty name is the default
        job.
      - Pinned images are kept, and so is the only remaining image.
    type: list
    elements: str
    default: []
  forget_disks:
    description:
      - Ids of disks or volumes that were removed for good, as the warnings show them. Their last image is no longer protected.
      - The rollover then treats it like any other image.
    type: list
    elements: str
    default: []
  remove_damaged:
    description:
      - Names of unreadable images to delete. A readable image is refused.
      - The packs of an unreadable image are kept until then, so the storage grows.
    type: list
    elements: str
    default: []
  purge_trash:
    description:
      - Delete at once what deleted images leave in the trash, which otherwise stays for a day and a successful run.
      - 'The risk: a restore, copy or verification in progress of an image that was deleted within the last day loses
        its data. Images that exist keep theirs. Refused while a run writes to the device''s directory.'
    type: bool
    default: false
  job:
    description: The job whose oldest images are deleted, empty for the default job.
    type: str
    default: ""
  jobs:
    description: All jobs that are defined for the device. Images of other jobs cause a warning. Without this option they
      are not checked.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the job.
        type: str
        required: true
      keep:
        description: How many images of this job to keep. Without this option all of them are kept.
        type: int
"""

    IMAGE_VERIFY = r"""
options:
  image:
    description:
      - 'The image: V(latest), the name of an image, or a version of the archive such as V(v3).'
      - The versions are listed by M(plantops.imaging.image_info) and by the archive's own verification.
    type: str
    default: latest
  level:
    description:
      - "The level of verification: V(quick), V(storage) or V(full)."
      - V(quick) compares names and sizes.
      - V(storage) hashes all stored data and needs no password.
      - V(full) also runs the restore without writing.
    type: str
    choices: [quick, storage, full]
    default: full
  job:
    description: The job whose newest image V(latest) selects. Empty selects the newest image of the device, regardless
      of the job.
    type: str
    default: ""
"""
