# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the pages, in English and German; the placeholders of both are the same."""

from __future__ import annotations

from typing import Dict, Tuple

ENGLISH, GERMAN = 0, 1
_WORDS: Dict[str, Tuple[str, str]] = {
    "title": ("Recovery of {device}", "Wiederherstellung von {device}"),
    "intro": (
        (
            'This medium contains the image {image} of the machine "{device}" and everything that is needed to restore '
            "it to a disk. No installation and no network are needed."
        ),
        'Hier liegt das Abbild {image} der Maschine "{device}" mit allem, was nötig ist, um es auf eine Platte zurückzuspielen. '
        "Nichts muss installiert werden, und es braucht kein Netz.",
    ),
    "need": ("You need", "Was Sie brauchen"),
    "need_medium": (
        "The medium with this page: it contains plantops-recovery.pyz and the folder {device}.",
        "Den Datenträger mit dieser Seite: Darauf liegen plantops-recovery.pyz und der Ordner {device}.",
    ),
    "need_linux": (
        (
            "Linux on a 64-bit PC (x86-64) with Python 3.8 or newer, as in Debian 11, 12, 13 and Ubuntu 20.04 or "
            "newer. Do not start it from the disk that is restored: use a rescue stick or a live stick (any PC writes one: "
            "www.debian.org/CD/live), or put the disk into another Linux machine."
        ),
        "Linux, von etwas anderem gestartet als der Platte, die zurückgespielt wird (Rettungsstick oder Live-Stick, "
        "den jeder PC schreibt: www.debian.org/CD/live; oder die Platte in einem anderen Linux-Rechner), auf einem "
        "64-Bit-PC (x86-64), mit Python 3.8 oder neuer. Debian 11, 12, 13 und Ubuntu ab 20.04 haben es.",
    ),
    "need_disk": (
        (
            "For {name}: a disk of at least {size_bytes} bytes ({size}) with sectors of {sector_bytes} bytes. All data "
            "on it will be lost."
        ),
        "Für {name}: eine Platte mit mindestens {size_bytes} Byte ({size}) und Sektoren von {sector_bytes} Byte. "
        "Was jetzt darauf ist, geht verloren.",
    ),
    "need_password": (
        "The image password: the image is encrypted and can't be restored without it.",
        "Das Kennwort der Abbilder: Das Abbild ist verschlüsselt. Ohne Kennwort kann es niemand zurückspielen.",
    ),
    "need_no_password": (
        "No password: the image is not encrypted.",
        "Kein Kennwort: Das Abbild ist nicht verschlüsselt.",
    ),
    "machine": ("The machine", "Die Maschine"),
    "device": ("Device", "Gerät"),
    "hardware": ("Hardware", "Hardware"),
    "serial": ("Serial number", "Seriennummer"),
    "system": ("System", "System"),
    "image": ("Image", "Abbild"),
    "job": ("Job", "Auftrag"),
    "other_images": ("More images here", "Weitere Abbilder hier"),
    "firmware": ("Firmware mode", "Firmware-Modus"),
    "firmware_uefi": ("UEFI", "UEFI"),
    "firmware_bios": ("BIOS (legacy, CSM)", "BIOS (Legacy, CSM)"),
    "firmware_both": ("UEFI or BIOS: the disk starts with both", "UEFI oder BIOS: Die Platte startet mit beiden"),
    "firmware_": ("unknown; try UEFI first, then BIOS", "nicht bekannt; erst UEFI versuchen, dann BIOS"),
    "not_opened": (
        "This page was created without the image password; the image contains more details of the machine.",
        "Ohne das Kennwort erstellt: Mehr über die Maschine steht im Abbild.",
    ),
    "disks": ("Disks", "Platten"),
    "disk_line": (
        "{name}: {size} ({size_bytes} bytes), {in_use} in use, {scheme}, {sector_bytes}-byte sectors. Was: {id}. "
        "Smallest target: {size_bytes} bytes.",
        "{name}: {size} ({size_bytes} Byte), {in_use} belegt, {scheme}, Sektoren von {sector_bytes} Byte. War: {id}. "
        "Kleinstes Ziel: {size_bytes} Byte.",
    ),
    "more_disks": (
        (
            "The image holds {count} more disks. List them with {command}, and add --to for each of them to the "
            "commands below."
        ),
        (
            "Das Abbild enthält {count} weitere Platten. {command} zeigt sie; für jede gehört ein weiteres --to in die "
            "Befehle unten."
        ),
    ),
    "unknown_table": ("unknown table", "Tabelle nicht bekannt"),
    "no_table": ("no partition table", "keine Partitionstabelle"),
    "free": ("free", "frei"),
    "not_held": ("not in the image", "nicht im Abbild"),
    "role_efi": ("EFI", "EFI"),
    "role_microsoft-reserved": ("reserved", "reserviert"),
    "role_recovery": ("recovery", "Wiederherstellung"),
    "role_bios-boot": ("BIOS boot", "BIOS-Start"),
    "role_active": ("active", "aktiv"),
    "type": ("Commands to type", "Was Sie tippen"),
    "step_start": (
        (
            "Start Linux, open a terminal, become root, and change to the folder that contains plantops-recovery.pyz. lsblk "
            "shows where the medium is mounted; if it is not mounted, type mount /dev/ITS-NAME /mnt (the name of its partition, "
            "such as sdb1) and cd /mnt:"
        ),
        "Linux starten, ein Terminal öffnen, root werden und in den Ordner wechseln, in dem plantops-recovery.pyz liegt. lsblk zeigt, wo der "
        "Datenträger eingehängt ist; ist er es nicht, mount /dev/SEIN-NAME /mnt (der Name seiner Partition, etwa sdb1) und cd /mnt tippen:",
    ),
    "path": ("PATH-OF-THE-MEDIUM", "PFAD-DES-DATENTRÄGERS"),
    "step_verify": (
        (
            "Verify the image (the program asks for the password of an encrypted image). The last line must say that it "
            "is intact:"
        ),
        "Das Abbild prüfen (fragt nach dem Kennwort, falls es eines gibt). Die letzte Zeile muss sagen, dass es unversehrt ist (intact):",
    ),
    "step_find": (
        (
            "Find the target disk by its size and serial number (not the medium, and not the stick that Linux runs from), "
            "and write its name, such as /dev/sda or /dev/nvme0n1, instead of {targets} in the commands below:"
        ),
        "Die Platte, auf die zurückgespielt wird, an Größe und Seriennummer erkennen (nicht dieser Datenträger, nicht der Stick, von dem "
        "Linux läuft); im Folgenden ihren Namen, etwa /dev/sda oder /dev/nvme0n1, für {targets} schreiben:",
    ),
    "step_plan": (
        "Show the plan, without writing:",
        "Ansehen, was geschehen würde; noch wird nichts geschrieben:",
    ),
    "step_restore": (
        (
            "Restore. The program shows the plan and asks for confirmation; answer yes. To overwrite a disk that "
            "contains data, add --overwrite:"
        ),
        "Zurückspielen. Es zeigt den Plan und fragt; mit yes antworten. Enthält die Platte Daten, die gelöscht werden dürfen, --overwrite anhängen:",
    ),
    "step_boot": (
        (
            "When the program prints Done: shut down (poweroff), remove the medium and the stick that Linux "
            "ran from, put the disk into the machine, set "
            "the boot mode of its firmware ({firmware}), and start it from this disk."
        ),
        "Wenn Done dasteht: herunterfahren (poweroff), Datenträger und Linux-Stick abziehen, Platte in die Maschine einbauen, den Startmodus "
        "der Firmware einstellen ({firmware}) und die Maschine von dieser Platte starten.",
    ),
    "trouble": ("If something goes wrong", "Wenn etwas nicht geht"),
    "trouble_again": (
        (
            "Interruption or power loss: run the same restore command again; it continues where it stopped. The disk "
            "does not start until the program has printed Done."
        ),
        "Unterbrochen oder Strom weg: denselben restore-Befehl noch einmal tippen; er macht weiter, wo er aufgehört hat. "
        "Bis Done dasteht, startet die Platte nicht.",
    ),
    "trouble_damaged": (
        (
            "Damaged image: use another image ({command}), or restore the intact data with --damaged; the program "
            "lists the lost files."
        ),
        "Beschädigt: ein anderes Abbild nehmen ({command}), oder mit --damaged zurückspielen, was heil ist; es nennt die verlorenen Dateien.",
    ),
    "trouble_size": (
        (
            "Disk of another size: a larger one needs nothing more, and --grow last lets the last partition use the additional "
            "space; for a smaller one add --shrink. Add either to the plan first; it says what fits."
        ),
        "Platte anderer Größe: eine größere braucht nichts weiter, mit --grow last nutzt die letzte Partition den Platz dahinter; für eine "
        "kleinere --shrink anhängen. Erst an plan anhängen: Der Plan sagt, ob es passt.",
    ),
    "trouble_sums": (
        "To check the stored bytes without Python:",
        "Ohne Python lassen sich die gespeicherten Bytes prüfen:",
    ),
    "trouble_keyboard": (
        "Password refused: check the keyboard layout (loadkeys us, loadkeys de).",
        "Kennwort abgelehnt: Tastaturbelegung prüfen (loadkeys us, loadkeys de).",
    ),
    "trouble_help": ("All commands:", "Alle Befehle:"),
}


def say(language: int, sentence: str, /, **fields: object) -> str:
    """A sentence of the pages with its fields filled in."""
    return _WORDS[sentence][language].format(**fields)


def names() -> Dict[str, Tuple[str, str]]:
    """All of them, for the test that holds both languages together."""
    return dict(_WORDS)
