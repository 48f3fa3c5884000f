"""Packs, roots and indexes of docs/format.md; the sections named here are those of that page."""

import collections
import hashlib
import io
import pathlib
import re
import struct
import zlib

import zstandard
from backup import MIB, derive, id_bytes
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from json_objects import OBJECT_NAME, ROOT, ROOT_END, STREAM_END, STREAM_ENTRY, TREE_END, TREE_ENTRY
from json_objects import SUMS_LINE_BYTES, Refused, check, from_base64, parse_json, read_bounded, require

PACK_HEADER, BLOCK_HEADER, TAG = 28, 12, 16
COMPRESSIONS = {"raw": "none", "gz": "gzip", "zst": "zstd"}
COMPRESSION_BYTES = {"none": 0, "gzip": 1, "zstd": 2}
LAST, NOT_COMPRESSED = 1, 2


def decompress(compression, payload, length):
    """One zstd frame or gzip member of exactly `length` bytes, never more memory than that."""
    if compression == "gzip":
        stream = zlib.decompressobj(wbits=31)
        raw = stream.decompress(payload, length + 1)
    else:
        raw = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(payload)).read(length + 1)
        require(len(raw) == length, "a block decompresses to another length")
        stream = zstandard.ZstdDecompressor().decompressobj()
        stream.decompress(payload)
    require(len(raw) == length and stream.eof and not stream.unused_data, "a block decompresses to another length")
    return raw


def facts_of(name):
    """Compression and cipher, from an object's name."""
    match = re.fullmatch(OBJECT_NAME, name)
    return COMPRESSIONS[match[4]], int(match[5] is not None)


class Artifact:
    """A stored artifact, as the metadata or a root's `objects` describe it; never as its packs do."""

    def __init__(self, backup, stored):
        facts = (stored["compression"], stored["cipher"])
        require(facts == facts_of(stored["name"]), f"{stored['name']} is not what its name says")
        member = next((member for member in backup.metadata["lineage"] if member["id"] == stored["origin"]), None)
        require(member is not None, f"{stored['name']} is of a backup outside the lineage")
        self.place = backup.repository.root / member["path"] / stored["name"]
        self.artifact_id, self.backup_id = bytes.fromhex(stored["artifact_id"]), id_bytes(stored["origin"])
        self.compression, self.cipher = stored["compression"], stored["cipher"]
        if self.cipher == 1:
            data_key = backup.data_key_of(member)
            self.key = AESGCM(derive(data_key, self.artifact_id, b"backupctl/1/artifact" + self.backup_id))

    def pack(self, number):
        """A pack's opened file and its size."""
        file = self.place.with_name(f"{self.place.name}.{number:08d}")
        size = file.stat().st_size
        require(file.is_file() and size <= 32 * MIB, f"{file.name} is too long, or not a file")
        return file.open("rb"), size

    def header(self, number):
        """Rebuilt, not read: every block's tag covers it."""
        return struct.pack(">4sBBHI", b"BKC1", COMPRESSION_BYTES[self.compression], self.cipher, 0, number) + self.artifact_id

    def block(self, stream, size, number, offset):
        """The block at `offset` of an opened pack: its raw bytes, its flags, its stored length."""
        what = f"{pathlib.Path(stream.name).name} at {offset}"
        stream.seek(offset)
        header = stream.read(BLOCK_HEADER)
        require(len(header) == BLOCK_HEADER, f"{what}: the block is cut")
        stored, raw_length, flags = struct.unpack(">III", header)
        require(flags <= LAST | NOT_COMPRESSED, f"{what}: unknown flags")
        require(raw_length <= 16 * MIB and TAG <= stored <= raw_length + 1024, f"{what}: a length is out of bounds")
        require(offset + BLOCK_HEADER + stored <= size, f"{what}: the block is cut")
        sealed = stream.read(stored)
        payload = self.open_block(number, offset, header, sealed, what)
        if self.compression != "none" and not flags & NOT_COMPRESSED:
            try:
                payload = decompress(self.compression, payload, raw_length)
            except (zlib.error, zstandard.ZstdError) as error:
                raise Refused(f"{what}: {error}") from None
        require(len(payload) == raw_length, f"{what}: another raw length")
        return payload, flags, stored

    def open_block(self, number, offset, header, sealed, what):
        additional = self.header(number) + self.backup_id + header
        if self.cipher == 0:
            payload, tag = sealed[:-TAG], sealed[-TAG:]
            require(hashlib.sha256(additional + payload).digest()[:TAG] == tag, f"{what}: the tag does not fit")
            return payload
        try:
            return self.key.decrypt(struct.pack(">IQ", number, offset), sealed, additional)
        except InvalidTag:
            raise Refused(f"{what}: the block does not open") from None

    def whole(self, sizes):
        """All raw bytes, from packs of exactly these sizes: section "Reading a source", 3."""
        joined, last = [], False
        for number, expected in enumerate(sizes):
            stream, size = self.pack(number)
            with stream:
                require(size == expected, f"{stream.name} has {size} bytes, not {expected}")
                require(stream.read(PACK_HEADER) == self.header(number), f"the header of {stream.name} is not what it should be")
                offset = PACK_HEADER
                while offset < size:
                    require(not last, f"{stream.name} goes on behind the last block")
                    raw, flags, stored = self.block(stream, size, number, offset)
                    joined.append(raw)
                    last = bool(flags & LAST)
                    offset += BLOCK_HEADER + stored
        require(last, f"{self.place.name} has no last block")
        return b"".join(joined)


