"""What regipy reads of a hive: K path class owner, V path name kind data, fields apart by tabs; class, name and data in
hexadecimal. Also each value as regipy's own users get it, which may raise. Usage: regipy_dump.py HIVE."""
import sys
from construct import Int32ul
from regipy.registry import Cell, NKRecord, RegistryHive
from regipy.structs import VALUE_KEY

BASE = 4096 + 4


def raw(stream, vk):
    if vk.data_size >= 0x80000000:
        return Int32ul.build(vk.data_offset)[: vk.data_size - 0x80000000]
    if vk.data_size == 0:
        return b""
    value = NKRecord.read_value(vk, stream)
    if vk.data_size > 0x3FD8 and value.value[:2] == b"db":
        return NKRecord._parse_indirect_block(stream, value)
    return value.value


def walk(key, path):
    stream = key._stream
    cls = key.get_class_name() if key.header.class_name_size else ""
    print("K", path, cls.encode().hex(), key.get_security_key_info()["owner"], sep="\t")
    if key.values_count:
        stream.seek(BASE + key.header.values_list_offset)
        cells = [Int32ul.parse_stream(stream) for _ in range(key.values_count)]
        shown = list(key.iter_values(trim_values=False))
        assert len(shown) == len(cells), (path, shown)
        for cell, value in zip(cells, shown):
            stream.seek(BASE + cell)
            vk = VALUE_KEY.parse_stream(stream)
            name = "" if vk.name_size == 0 else value.name
            print("V", path, name.encode().hex(), int(vk.data_type), raw(stream, vk).hex(), sep="\t")
    for below in list(key.iter_subkeys()):
        walk(below, (path + "\\" if path else "") + below.name)


hive = RegistryHive(sys.argv[1])
# By itself regipy takes the first cell for the root key.
walk(NKRecord(Cell(cell_type="nk", offset=BASE + hive.header.root_key_offset + 2, size=0), hive._stream), "")
