#!/usr/bin/env python3
"""Reads backups in format version 1. Written from docs/format.md alone, to prove that the page suffices.

    read_backup.py list REPOSITORY [options]
    read_backup.py restore REPOSITORY TO [options]

`list` says what each backup is, `restore` writes every source of every backup below TO: trees as TO/<backup>/<source>/, streams as
the file TO/<backup>/<source>.<kind>. Both print one JSON object; what was refused stands in it with the reason, and the exit status
is 4. Python 3.11, python3-cryptography, python3-zstandard.
"""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import shutil
import sys

from backup import Backup, Repository, Secrets
from json_objects import Refused, from_base64, require
from source import Source, path_of, read_stream, read_tree


def restore_stream(source, file):
    """Writes the stream; gives what its entries hold, by name. Reads it back whole, so not for a large one."""
    chunks, entries = read_stream(source)
    with file.open("xb") as stream:
        for item in chunks:
            stream.write(source.chunk(item))
    data, facts = file.read_bytes(), {}
    for entry in entries:
        part = data[entry["offset"] : entry["offset"] + entry["size"]]
        facts[entry["name"]] = {"type": entry["type"], "size": len(part), "sha256": hashlib.sha256(part).hexdigest()}
        if entry["type"] == "database":
            database = entry  # its tables follow it
        if entry["type"] == "table":
            facts[entry["name"]]["rows"] = table_rows(part, database["integer_bytes"])
    return facts


def table_rows(data, integer_bytes):
    """Section "Engines", postgres: the rows of a table as lines of COPY, one character a byte."""
    pieces, at, length = [], 0, -1
    while length != 0:
        sign, number = data[at : at + 1], data[at + 1 : at + 1 + integer_bytes]
        require(sign == b"\0" and len(number) == integer_bytes, "a table's range is malformed")
        length, at = int.from_bytes(number, "little"), at + 1 + integer_bytes
        pieces.append(data[at : at + length])
        at += length
    require(at == len(data), "a table's range goes on behind its end")
    rows = b"".join(pieces).rpartition(b"\\.\n")[0]
    return rows.decode("latin1").split("\n")[:-1]


def restore_tree(source, to):
    """Writes the entries in their order; directories get their facts last. `to` is new, so nothing in it was planted."""
    collections.deque(read_tree(source), maxlen=0)  # all of the index is checked before anything is written
    to.mkdir()
    first, directories = {}, []
    for path, entry in read_tree(source):
        place = os.path.join(os.fsencode(to), path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if entry["type"] == "directory":
            os.mkdir(place, 0o700)
            directories.append((place, entry))
            continue
        group = group_of(entry)
        if group in first:
            os.link(first[group], place, follow_symlinks=False)
            continue
        if entry["type"] == "symlink":
            os.symlink(path_of(entry, "link"), place)
        else:
            write_file(source, entry, place)
        if "hard_link" in entry:
            first[group] = place
        set_facts(place, entry)
    for place, entry in reversed(directories):
        set_facts(place, entry)
    return {}


def group_of(entry):
    """`hard_link`: what is the same in all names of a file."""
    same = [entry.get(name) for name in ("hard_link", "type", "size", "link", "link_b64", "holes")]
    return json.dumps([*same, [item[0] for item in entry["chunks"]]])


def write_file(source, entry, place):
    """The chunks in order, around the holes."""
    holes = collections.deque(entry.get("holes", []))
    with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        for item in entry["chunks"]:
            data = source.chunk(item)
            while data:
                while holes and holes[0][0] == file.tell():
                    file.seek(sum(holes.popleft()))
                room = holes[0][0] - file.tell() if holes else len(data)
                file.write(data[:room])
                data = data[room:]
        file.truncate(entry["size"])


def set_facts(place, entry):
    """Owner as far as this user may, attributes, mode and time."""
    if os.geteuid() == 0:
        os.chown(place, entry["uid"], entry["gid"], follow_symlinks=False)
    for name, value in entry.get("xattrs", {}).items():
        os.setxattr(place, name, from_base64(value, name), follow_symlinks=False)
    if entry["type"] != "symlink":
        os.chmod(place, entry["mode"])
    os.utime(place, ns=(int(entry["mtime"]), int(entry["mtime"])), follow_symlinks=False)


def restore(source, directory):
    """One source; what was written of it goes again if anything fails."""
    name = source.metadata["name"]
    tree = source.metadata["kind"] == "tree"
    place = directory / (name if tree else f"{name}.{source.metadata['kind']}")
    try:
        entries = restore_tree(source, place) if tree else restore_stream(source, place)
    except BaseException:
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
        raise
    return {"place": str(place), "size": source.end["size"], "entries": entries}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["list", "restore"])
    parser.add_argument("repository", type=pathlib.Path)
    parser.add_argument("to", type=pathlib.Path, nargs="?")
    parser.add_argument("--key-file", type=pathlib.Path)
    parser.add_argument("--passphrase-file", type=pathlib.Path)
    parser.add_argument("--allow-unencrypted", action="append", default=[], metavar="ID")
    options = parser.parse_args()
    if (options.command == "restore") != (options.to is not None):
        parser.error("restore needs TO, list takes none")
    files = (options.key_file, options.passphrase_file)
    report = {"backups": [], "refused": []}

    def attempt(action, **where):
        try:
            return action()
        except (Refused, OSError) as error:
            report["refused"].append(where | {"reason": str(error)})

    secrets = Secrets(*(file and file.read_bytes() for file in files))
    repository = attempt(lambda: Repository(options.repository))
    for path in repository.paths() if repository else []:
        backup = attempt(lambda: Backup(repository, path, secrets, options.allow_unencrypted), backup=path)
        if backup is None:
            continue
        facts = {name: backup.metadata[name] for name in ("id", "type", "mode", "timestamp", "status", "encrypted", "parent_id")}
        report["backups"].append(facts | {"path": path, "notes": backup.notes(), "sources": {}})
        for metadata in backup.metadata["sources"]:
            found = {"kind": metadata["kind"], "status": metadata["status"], "size": metadata["size"]}
            if options.to and "root" in metadata:
                directory = options.to / path
                directory.mkdir(parents=True, exist_ok=True)
                found |= attempt(lambda: restore(Source(backup, metadata), directory), backup=path, source=metadata["name"]) or {}
            report["backups"][-1]["sources"][metadata["name"]] = found
    json.dump(report, sys.stdout, indent=2)
    return 4 if report["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
