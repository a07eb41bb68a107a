"""How HDF5 writes what groups are made of, in its first layout, for `hdf5_plain`.

Source: HDF5 File Format Specification, version 3; the sections are named.
"""

from struct import Struct

ENTRY = Struct("<QQII16s")  # III.C: symbol table entry
CACHED = Struct("<QQ")  # B-tree and heap of a group, in the entry and in the message
TREE = Struct("<4sBBHQQ")  # III.A.1
NAMES = Struct("<4sBBH")  # III.B: symbol table node
HEADER = Struct("<BBHII4x")  # IV.A.1.a: object header of version 1
MESSAGE = Struct("<HHB")  # and 3 bytes that are reserved
HEAP = Struct("<4sB3xQQQ")  # III.D: local heap
MORE = 0x10  # IV.A.2.q: the message that leads to more of a header
LAYOUT = 0x08  # IV.A.2.i: the message that says where a dataset's values are
CHUNKED = Struct("<BBBQ")  # version 3 of it, chunked: version, class, sides and one more, B-tree
# Levels of a B-tree: five hold more names than a file has bytes.
DEEPEST = 8
# Bytes that a look at an object header takes: most are no longer.
LOOK = 512
