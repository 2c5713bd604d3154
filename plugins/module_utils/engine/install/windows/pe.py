# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads executables and libraries of Windows: for which machine, what they import and export, how they are hashed and signed.

Source of the format: "PE Format" of the Windows documentation; of the hash: "Windows Authenticode Portable Executable
Signature Format", section "Calculating the PE Image Hash".
"""

from __future__ import annotations

import hashlib
import struct
from typing import List, NamedTuple, Tuple

AMD64, X86, ARM64 = 0x8664, 0x14C, 0xAA64
_PE32, _PE32_PLUS = 0x10B, 0x20B
_EXPORTS, _IMPORTS, _CERTIFICATES, _DELAYED = 0, 1, 4, 13
_MOST_SECTIONS = 96  # the loader of Windows takes no more
_MOST_LIBRARIES = 1000
_MOST_FUNCTIONS = 50000
_MOST_NAME_BYTES = 4096
_ALIGNMENT_BYTES = 8  # of the certificate table; a file is padded to it before it is signed


class Import(NamedTuple):
    """A function that Windows has to find when it loads the file. ``#12`` stands for a function without a name."""

    library: str
    function: str


class PeInvalid(ValueError):
    """The file is not an executable of Windows, or is damaged."""


class _Section(NamedTuple):
    address: int
    virtual_bytes: int
    place: int
    raw_bytes: int


