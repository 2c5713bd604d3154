# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules: settings of the role, some by another name, and a few that only a module has."""

from __future__ import annotations

from typing import Any, Dict, Tuple

from .archiving import ARCHIVE, COMING
from .place import KEYS, STORAGE
from .setting import Setting
from .table import settings_of
from .work import LINK, RUN

Options = Tuple[Setting, ...]


def _options(settings: Options) -> Options:
    return tuple(setting.as_option() for setting in settings if not setting.role_only)


def _of(verb: str, *own: Setting) -> Options:
    """Return the options of the module for ``verb``; the module's ``own`` come on top and in place of those of that name."""
    names = {option.name for option in own}
    return (*(option for option in _options(settings_of(verb)) if option.name not in names), *own)


def _job(*words: str) -> Setting:
    return Setting("job", "str", words, default="")


_DEFINED = (
    (
        "All jobs that are defined for the device. Images of other jobs cause a warning. Without this option they are "
        "not checked."
    ),
)
_JOB_OF_LATEST = _job(
    "The job whose newest image V(latest) selects. Empty selects the newest image of the device, regardless of the job."
)
_COLLECT = Setting(
    "collect",
    "bool",
    (
        "Return in RV(ended_runs) the runs that ended on the device and whose play did not see their end, so that "
        "M(plantops.imaging.run_result) leaves their documents, too.",
    ),
    default=False,
)
_IN_INVENTORY = Setting(
    "in_inventory",
    "bool",
    (
        "Whether the device is still in the inventory. A warning then says that its next run starts a new directory, unless "
        "O(image) names one image.",
    ),
    default=False,
)
# The options that several modules document as one; the order is that of their documentation.
SHARED: Dict[str, Options] = {
    "storage": tuple(option for option in _options(STORAGE) if option.name != "device_name"),
    "device_directory": tuple(option for option in _options(STORAGE) if option.name == "device_name"),
    "password": _options(KEYS[:1]),
    "link": _options(LINK),
    "run": _options(RUN),
}
MODULES: Dict[str, Options] = {
    "agent": _of("agent"),
    "device_info": _of("device_info"),
    "image": _of(
        "image",
        _job(
            "The job that the image belongs to, empty for the default job. O(keep) and the comparison apply to "
            "images of the same job only."
        ),
        Setting("jobs", "list", _DEFINED, elements="str"),
        _COLLECT,
        Setting(
            "after_command",
            "str",
            (
                "The RV(plantops.imaging.after_command#module:id) of a command that the device runs when the run ends.",
                "The run then uses the agent, also on a local device.",
            ),
        ),
    ),
    "device_compare": (
        *SHARED["storage"],
        *SHARED["device_directory"],
        *SHARED["password"],
        Setting(
            "image",
            "str",
            ("The later image: V(latest) or the name of an image. With O(document) it is the earlier one.",),
            default="latest",
        ),
        Setting(
            "against",
            "str",
            (
                "The earlier image: V(previous) for the previous image of the same job, V(baseline) for the newest pinned "
                "image, or the name of an image.",
            ),
            default="previous",
        ),
        Setting(
            "document",
            "dict",
            (
                "A device document, such as RV(plantops.imaging.device_info#module:document). O(image) is compared with it.",
            ),
        ),
        Setting(
            "compare_ignore",
            "list",
            ("Differences that are not reported, as globs of C(section/key), such as C(software/linux-image-*).",),
            elements="str",
        ),
        _JOB_OF_LATEST,
    ),
    "device_history": (
        *SHARED["storage"],
        *SHARED["device_directory"],
        *SHARED["password"],
        Setting("image", "str", ("The image: V(latest) or the name of an image.",), default="latest"),
        Setting(
            "repository",
            "str",
            (
                "Absolute path of a Git repository, bare or with a working tree, on the host that runs the task.",
                "Documents in it are not encrypted, even if the image is.",
            ),
            required=True,
        ),
        _JOB_OF_LATEST,
    ),
    "device_rename": tuple(option for option in _of("rename") if option.name != "job"),
    "image_archive": _of("archive", *(setting.as_option() for setting in ARCHIVE), _JOB_OF_LATEST, COMING),
    "image_copy": _of("copy", _JOB_OF_LATEST),
    "image_info": _of(
        "show",
        Setting(
            "device_name",
            "str",
            ("Name of the device directory in the storage. Required unless O(devices) is V(all).",),
        ),
        _job("List only images of this job; empty lists the images of all jobs."),
    ),
    "image_pin": (
        *SHARED["storage"],
        *SHARED["device_directory"],
        Setting(
            "image", "str", ("The image: V(latest), the name of an image or a version such as V(v3).",), required=True
        ),
        Setting(
            "state",
            "str",
            ("Whether the image is pinned. The rollover never deletes a pinned image.",),
            choices=("pinned", "unpinned"),
            default="pinned",
        ),
    ),
    "image_restore": _of("restore", _JOB_OF_LATEST, _COLLECT),
    "image_retire": (*(option for option in _of("retire") if option.name != "job"), _IN_INVENTORY),
    "image_rollover": _of(
        "rollover",
        _job("The job whose oldest images are deleted, empty for the default job."),
        Setting(
            "jobs",
            "list",
            _DEFINED,
            elements="dict",
            options=(
                Setting("name", "str", ("Name of the job.",), required=True),
                Setting(
                    "keep", "int", ("How many images of this job to keep. Without this option all of them are kept.",)
                ),
            ),
        ),
    ),
    "image_verify": _of("verify", _JOB_OF_LATEST),
    "storage_check": tuple(option for option in _of("storage_check") if option.name != "job"),
}


def spec_of(options: Options) -> Dict[str, Any]:
    """Return ``options`` as Ansible's argument specs write them."""
    return {option.name: _spec(option) for option in options}


def _spec(option: Setting) -> Dict[str, Any]:
    spec: Dict[str, Any] = {"type": option.type}
    if option.required:
        spec["required"] = True
    if option.elements:
        spec["elements"] = option.elements
    if option.choices:
        spec["choices"] = list(option.choices)
    if option.default is not None:
        spec["default"] = option.default
    if option.secret:
        spec["no_log"] = True
    if option.options:
        spec["options"] = spec_of(option.options)
    return spec
