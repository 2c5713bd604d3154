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
    description: Where the images live.
    type: dict
    required: true
    suboptions:
      url:
        description:
          - A directory, C(sftp://server:port/path) for an SFTP server, or the UNC path of a share on a Windows or Samba
            server.
          - A directory is an absolute path on the machine that does the work (C(file:///path) as well). On an SFTP server
            C(sftp://server/~/path) begins at the user's home directory. IPv6 addresses stand in brackets.
          - The directory must be there, on a server and a share too; it is not made. Those of devices below it are.
          - A path through a DFS name space is followed to the server where it leads, with the same credentials. Links
            of the name space inside the directory of images are not followed.
        type: str
        required: true
      port:
        description:
          - TCP port of a share's server, where it is not 445.
          - The port of an SFTP server is part of its URL.
        type: int
      username:
        description:
          - User on the server.
          - C(domain\\user), C(computer\\user) and C(user@domain) are accepted.
        type: str
      password:
        description: Password on the server.
        type: str
      private_key_file:
        description:
          - File with a private key for an SFTP server, on the machine that does the work.
          - Its format is that of OpenSSH, PEM or PKCS#8.
          - A certificate for it is taken from the file of the same name with C(-cert.pub) appended.
        type: path
      private_key:
        description:
          - Text of a private key for an SFTP server.
          - The certificate for it may follow as a line.
        type: str
      private_key_passphrase:
        description: Passphrase of the private key.
        type: str
      host_key:
        description:
          - The SFTP server's host key, as fingerprint, line or file of known hosts, or V(accept-new).
          - A fingerprint is what C(ssh-keygen -lf) shows (C(SHA256:...)); a line is one of a known_hosts or public key
            file. Lines and files are read as OpenSSH does, with markers, patterns and hashed names.
          - V(accept-new) takes the key that the server shows first, and warns with its fingerprint. It is recorded in
            O(storage.known_hosts_file), where one is given, and holds from then on; else it holds for this run.
          - Either way the result names it. Another key than the recorded one is refused, with both fingerprints.
          - A server whose key is not known is refused; the message names the key's fingerprint.
        type: str
      known_hosts_file:
        description:
          - File of known host keys, in the format of OpenSSH, on the machine that does the work.
          - With O(storage.host_key=accept-new) it may be missing, and a key that is seen first is added to it.
        type: path
      require_encryption:
        description: Refuse a share that can't encrypt what is sent.
        type: bool
        default: false
      time_limit_seconds:
        description:
          - How long one operation may be retried before the run gives up.
          - Two minutes at most before a server has answered once. A wait is told within ten seconds, and what repeating
            can't mend is not repeated.
        type: int
        default: 3600
  device_name:
    description: Name of the device's directory on the storage.
    type: str
    required: true
  device_alias:
    description:
      - Written in front of O(device_name), as C(<alias>_<device>); needed when that is C(localhost).
      - Every device is C(localhost) to itself.
    type: str
    default: ""
"""

    PASSWORD = r"""
options:
  password:
    description:
      - Password of the device's images; without one they are in clear.
      - It reaches the engine in memory; no command line, environment or log holds it.
    type: str
"""

    LINK = r"""
options:
  reconnect_seconds:
    description:
      - How long a lost connection to the device is tried again before the task fails.
      - A run on the device goes on meanwhile, and after.
      - A device that can't be reached at the beginning of a task is unreachable at once, as with any module.
    type: int
    default: 600
  bundle_directory:
    description:
      - Directory on the controller with bundles of the agent that M(plantops.imaging.agent_bundle) made, for a site without
        a package index.
      - It is only read, and must hold the bundle of the device's platform.
      - Without it a missing bundle is built and kept in the user's cache.
    type: path
  agent_directory:
    description:
      - Where the agent lives on the device, an absolute path, for systems where C(/opt) can't be written or runs no programs.
        Remove the agent before it is changed.
      - C(/opt/plantops-imaging) without it; for another user than root, C(plantops-imaging) in the folder of that user's
        data.
      - The directory is the agent's alone. It is made where it is missing, and those above it must belong to root or
        to the agent's user and must not be writable for others.
      - An agent somewhere else is not found. Remove it, with the setting that it was installed with, before it is changed.
    type: str
"""

    RUN = r"""
options:
  wait:
    description:
      - Whether to follow the run to its end; without that the result holds its handle, C(run).
      - V(false) returns as soon as the run has its secrets.
      - The run does not depend on the connection or on C(ansible-playbook) in either case.
    type: bool
    default: true
  run:
    description:
      - A handle that an earlier task returned. That run is followed instead of starting one.
      - Not needed to go on with a run that a killed play left, or one of O(wait=false), as long as it is at work. A task
        with the same settings finds it.
    type: str
  cancel:
    description: Cancel the run that O(run) names.
    type: bool
    default: false
  cancel_on_interrupt:
    description: Cancel the run when the play is interrupted while it is followed; without it the run goes on.
    type: bool
    default: false
"""

    AGENT = r"""
options:
  state:
    description:
      - V(present), V(latest) for the agent of this collection, or V(absent).
      - V(present) installs the agent where there is none that can be used, and leaves an older one as it is.
      - V(latest) makes it the one of this collection.
      - V(absent) removes it with everything that it keeps on the device. Refused while a run is at work.
    type: str
    choices: [present, latest, absent]
    default: present
"""

    IMAGE = r"""
options:
  drives:
    description:
      - What to image. V(all) is every internal fixed disk, V(system) the disks that hold the system; else a list of mount
        points, absolute paths of disks, volumes or image files, and stable ids of disks (C(serial:...), C(wwn:...), C(gpt:...),
        C(mbr:...)).
      - V(all) leaves out removable and network disks, and the disk that a directory storage of this machine lies on.
      - When a volume is named, its disk's structures and small boot partitions come along.
      - A disk is imaged with its partition tables and boot areas, so that a restored disk boots.
    type: list
    elements: str
    required: true
  exclude:
    description:
      - Files whose content is left out, as paths or globs from the volume's root. C(*) stays inside a folder, C(**) crosses.
      - Only content is left out, only of volumes that are frozen or not mounted. The file itself is there after a restore
        but its bytes are undefined.
      - C(pagefile.sys), C(hiberfil.sys) and C(swapfile.sys) are always left out, and so is, but for its first page, a
        file that a running Linux swaps to.
    type: list
    elements: str
    default: []
  trust:
    description:
      - 'Which system is believed where more than one claims a volume, disk or logical volume, by the names that the run''s
        warning gives, such as C({disk0p1: ntfs, disk1: table, vg0/data: xfs}).'
      - Without it such a volume is imaged whole at each run, with a warning that names both, where their marks lie, and
        what to write here.
      - The keys are a disk (V(disk0)), a partition (V(disk0p1)) or a logical volume (V(group/volume)); the values what
        it is, such as V(ntfs), V(ext4) or V(zfs), and V(table) for a disk whose partitions count.
    type: dict
    default: {}
  snapshot:
    description:
      - What to do about volumes in use. V(required) refuses a mounted volume that can't be frozen; V(preferred) and V(none)
        read it while it changes, with a warning.
      - V(required) fails before anything is written. An image of a volume that was read while it changed says so.
    type: str
    choices: [required, preferred, none]
    default: required
  limit_io_rate:
    description:
      - MB/s (10^6 bytes) sent to the storage at most; V(0) is no limit.
      - Fractions are allowed, such as V(2.5).
    type: float
    default: 0
  limit_read_rate:
    description: MB/s (10^6 bytes) read from the device's disks at most, V(0) for no limit; V(auto) slows down when the
      disk answers more slowly than it did.
    type: str
    default: auto
  compare:
    description: Whether the device's information is compared with that of the previous image.
    type: str
    choices: [previous, none]
    default: previous
  compression_level:
    description: Level of Zstandard compression, from 1 (fast) to 19; 3 stores about 3 % less for a fifth more processor
      time.
    type: int
    default: 1
  password_previous:
    description:
      - The password before, needed once to change it.
      - The new one becomes another slot of the same key, so older images open with both and nothing is sent again.
    type: str
  new_key:
    description: The explicit yes to start over with a new key when the present password opens none.
    type: bool
    default: false
  allow_clear:
    description: The explicit yes to store an image in clear where encrypted ones are.
    type: bool
    default: false
  adopt:
    description: The explicit yes to go on with a directory that belongs to another machine, such as a replaced PC.
    type: bool
    default: false
  keep:
    description:
      - How many images of each job remain, at least 1.
      - Pinned and archived ones do not count and stay.
      - The last image of a disk or volume that the newest image does not hold stays as well, until O(forget_disks) lists
        it.
    type: int
    default: 7
  forget_jobs:
    description:
      - Jobs that are not defined any more and whose images are deleted, whatever O(keep) says; an empty name is the default
        job.
      - Pinned images stay, and so does the only image that is left.
    type: list
    elements: str
    default: []
  forget_disks:
    description:
      - Ids of disks or volumes, as warnings name them, that are gone for good; their last image is not kept any longer.
      - It counts like any other then.
    type: list
    elements: str
    default: []
  job:
    description: The job that the image is made for, empty for the default one. The image is counted by O(keep) and compared
      with earlier images of the same job only.
    type: str
    default: ""
  jobs:
    description: All jobs that are defined for the device. Images of other jobs are a warning. Without it nothing is said
      of them.
    type: list
    elements: str
"""

    IMAGE_COPY = r"""
options:
  limit_io_rate:
    description:
      - MB/s (10^6 bytes) sent to the storage at most; V(0) is no limit.
      - Fractions are allowed, such as V(2.5).
    type: float
    default: 0
  image:
    description: Which image, V(latest) or its name.
    type: str
    default: latest
  directory:
    description:
      - 'The directory on the operator host that the image is copied to, such as a USB disk or stick: an absolute path.'
      - It is made when the directory above it is there. Several devices and images may share it.
      - Either this or O(copy_storage) is required.
    type: str
  copy_storage:
    description:
      - A storage that the image is copied to instead of a directory.
      - It is written as O(storage) is, with credentials of its own.
    type: dict
    suboptions:
      url:
        description:
          - A directory, C(sftp://server:port/path) for an SFTP server, or the UNC path of a share on a Windows or Samba
            server.
          - A directory is an absolute path on the machine that does the work (C(file:///path) as well). On an SFTP server
            C(sftp://server/~/path) begins at the user's home directory. IPv6 addresses stand in brackets.
          - The directory must be there, on a server and a share too; it is not made. Those of devices below it are.
          - A path through a DFS name space is followed to the server where it leads, with the same credentials. Links
            of the name space inside the directory of images are not followed.
        type: str
        required: true
      port:
        description:
          - TCP port of a share's server, where it is not 445.
          - The port of an SFTP server is part of its URL.
        type: int
      username:
        description:
          - User on the server.
          - C(domain\\user), C(computer\\user) and C(user@domain) are accepted.
        type: str
      password:
        description: Password on the server.
        type: str
      private_key_file:
        description:
          - File with a private key for an SFTP server, on the machine that does the work.
          - Its format is that of OpenSSH, PEM or PKCS#8.
          - A certificate for it is taken from the file of the same name with C(-cert.pub) appended.
        type: path
      private_key:
        description:
          - Text of a private key for an SFTP server.
          - The certificate for it may follow as a line.
        type: str
      private_key_passphrase:
        description: Passphrase of the private key.
        type: str
      host_key:
        description:
          - The SFTP server's host key, as fingerprint, line or file of known hosts, or V(accept-new).
          - A fingerprint is what C(ssh-keygen -lf) shows (C(SHA256:...)); a line is one of a known_hosts or public key
            file. Lines and files are read as OpenSSH does, with markers, patterns and hashed names.
          - V(accept-new) takes the key that the server shows first, and warns with its fingerprint. It is recorded in
            O(storage.known_hosts_file), where one is given, and holds from then on; else it holds for this run.
          - Either way the result names it. Another key than the recorded one is refused, with both fingerprints.
          - A server whose key is not known is refused; the message names the key's fingerprint.
        type: str
      known_hosts_file:
        description:
          - File of known host keys, in the format of OpenSSH, on the machine that does the work.
          - With O(storage.host_key=accept-new) it may be missing, and a key that is seen first is added to it.
        type: path
      require_encryption:
        description: Refuse a share that can't encrypt what is sent.
        type: bool
        default: false
      time_limit_seconds:
        description:
          - How long one operation may be retried before the run gives up.
          - Two minutes at most before a server has answered once. A wait is told within ten seconds, and what repeating
            can't mend is not repeated.
        type: int
        default: 3600
  program:
    description:
      - The recovery program on the controller that goes with the copy, as M(plantops.imaging.recovery_program) builds
        it.
      - Without it the program for Linux on x86-64 with glibc is built once and kept in the cache of the user; that takes
        a package index.
    type: path
  job:
    description: The job whose newest image V(latest) is; empty for the newest image of the device, whichever job made
      it.
    type: str
    default: ""
"""

    IMAGE_INFO = r"""
options:
  image:
    description: Which images to list, V(all), V(latest) or the name of one.
    type: str
    default: all
  job:
    description: Only images of this job are listed; empty for those of all jobs.
    type: str
    default: ""
"""

    IMAGE_PIN = r"""
options:
  image:
    description: Which image, V(latest) or its name.
    type: str
    required: true
  state:
    description: Whether the image is pinned, or rolled over like any other again.
    type: str
    choices: [pinned, unpinned]
    default: pinned
"""

    IMAGE_RESTORE = r"""
options:
  image:
    description: Which image, V(latest) or its name.
    type: str
    default: latest
  map:
    description:
      - "Which imaged disk goes where, such as C({disk0: /dev/sdb})."
      - The keys are V(disk0), V(disk1) and so on, as M(plantops.imaging.image_info) lists them; the values are paths
        of disks, or of files that are created or grown.
    type: dict
    required: true
  overwrite:
    description: The explicit yes for a target that holds data.
    type: bool
    default: false
  replace_table:
    description:
      - The explicit yes for partitions of the target that go, because the image holds only some volumes and its partition
        table is another one than the target's. Each by its number or name, as the refusal prints them.
      - V(disk0p3) names one where several disks are restored.
    type: list
    elements: str
    default: []
  damaged:
    description:
      - The explicit yes to restore what is whole of a damaged image; what is lost becomes zeros, and the result's C(damaged)
        names the files.
      - RV(damaged) tells where that is and which files are hit. A target that was restored so is not whole.
      - An image whose manifest or root of the index is lost can't be restored even so. A lost segment of the index costs
        256 MiB.
    type: bool
    default: false
  many:
    description:
      - The explicit yes to restore on more than one host of a play.
      - Without it a play with several hosts is refused, whether they come at once, in batches or with C(run_once), since
        a forgotten C(--limit) would cost a plant its data.
      - Not needed with O(run), which starts nothing.
    type: bool
    default: false
  job:
    description: The job whose newest image V(latest) is; empty for the newest image of the device, whichever job made
      it.
    type: str
    default: ""
"""

    IMAGE_ROLLOVER = r"""
options:
  keep:
    description:
      - How many images of each job remain, at least 1.
      - Pinned and archived ones do not count and stay.
      - The last image of a disk or volume that the newest image does not hold stays as well, until O(forget_disks) lists
        it.
    type: int
    default: 7
  forget_jobs:
    description:
      - Jobs that are not defined any more and whose images are deleted, whatever O(keep) says; an empty name is the default
        job.
      - Pinned images stay, and so does the only image that is left.
    type: list
    elements: str
    default: []
  forget_disks:
    description:
      - Ids of disks or volumes, as warnings name them, that are gone for good; their last image is not kept any longer.
      - It counts like any other then.
    type: list
    elements: str
    default: []
  remove_damaged:
    description:
      - Names of images that can't be read any more and are deleted; an image that can be read is refused.
      - What such an image needs stays till then, so the storage grows.
    type: list
    elements: str
    default: []
  job:
    description: The job whose images are deleted, empty for the default one.
    type: str
    default: ""
  jobs:
    description: All jobs that are defined for the device. Images of other jobs are a warning. Without it nothing is said
      of them.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the job.
        type: str
        required: true
      keep:
        description: How many images of this job remain; without it they all stay.
        type: int
"""

    IMAGE_VERIFY = r"""
options:
  image:
    description: Which image, V(latest) or its name.
    type: str
    default: latest
  level:
    description:
      - How deep to verify, V(quick), V(storage) or V(full).
      - V(quick) compares names and sizes.
      - V(storage) hashes everything that is stored; it needs no password.
      - V(full) does that and runs the restore without writing.
    type: str
    choices: [quick, storage, full]
    default: full
  job:
    description: The job whose newest image V(latest) is; empty for the newest image of the device, whichever job made
      it.
    type: str
    default: ""
"""