# Root, chunks, index


def lines_of(pieces, what):
    """Lines of JSON from pieces of bytes, each ended by a line feed. Sections "Root", "Index"."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (parse_json(line, f"a line of {what}") for line in lines)
        require(len(rest) <= 64 * MIB, f"{what} has a line that is too long")
    require(rest == b"", f"{what} ends within a line")


def check_chunks(line, objects):
    """The tuples of a line, each within the limits of section "Chunks"."""
    tuples = line["chunks"]
    require(isinstance(tuples, list) and len(tuples) <= 512, "a line has too many chunks")
    for item in tuples:
        require(isinstance(item, list) and len(item) == 7, "a chunk is malformed")
        check(item[0], "hex64", "a chunk's hash")
        limits = (16 * MIB, len(objects) - 1, 99_999_999, 32 * MIB, 16 * MIB + 1024, 16 * MIB)
        within = [type(value) is int and 0 <= value <= limit for value, limit in zip(item[1:], limits)]
        require(all(within), "a chunk is out of bounds")
    return tuples


class Source:
    """A source of a backup, opened down to its root: sections "Root", "Chunks", "Index"."""

    def __init__(self, backup, metadata):
        self.backup, self.metadata, self.blocks = backup, metadata, collections.OrderedDict()
        name, (compression, cipher) = metadata["root"]["name"], facts_of(metadata["root"]["name"])
        stored = {"origin": backup.id, "name": name, "artifact_id": metadata["root"]["artifact_id"]}
        root = Artifact(backup, stored | {"compression": compression, "cipher": cipher})
        if root.cipher == 0:
            self.prove_root()
        lines = list(lines_of([root.whole(metadata["root"]["packs"])], "the root"))
        require(len(lines) >= 2, "the root has no end")
        first, *middle, end = lines
        check(first, ROOT, "the root")
        check(end, ROOT_END, "the root's end")
        self.check_root(first)
        self.objects = [Artifact(backup, stored) for stored in first["objects"]]
        for line in middle:
            check(line, {"chunks": "list"}, "a line of the root")
        self.index_chunks, self.end = [item for line in middle for item in check_chunks(line, self.objects)], end
        require(len(self.index_chunks) == end["chunks"] and end["size"] == metadata["size"], "the root does not count right")

    def prove_root(self):
        """Section "SHA256SUMS"."""
        metadata = self.backup.metadata
        packs = sum(len(own[part]["packs"]) for own in metadata["sources"] for part in ("data", "index", "root") if part in own)
        sums = read_bounded(self.backup.directory / "SHA256SUMS", SUMS_LINE_BYTES * packs)
        require("sha256:" + hashlib.sha256(sums).hexdigest() == metadata["checksum"], "SHA256SUMS is not what the metadata says")
        for number in range(len(self.metadata["root"]["packs"])):
            name = f"{self.metadata['root']['name']}.{number:08d}"
            digest = hashlib.sha256(read_bounded(self.backup.directory / name, self.metadata["root"]["packs"][number])).hexdigest()
            require(f"{digest}  {name}".encode() in sums.split(b"\n"), f"{name} does not match SHA256SUMS")

    def check_root(self, root):
        own, metadata = self.metadata, self.backup.metadata
        facts = (self.backup.id, own["name"], own["kind"], metadata["lineage"])
        require((root["backup_id"], root["source"], root["kind"], root["lineage"]) == facts, "the root belongs to something else")
        stored = [(own[part]["name"], own[part]["artifact_id"]) for part in ("data", "index") if own[part]["packs"]]
        for number, item in enumerate(root["objects"]):
            require(item["n"] == number, "the root's objects are misnumbered")
            known = item["origin"] != self.backup.id or (item["name"], item["artifact_id"]) in stored
            require(known, f"the root names {item['name']}, which the metadata does not")

    def chunk(self, item):
        """The bytes of a chunk tuple, compared with its hash."""
        digest, length, number, pack, offset, stored, start = item
        place = (number, pack, offset)
        if place not in self.blocks:
            stream, size = self.objects[number].pack(pack)
            with stream:
                raw, _, found = self.objects[number].block(stream, size, pack, offset)
            self.blocks[place] = raw, found
            if len(self.blocks) > 16:
                self.blocks.popitem(last=False)
        raw, found = self.blocks[place]
        data = raw[start : start + length]
        same = found == stored and len(data) == length and hashlib.sha256(data).hexdigest() == digest
        require(same, f"chunk {digest} is damaged")
        return data

    def index(self):
        """The index's lines but the last, which must be the last; each pass compares the whole with the root."""
        size, digest = 0, hashlib.sha256()

        def pieces():
            nonlocal size
            for item in self.index_chunks:
                data = self.chunk(item)
                size += len(data)
                digest.update(data)
                yield data
            wanted = (self.end["index_size"], self.end["index_sha256"])
            require((size, digest.hexdigest()) == wanted, "the index is not what the root says")

        ended = False
        for line in lines_of(pieces(), "the index"):
            require(not ended and isinstance(line, dict), "the index goes on behind its end, or a line is malformed")
            ended = line.get("end") is True
            yield line
        require(ended, "the index has no end")


