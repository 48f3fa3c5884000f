"""The marker, keys and metadata of docs/format.md; the sections named here are those of that page."""

import hashlib
import hmac
import re
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from json_objects import KEYS, MARKER, METADATA, NOTES, OBJECT_NAME, PLACE
from json_objects import JSON_BYTES, METADATA_BYTES, Refused, canonical, check, from_base64, parse_json, read_bounded, require

MIB = 1 << 20


def derive(secret, salt, info, length=32):
    """Section "Keys": HKDF-SHA256."""
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)


def id_bytes(identifier):
    return bytes.fromhex(identifier.replace("-", ""))


def key_id_of(data_key, backup_id):
    return derive(data_key, id_bytes(backup_id), b"backupctl/1/key-id", 16).hex()


class Secrets:
    """What the operator holds: a local key, a passphrase, both or neither. Section "A keys object"."""

    def __init__(self, local=None, passphrase=None):
        self.local = None if local is None else self.local_key(local)
        self.passphrase = None if passphrase is None else passphrase.rstrip(b"\r\n")
        self.derived = {}

    @staticmethod
    def local_key(content):
        text = content.decode("ascii", "replace").strip()
        if re.fullmatch("[0-9a-fA-F]{64}", text):
            return bytes.fromhex(text)
        text = text.replace("-", "+").replace("_", "/").rstrip("=")
        key = from_base64(text + "=" * (-len(text) % 4), "the key file")
        require(len(key) == 32, "the key file does not hold 32 bytes")
        return key

    def any(self):
        return self.local is not None or self.passphrase is not None

    def holds(self, wrap):
        """Whether there is a secret of the wrap's kind."""
        return {"local": self.local, "passphrase": self.passphrase}.get(wrap["provider"]) is not None

    def secret_for(self, wrap):
        """The provider's secret, or None if this reader has none for it."""
        if wrap["provider"] == "local":
            return self.local
        if wrap["provider"] != "passphrase" or self.passphrase is None:
            return None
        salt, n, r, p = (wrap["parameters"].get(name) for name in ("salt", "n", "r", "p"))
        require(isinstance(salt, str), "the passphrase's salt is malformed")
        salt = from_base64(salt, "the passphrase's salt")
        sound = n in [1 << bits for bits in range(15, 18)] and r == 8 and p in (1, 2, 3, 4)
        require(sound, "the passphrase's parameters are out of bounds")
        require(16 <= len(salt) <= 64, "the passphrase's salt has a wrong length")
        if (salt, n, p) not in self.derived:
            maxmem = 128 * r * (n + p) + MIB
            self.derived[salt, n, p] = hashlib.scrypt(self.passphrase, salt=salt, n=n, r=r, p=p, dklen=32, maxmem=maxmem)
        return self.derived[salt, n, p]

    def unwrap(self, keys, wrap):
        """The data key in `wrap`, or None if it does not open."""
        nonce, ciphertext = from_base64(wrap["nonce"], "a wrap's nonce"), from_base64(wrap["ciphertext"], "a wrap's ciphertext")
        require(len(nonce) == 12 and len(ciphertext) == 48, "a wrap has a wrong length")
        secret = self.secret_for(wrap)
        if secret is None:
            return None
        backup_id, key_id = id_bytes(keys["backup_id"]), bytes.fromhex(keys["key_id"])
        provider, name = wrap["provider"].encode(), wrap["name"].encode()
        additional = backup_id + struct.pack(">H", len(provider)) + provider + struct.pack(">H", len(name)) + name + key_id
        try:
            data_key = AESGCM(derive(secret, backup_id, b"backupctl/1/wrap")).decrypt(nonce, ciphertext, additional)
        except InvalidTag:
            return None
        return data_key if key_id_of(data_key, keys["backup_id"]) == keys["key_id"] else None

    def open(self, directory, backup_id, key_id):
        """Section "Opening". The data key of the backup in `directory`; without a `key_id`, any that opens."""
        problems, tries = [], 0
        for _, file in numbered(directory, "keys"):
            try:
                keys = parse_json(read_bounded(file, JSON_BYTES), file.name)
                check(keys, KEYS, file.name)
                require(1 <= len(keys["wraps"]) <= 256, f"{file.name} has no wraps, or too many")
                require(keys["backup_id"] == backup_id, f"{file.name} is a key of another backup")
                require(key_id in (None, keys["key_id"]), f"{file.name} holds another key than the metadata names")
            except Refused as refusal:
                problems.append(str(refusal))
                continue
            for wrap in keys["wraps"]:
                try:
                    data_key = self.unwrap(keys, wrap)
                except Refused as refusal:
                    problems.append(f"{file.name}: {refusal}")
                    continue
                if data_key is not None:
                    return data_key
                problems.append(f"{file.name}: {wrap['provider']} {wrap['name']!r} does not open with what was given")
                tries += self.holds(wrap)
                require(tries < 24, "24 wraps do not open with what was given")
        raise Refused("; ".join(["no key opens it", *problems]))


def numbered(directory, kind):
    """The keys or notes objects, [(n, file)] from the highest n down. Section "Objects"."""
    found = []
    for file in directory.iterdir():
        match = re.fullmatch(kind + r"-(0|[1-9][0-9]{0,8})-[0-9a-f]{8}\.json", file.name)
        if match:
            found.append((int(match[1]), file))
    return sorted(found, reverse=True)


# Backups


