"""What the runner needs from ELF files (System V ABI): sections and segments, without binutils."""

import struct

SHF_ALLOC, SHF_EXECINSTR = 2, 4
SHT_NOBITS = 8
PT_LOAD = 1


class Elf:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        if self.data[:4] != b"\x7fELF" or self.data[5] != 1:
            raise ValueError("%s is not a little-endian ELF file" % path)
        self.wide = self.data[4] == 2

    def _table(self, offset_at, size_at, count_at, fields):
        offset, = struct.unpack_from("<Q" if self.wide else "<I", self.data, offset_at)
        size, = struct.unpack_from("<H", self.data, size_at)
        count, = struct.unpack_from("<H", self.data, count_at)
        return [struct.unpack_from(fields, self.data, offset + i * size) for i in range(count)]

    def entry(self):
        """Where the file says that execution starts."""
        return struct.unpack_from("<Q" if self.wide else "<I", self.data, 24)[0]

    def sections(self):
        """(flags, type, size) of each section."""
        if self.wide:
            return [(row[2], row[1], row[5]) for row in self._table(40, 58, 60, "<IIQQQQ")]
        return [(row[2], row[1], row[5]) for row in self._table(32, 46, 48, "<IIIIII")]

    def _headers(self):
        """(type, file offset, virtual address, physical address, filesz, memsz) of each program header."""
        if self.wide:
            return [(row[0],) + row[2:] for row in self._table(32, 54, 56, "<IIQQQQQ")]
        return self._table(28, 42, 44, "<IIIIII")

    def segments(self):
        """(type, memsz) of each program header."""
        return [(row[0], row[5]) for row in self._headers()]

    def loaded(self):
        """Everything that a boot loader takes from the file: addresses, sizes and bytes of each segment, without debug information."""
        return [(row[2:], self.data[row[1]:row[1] + row[4]]) for row in self._headers() if row[0] == PT_LOAD]

    def text_size(self):
        """Bytes of executable code."""
        return sum(size for flags, kind, size in self.sections() if flags & SHF_EXECINSTR and flags & SHF_ALLOC and kind != SHT_NOBITS)

    def resident_size(self):
        """Bytes of memory that the image occupies once loaded, zeroed memory included."""
        return sum(memsz for kind, memsz in self.segments() if kind == PT_LOAD)