def is_file_name(name):
    """Section "A stream"."""
    return name not in ("", ".", "..") and not {"/", "\0"} & set(name)


def read_stream(source):
    """Section "A stream": its chunks and its entries."""
    chunks, entries, inventory = [], [], False
    for line in source.index():
        if line.get("end") is True:
            check(line, STREAM_END, "the index's end")
            size = sum(item[1] for item in chunks)
            counted = (len(entries), len(chunks), size)
            require(counted == (line["entries"], line["chunks"], line["bytes"]), "the index does not count right")
            require(size == source.end["size"], "the stream has another size than the root says")
        elif "chunks" in line and "name" not in line:
            require(not entries and not inventory, "the index has chunks behind entries")
            chunks += check_chunks(line, source.objects)
        elif "inventory" in line:
            require(not inventory, "the index has two inventories")
            inventory = True
        else:
            check(line, STREAM_ENTRY, "an entry")
            require(not inventory, "the index has an entry behind the inventory")
            is_named = source.metadata["kind"] not in ("sqlite", "output", "env") or is_file_name(line["name"])
            require(is_named, "an entry's name is no file's")
            entries.append(line)
    require(all(entry["offset"] + entry["size"] <= size for entry in entries), "an entry lies outside the stream")
    return chunks, entries


def path_of(entry, name):
    """The bytes of `name` or `name_b64`, of `link` or `link_b64`."""
    require((name in entry) != (name + "_b64" in entry), f"an entry has no {name}, or two")
    try:
        return entry[name].encode() if name in entry else from_base64(entry[name + "_b64"], name)
    except UnicodeEncodeError:
        raise Refused(f"a {name} is not text") from None


def read_tree(source):
    """Section "A file tree": its entries as (path, entry with all of its chunks), checked one by one."""
    counts, before, entry = collections.Counter(), None, None
    for line in source.index():
        if "more" in line:
            require(entry is not None and line["more"] == entry[1]["lines"], "an entry's chunks are out of order")
            entry[1]["chunks"] += check_chunks(line, source.objects)
            entry[1]["lines"] += 1
            continue
        if entry is not None:
            yield check_sizes(*entry)
        if line.get("end") is True:
            check(line, TREE_END, "the index's end")
            counted = {name: counts[name] for name in ("entries", "files", "directories", "symlinks", "bytes")}
            require(counted == {name: line[name] for name in counted}, "the index does not count right")
            continue
        check(line, TREE_ENTRY, "an entry")
        path = path_of(line, "name")
        parts = path.split(b"/")
        require(not {b"", b".", b".."} & set(parts) and b"\0" not in path, f"{path} is no name")
        require(before is None or before < parts, f"{path} is out of order")
        below = before is not None and parts[: len(before)] == before
        require(not below or entry[1]["type"] == "directory", f"{path} is below something that is no directory")
        before, entry = parts, (path, line | {"lines": 1, "chunks": list(check_chunks({"chunks": []} | line, source.objects))})
        plural = {"file": "files", "directory": "directories", "symlink": "symlinks"}
        require(line["type"] in plural and line["mode"] <= 0o7777, f"{path} has an unknown type or mode")
        counts.update({"entries": 1, plural[line["type"]]: 1, "bytes": line["size"]})


def check_sizes(path, entry):
    position = 0
    for hole in entry.get("holes", []):
        require(len(hole) == 2 and hole[0] >= position, f"the holes of {path} are out of order")
        position = sum(hole)
    stored = sum(item[1] for item in entry["chunks"]) + sum(length for _, length in entry.get("holes", []))
    require(position <= entry["size"] == stored, f"the chunks of {path} do not add up")
    require(entry["type"] == "file" or entry["size"] == 0, f"{path} has content, but is no file")
    if entry["type"] == "symlink":
        path_of(entry, "link")
    return path, entry
