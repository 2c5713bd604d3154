# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job from end to end: a disk is built, imaged twice, verified, restored and compared.

Everything lives in the directory demo/ of the checkout. No root is needed: the disk is a file.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo"
DISK = DEMO / "disk.raw"
RESTORED = DEMO / "restored.raw"
RECOVERED = DEMO / "recovered.raw"
MIB = 1 << 20
# Name, sfdisk type, start and length in MiB.
PARTITIONS = (("efi", "U", 1, 64), ("root", "L", 65, 300), ("data", "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", 365, 200))
DISK_MIB = 600


def main() -> int:
    missing = [
        tool for tool in ("sfdisk", "mkfs.fat", "mcopy", "mke2fs", "debugfs", "mkntfs", "ntfscp") if not which(tool)
    ]
    if missing:
        print(
            "demo: these programs are missing: %s. Run make setup as root, or install bindep.txt." % ", ".join(missing)
        )
        return 1
    if DEMO.exists():
        shutil.rmtree(DEMO)
    (DEMO / "storage").mkdir(parents=True)
    say("Building a disk: GPT with an EFI partition (FAT32), a root file system (ext4) and data (NTFS)")
    files = make_files(DEMO / "files")
    build_disk(files)

    first = image("First image, encrypted, into demo/storage")
    change_disk(files)
    second = image("A few files changed; second image: only what changed is sent")
    playbook("Verify the newest image: the restore code into nowhere", "verify")
    playbook("Restore it onto an empty disk (a second file)", "restore")
    say("Comparing the restored disk with the imaged one")
    compare(RESTORED)
    build_program()
    playbook("Copy it with all that a recovery needs to demo/stick", "copy")
    recover()
    say(
        "Done. First image: %.1f MiB added to the storage; second: %.1f MiB." % (first / MIB, second / MIB),
        "",
        "Where to look next:",
        "  demo/storage/hall1_demo-pc          the images; in one of them: sha256sum -c SHA256SUMS",
        "  demo/stick/hall1_demo-pc            the copy with RECOVERY.html, to print and hang at the machine",
        "  inventories/demo                    the inventory that was used; change it and run",
        "                                      .venv/bin/ansible-playbook -i inventories/demo plantops.imaging.image",
        "  README.md, docs/                    the guide, the format, what is safe and why",
    )
    return 0