class PeFile:
    """An executable in memory. Places and lengths in it are hostile."""

    def __init__(self, content: bytes) -> None:
        """:raises PeInvalid:"""
        self.content = content
        if content[:2] != b"MZ":
            raise PeInvalid("it does not begin with MZ")
        (header,) = self._unpack("<I", 60)
        if content[header : header + 4] != b"PE\0\0":
            raise PeInvalid("it has no PE header")
        self.machine, sections, optional_bytes = self._unpack("<HH12xH", header + 4)
        optional = header + 24
        (magic,) = self._unpack("<H", optional)
        if magic not in (_PE32, _PE32_PLUS):
            raise PeInvalid("its optional header has the unknown kind %#x" % magic)
        self._wide = magic == _PE32_PLUS
        self._base = self._unpack("<Q", optional + 24)[0] if self._wide else self._unpack("<I", optional + 28)[0]
        self._checksum_at = optional + 64
        directories = optional + (112 if self._wide else 96)
        (count,) = self._unpack("<I", directories - 4)
        self._certificates_at = directories + 8 * _CERTIFICATES
        known = min(count, 16)
        self._directories = [self._unpack("<II", directories + 8 * number) for number in range(known)]
        if known <= _CERTIFICATES or directories + 8 * known > optional + optional_bytes:
            raise PeInvalid("its optional header is cut off")
        if sections > _MOST_SECTIONS:
            raise PeInvalid("it has %d sections" % sections)
        table = optional + optional_bytes
        self._sections = []
        for number in range(sections):
            virtual_bytes, address, raw_bytes, place = self._unpack("<IIII", table + 40 * number + 8)
            self._sections.append(_Section(address, virtual_bytes, place, raw_bytes))

    def _unpack(self, form: str, place: int) -> Tuple[int, ...]:
        try:
            return struct.unpack_from(form, self.content, place)
        except struct.error:
            raise PeInvalid("it ends before its offset %d" % place) from None

    def _directory(self, number: int) -> Tuple[int, ...]:
        return self._directories[number] if number < len(self._directories) else (0, 0)

    def _place(self, address: int) -> int:
        """Return the offset in the file of what is loaded at ``address``."""
        for section in self._sections:
            if section.address <= address < section.address + max(section.raw_bytes, section.virtual_bytes):
                if address - section.address >= section.raw_bytes:
                    break
                return section.place + address - section.address
        raise PeInvalid("nothing in it is loaded at the address %#x" % address)

    def _text(self, address: int) -> str:
        start = self._place(address)
        end = self.content.find(b"\0", start, start + _MOST_NAME_BYTES)
        if end < 0:
            raise PeInvalid("a name at its offset %d has no end" % start)
        return self.content[start:end].decode("ascii", "backslashreplace")

    # -- imports and exports ------------------------------------------------------------------------------------------

    def imports(self) -> List[Import]:
        """Return what it imports, also what Windows looks for at the first call only (delayed imports).

        :raises PeInvalid:
        """
        found: List[Import] = []
        address, size = self._directory(_IMPORTS)
        if size:
            for lookup, dummy_stamp, dummy_chain, name, bound in self._table("<IIIII", 20, address):
                found += self._functions(self._text(name), lookup or bound, 0)
        address, size = self._directory(_DELAYED)
        if size:
            for attributes, name, dummy_handle, dummy_bound, lookup, *dummy_rest in self._table("<8I", 32, address):
                base = 0 if attributes & 1 else self._base  # old linkers wrote addresses, not places in the image
                found += self._functions(self._text(name - base), lookup - base, base)
        return found

    def _table(self, form: str, entry_bytes: int, address: int) -> List[Tuple[int, ...]]:
        """The entries before the one that is empty."""
        place = self._place(address)
        entries: List[Tuple[int, ...]] = []
        while len(entries) < _MOST_LIBRARIES:
            entry = self._unpack(form, place + entry_bytes * len(entries))
            if not any(entry):
                return entries
            entries.append(entry)
        raise PeInvalid("it imports from more than %d libraries" % _MOST_LIBRARIES)

    def _functions(self, library: str, address: int, base: int) -> List[Import]:
        form, entry_bytes, by_number = ("<Q", 8, 1 << 63) if self._wide else ("<I", 4, 1 << 31)
        place = self._place(address)
        found: List[Import] = []
        while len(found) < _MOST_FUNCTIONS:
            (entry,) = self._unpack(form, place + entry_bytes * len(found))
            if not entry:
                return found
            named = "#%d" % (entry & 0xFFFF) if entry & by_number else self._text(entry - base + 2)
            found.append(Import(library.lower(), named))
        raise PeInvalid("it imports more than %d functions of %s" % (_MOST_FUNCTIONS, library))

    def exports(self) -> List[str]:
        """Return the names of the functions that it offers. :raises PeInvalid:"""
        address, size = self._directory(_EXPORTS)
        if not size:
            return []
        (count,) = self._unpack("<I", self._place(address) + 24)
        (names,) = self._unpack("<I", self._place(address) + 32)
        if count > _MOST_FUNCTIONS:
            raise PeInvalid("it exports %d functions" % count)
        if not count:
            return []
        return [self._text(one) for one in self._unpack("<%dI" % count, self._place(names))]

    # -- signatures ---------------------------------------------------------------------------------------------------

    def digest(self, algorithm: str = "sha256") -> bytes:
        """Return the Authenticode hash: of all but the checksum and the signature, so signing the file does not change it.

        :raises PeInvalid: when something follows the signature, which the hash would not cover.
        """
        place, size = self._directory(_CERTIFICATES)
        end = len(self.content)
        if size:
            if place + size != end or place % _ALIGNMENT_BYTES or place < self._certificates_at + 8:
                raise PeInvalid("its certificate table is not at its end")
            end = place
        digest = hashlib.new(algorithm)
        digest.update(self.content[: self._checksum_at])
        digest.update(self.content[self._checksum_at + 4 : self._certificates_at])
        digest.update(memoryview(self.content)[self._certificates_at + 8 : end])
        digest.update(bytes(-end % _ALIGNMENT_BYTES))
        return digest.digest()

    def signatures(self) -> List[bytes]:
        """Return the PKCS #7 documents of its certificate table. :raises PeInvalid:"""
        place, size = self._directory(_CERTIFICATES)
        found: List[bytes] = []
        end = place + size
        while size and place < end:
            length, revision, kind = self._unpack("<IHH", place)
            if length < 8 or place + length > end:
                raise PeInvalid("an entry of its certificate table is longer than the table")
            if (revision, kind) == (0x200, 2):  # WIN_CERT_REVISION_2_0, WIN_CERT_TYPE_PKCS_SIGNED_DATA
                found.append(self.content[place + 8 : place + length])
            place += -(-length // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
        return found


def authenticode(content: bytes) -> str:
    """The Authenticode hash in hexadecimal digits, empty for any other file."""
    try:
        return PeFile(content).digest().hex()
    except PeInvalid:
        return ""
