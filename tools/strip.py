"""Takes the symbol table out of a shared library, as `strip` does; on any machine, for any architecture of 64 bits.

Only debuggers read it: the loader has the dynamic symbols, which stay where they are.
"""

from __future__ import annotations

import struct

# The ELF header's fields from e_shoff to e_shstrndx, and one section header (elf(5)).
HEADER = struct.Struct("<QIHHHHHH")
HEADER_AT = 40
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMTAB = 2


def stripped(library: bytes) -> bytes:
    """The library without its symbol table and the names in it. They have to be the last sections with content."""
    offset, flags, header_size, program_size, programs, section_size, count, names = HEADER.unpack_from(library, HEADER_AT)
    sections = [SECTION.unpack_from(library, offset + number * section_size) for number in range(count)]
    tables = {number for number, section in enumerate(sections) if section[1] == SYMTAB}
    dropped = tables | {sections[number][6] for number in tables}
    kept = [number for number in range(count) if number not in dropped]
    end = min(sections[number][4] for number in dropped)
    late = [number for number in kept if sections[number][4] > end]
    if not dropped or any(number != names for number in late):
        raise ValueError("the symbol table is not at the library's end")
    out = bytearray(library[:end])
    name_offset, name_size = len(out), sections[names][5]
    out += library[sections[names][4] : sections[names][4] + name_size]
    out += bytes(-len(out) % 8)
    table = len(out)
    places = {number: place for place, number in enumerate(kept)}
    for number in kept:
        fields = list(sections[number])
        fields[4] = name_offset if number == names else fields[4]
        fields[6] = places.get(fields[6], 0)
        out += SECTION.pack(*fields)
    HEADER.pack_into(out, HEADER_AT, table, flags, header_size, program_size, programs, section_size, len(kept), places[names])
    return bytes(out)