class Backup:
    """A backup whose metadata were proven: sections "metadata.json", "The mac"."""

    def __init__(self, repository, path, secrets, allowed):
        self.repository, self.path, self.secrets = repository, path, secrets
        self.directory = repository.root / path
        self.metadata = metadata = parse_json(read_bounded(self.directory / "metadata.json", METADATA_BYTES), "metadata.json")
        check(metadata, METADATA, "metadata.json")
        self.id = metadata["id"]
        self.data_key = None
        if metadata["key_id"] is None:
            require(not secrets.any() or self.id in allowed, "no key proves it; name it with --allow-unencrypted")
        else:
            self.data_key = secrets.open(self.directory, self.id, metadata["key_id"])
        require(self.mac_fits(metadata), "the mac of metadata.json does not fit")
        self.check_place()
        self.check_sources()

    def mac_fits(self, value):
        covered = canonical({name: value[name] for name in value if name not in ("mac", "signature")}).encode()
        if self.data_key is None:
            mac = "sha256:" + hashlib.sha256(covered).hexdigest()
        else:
            key = derive(self.data_key, id_bytes(self.id), b"backupctl/1/metadata")
            mac = "hmac-sha256:" + hmac.new(key, covered, hashlib.sha256).hexdigest()
        return hmac.compare_digest(mac.encode(), value["mac"].encode("utf-8", "surrogatepass"))

    def check_place(self):
        """The facts that section "The mac" names at its end."""
        metadata = self.metadata
        date, time = metadata["timestamp"][:10], metadata["timestamp"][11:19].replace(":", "-")
        place = f"{metadata['type']}/{metadata['category']}/{date}/{metadata['mode']}-{time}-{self.id[:8]}"
        require(metadata["storage_path"] == self.path, f"it belongs to {metadata['storage_path']}")
        require(place == self.path, f"by its own facts it belongs to {place}")
        require(self.repository.id in (None, metadata["repository_id"]), "it is of another repository")
        sealed = metadata["key_id"] is not None and metadata["encryption_algorithm"] is not None
        require(sealed or not metadata["encrypted"], "it is encrypted without a key or an algorithm")
        *ancestors, own = metadata["lineage"] or [{}]
        ids = [member["id"] for member in metadata["lineage"]]
        require(len(set(ids)) == len(ids), "its lineage names a backup twice")
        lengths = {"full": len(ancestors) == 0, "incremental": len(ancestors) > 0, "differential": len(ancestors) == 1}
        fits = lengths[metadata["mode"]] and own == {"id": self.id, "path": self.path}
        fits = fits and all("checksum" in ancestor for ancestor in ancestors)
        require(fits and metadata["parent_id"] == (ancestors[-1]["id"] if ancestors else None), "its lineage does not fit it")

    def check_sources(self):
        names = [source["name"] for source in self.metadata["sources"]]
        require(len(set(names)) == len(names), "it has two sources of one name")
        for source in self.metadata["sources"]:
            for part in ("data", "index", "root"):
                require(part in source or source["status"] == "failed", f"source {source['name']} lacks its {part}")
                if part in source:
                    self.check_name(source, part)

    def check_name(self, source, part):
        match = re.fullmatch(OBJECT_NAME, source[part]["name"])
        said = [match[1], match[2], match[3] or "data", match[5] is not None]
        wanted = [source["name"], source["kind"], part, self.metadata["encrypted"]]
        require(said == wanted, f"{match[0]} is no {part} of {source['name']}")

    def data_key_of(self, member):
        """The data key of a member of the lineage: section "Reading a source", 4."""
        if member["id"] == self.id:
            return self.data_key
        return self.secrets.open(self.repository.root / member["path"], member["id"], None)


    def notes(self):
        """Section "Notes": what holds now."""
        proven, others = [], []
        for n, file in numbered(self.directory, "notes"):
            try:
                notes = parse_json(read_bounded(file, JSON_BYTES), file.name)
                check(notes, "members", file.name)
                if notes.get("version", 1) != 1:
                    hold = {"reason": "unknown", "at": self.metadata["timestamp"], "by": "unknown"}
                    others.append({"n": n, "hold": hold})
                    continue
                check(notes, NOTES, file.name)
            except Refused:
                continue
            if notes["n"] == n and notes["backup_id"] == self.id:
                (proven if self.mac_fits(notes) else others).append(notes)
        highest = max((notes["n"] for notes in proven), default=0)
        stated = {}
        for notes in proven:
            for name, fact in notes.items() if notes["n"] == highest else ():
                stated.setdefault(name, []).append(fact)
        facts = {name: self.metadata[name] for name in ("tags", "description", "retention_until")}
        facts |= {name: min(stated.get(name, []), key=at, default=None) for name in ("hold", "quarantine")}
        facts["verified"] = max(stated.get("verified", []), key=at, default=None)
        if "tags" in stated:
            facts["tags"] = sorted({tag for tags in stated["tags"] for tag in tags})
        if "description" in stated:
            facts["description"] = max(stated["description"])
        if "retention_until" in stated:
            facts["retention_until"] = max(stated["retention_until"])
        for notes in others:
            if notes["n"] >= highest:
                facts["hold"] = facts["hold"] or notes.get("hold")
                if facts["retention_until"] is not None:
                    facts["retention_until"] = max(facts["retention_until"], notes.get("retention_until", ""))
        return facts


def at(fact):
    return fact["at"]


class Repository:
    """Sections "Objects", "The marker"."""

    def __init__(self, root):
        self.root, self.id = root, None
        if (root / "backupctl.json").exists():
            marker = parse_json(read_bounded(root / "backupctl.json", JSON_BYTES), "backupctl.json")
            check(marker, MARKER, "backupctl.json")
            require(marker["format"] == "backupctl", "backupctl.json is no marker")
            self.id = marker["repository_id"]

    def paths(self):
        found = (str(file.parent.relative_to(self.root)) for file in self.root.glob("*/*/*/*/metadata.json"))
        return sorted(path for path in found if re.fullmatch(PLACE, path))