def make_files(folder: Path) -> Path:
    """Make files of many kinds: text that compresses, bytes that do not, empty, large, with names of every sort."""
    folder.mkdir()
    chance = random.Random(7)
    text = b"".join(path.read_bytes() for path in sorted(ROOT.glob("plugins/**/*.py")))
    for number in range(60):
        start = chance.randrange(len(text) // 2)
        (folder / ("recipe-%02d.txt" % number)).write_bytes(text[start : start + chance.randrange(200_000)])
    (folder / "Förderband Übersicht.csv").write_bytes(text[:50_000])
    (folder / "empty.flag").write_bytes(b"")
    (folder / "history.bin").write_bytes(chance.randbytes(24 * MIB))
    return folder


def build_disk(files: Path) -> None:
    script = "label: gpt\n" + "".join(
        "start=%dMiB, size=%dMiB, type=%s, name=%s\n" % (start, size, kind, name)
        for name, kind, start, size in PARTITIONS
    )
    with open(DISK, "wb") as disk:
        disk.truncate(DISK_MIB * MIB)
    run(["sfdisk", "--quiet", str(DISK)], data=script)
    for name, dummy_kind, start, size in PARTITIONS:
        volume = DEMO / ("%s.volume" % name)
        with open(volume, "wb") as file:
            file.truncate(size * MIB)
        if name == "efi":
            run(["mkfs.fat", "-F", "32", "-n", "EFI", str(volume)])
            run(["mcopy", "-i", str(volume), "-s", str(files), "::/"])
        elif name == "root":
            run(["mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", str(files), str(volume)])
        else:
            run(
                ["mkntfs", "-F", "-Q", "-q", "-p", "0", "-H", "255", "-S", "63", "-s", "512", "-L", "data", str(volume)]
            )
            for path in sorted(files.iterdir()):
                run(["ntfscp", "-q", str(volume), str(path), path.name])
        put_volume(volume, start)
        volume.unlink()


def put_volume(volume: Path, start_mib: int) -> None:
    run(["dd", "if=%s" % volume, "of=%s" % DISK, "bs=1M", "seek=%d" % start_mib, "conv=notrunc,sparse", "status=none"])


def take_volume(disk: Path, name: str) -> Path:
    start, size = next((start, size) for other, dummy, start, size in PARTITIONS if other == name)
    volume = DEMO / ("%s-%s.volume" % (disk.stem, name))
    run(
        [
            "dd",
            "if=%s" % disk,
            "of=%s" % volume,
            "bs=1M",
            "skip=%d" % start,
            "count=%d" % size,
            "conv=sparse",
            "status=none",
        ]
    )
    return volume


def change_disk(files: Path) -> None:
    """What a shift does: a log grows, a recipe changes."""
    log = files / "shift.log"
    log.write_text("".join("%06d part ok\n" % number for number in range(20_000)), encoding="ascii")
    volume = take_volume(DISK, "root")
    run(["debugfs", "-w", "-R", "write %s shift.log" % log, str(volume)])
    put_volume(volume, 65)
    volume.unlink()
    volume = take_volume(DISK, "data")
    run(["ntfscp", "-q", str(volume), str(log), "shift.log"])
    put_volume(volume, 365)
    volume.unlink()


def image(words: str) -> int:
    """Run the playbook and return how many bytes it added to the packs."""
    before = stored_bytes()
    playbook(words, "image")
    return stored_bytes() - before


def stored_bytes() -> int:
    return sum(path.stat().st_size for path in DEMO.glob("storage/*/packs/*/*"))


def playbook(words: str, name: str) -> None:
    say(words)
    started = time.monotonic()
    command = [tool("ansible-playbook"), "-i", str(ROOT / "inventories" / "demo"), "plantops.imaging.%s" % name]
    status = subprocess.call(command, cwd=str(ROOT))
    if status:
        sys.exit("demo: the playbook %s failed (exit status %d)" % (name, status))
    print("   (%.1f s)" % (time.monotonic() - started))


def build_program() -> None:
    """The recovery program for this very Python; without a list of platforms it runs on every usual one."""
    say("Building the recovery program, one file that needs nothing installed")
    started = time.monotonic()
    sys.path.insert(0, str(ROOT / "plugins" / "module_utils"))
    from engine.install.probe import platform_name
    from engine.install.recovery_program import build_program as build

    built = build(str(DEMO / "program"), platforms=[platform_name()], cache_folder=str(ROOT / "build" / "wheels"))
    print("   %s, %.1f MB (%.1f s)" % (built.path, (built.size_bytes or 0) / 1e6, time.monotonic() - started))


def recover() -> None:
    """The night it is needed: the plant's storage is gone, nothing is installed, only the stick is there."""
    say("The storage is moved away; the copy alone brings the disk back (empty environment, python3 -I -S)")
    (DEMO / "storage").rename(DEMO / "moved-away")
    run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], folder=DEMO / "stick")
    secret = DEMO / "password"
    settings = (ROOT / "inventories" / "demo" / "group_vars" / "all.yml").read_text(encoding="utf-8")
    password = next(
        line.split(":", 1)[1].strip() for line in settings.splitlines() if line.startswith("imaging_password:")
    )
    secret.write_text(password + "\n", encoding="utf-8")
    command = ["env", "-i", os.path.realpath(sys.executable), "-I", "-S", str(DEMO / "stick" / "plantops-recovery.pyz")]
    command += [
        "restore",
        str(DEMO / "stick"),
        "hall1_demo-pc",
        "--to",
        "disk0=%s" % RECOVERED,
        "--yes",
        "--password-fd",
        "0",
    ]
    started = time.monotonic()
    with open(secret, "rb") as descriptor:
        status = subprocess.call(command, stdin=descriptor)
    secret.unlink()
    if status:
        sys.exit("demo: the recovery program failed (exit status %d)" % status)
    print("   (%.1f s)" % (time.monotonic() - started))
    compare(RECOVERED)
    (DEMO / "moved-away").rename(DEMO / "storage")


def compare(disk: Path) -> None:
    problems = []
    for name, dummy_kind, dummy_start, dummy_size in PARTITIONS:
        original, restored = take_volume(DISK, name), take_volume(disk, name)
        check = {
            "efi": ["fsck.fat", "-n", str(restored)],
            "root": ["e2fsck", "-f", "-n", str(restored)],
            "data": ["ntfsfix", "-n", str(restored)],
        }[name]
        if subprocess.call(check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            problems.append("%s: %s finds errors" % (name, check[0]))
        before, after = contents(name, original), contents(name, restored)
        different = sorted(key for key in set(before) | set(after) if before.get(key) != after.get(key))
        problems += ["%s: %s differs" % (name, key) for key in different]
        print("   %-5s %d files identical, %s finds no error" % (name, len(before) - len(different), check[0]))
        original.unlink()
        restored.unlink()
    if problems:
        sys.exit("demo: " + "; ".join(problems))


def contents(name: str, volume: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a volume, read by the tools of its file system."""
    if name == "data":
        listing = run(["ntfsls", str(volume)]).splitlines()
        return {
            entry: hashlib.sha256(subprocess.check_output(["ntfscat", str(volume), entry])).hexdigest()
            for entry in listing
            if entry and not entry.startswith((".", "$"))
        }
    folder = volume.with_suffix(".files")
    folder.mkdir()
    if name == "efi":
        run(["mcopy", "-i", str(volume), "-s", "-n", "::/", str(folder)])
    else:
        run(["debugfs", "-R", "rdump / %s" % folder, str(volume)])
    found = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    shutil.rmtree(folder)
    return found


def which(name: str) -> bool:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def run(command: list[str], data: str = "", folder: Path = ROOT) -> str:
    environment = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin", LC_ALL="C.UTF-8")
    done = subprocess.run(
        command,
        input=data,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        check=False,
        cwd=str(folder),
    )
    if done.returncode:
        sys.exit("demo: %s failed:\n%s" % (" ".join(command), done.stdout))
    return done.stdout


def say(*lines: str) -> None:
    print("\n" + "\n".join("==> " + line if number == 0 else line for number, line in enumerate(lines)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
