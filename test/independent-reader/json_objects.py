"""JSON as docs/format.md has it: reading, the canonical form, and what the members of each object must be."""

import base64
import datetime
import decimal
import json
import re


class Refused(Exception):
    """What the page says must be refused, and why."""


def require(condition, reason):
    if not condition:
        raise Refused(reason)


JSON_BYTES, METADATA_BYTES, SUMS_LINE_BYTES = 1 << 20, 1 << 26, 256


def read_bounded(file, most):
    """Section "Objects": no object is larger. A pipe would wait for its writer for ever."""
    require(file.is_file(), f"{file.name} is missing, or not a file")
    with file.open("rb") as stream:
        data = stream.read(most + 1)
    require(len(data) <= most, f"{file.name} is larger than an object of its kind may be")
    return data


def parse_json(data, what):
    """Section "JSON objects": UTF-8; whole numbers become int, others float, as ECMAScript reads them."""

    def number(text):
        value = float(text)
        require(abs(value) != float("inf"), f"{what}: {text} is too great")
        return int(value) if value.is_integer() and abs(value) <= 1 << 53 else value

    def constant(name):
        raise Refused(f"{what}: {name} is not JSON")

    try:
        return json.loads(data.decode("utf-8"), parse_int=number, parse_float=number, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{what} is not JSON: {error}") from None


def canonical(value):
    """Section "The mac": RFC 8785."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    if isinstance(value, float):
        return ecmascript_number(value)
    text = json.dumps(value, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda surrogate: f"\\u{ord(surrogate[0]):04x}", text)


def ecmascript_number(value):
    sign, digits, exponent = decimal.Decimal(repr(value)).normalize().as_tuple()
    text, point = "".join(map(str, digits)), len(digits) + exponent
    if len(text) <= point <= 21:
        text = text.ljust(point, "0")
    elif 0 < point <= 21:
        text = f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{text}"
    else:
        text = f"{text[0]}{'.' if len(text) > 1 else ''}{text[1:]}e{point - 1:+d}"
    return ("-" if sign else "") + text


# What members must be: a word of WORDS or TESTS, with "?" behind it where null is allowed, (spec,) likewise; [spec] a list;
# {"…": spec} any names; else a dict of members, with "*" behind optional ones, and "more" where a newer release may add some.

OBJECT_NAME = r"([a-z0-9][a-z0-9_-]{0,63})\.([a-z0-9][a-z0-9_-]{0,63})(?:\.(index|root))?\.(zst|gz|raw)(\.enc)?"
CATEGORY, MODE = "incremental|daily|weekly|monthly|yearly|snapshots|manual", "full|incremental|differential"
PLACE = rf"[a-z0-9][a-z0-9_-]{{0,63}}/({CATEGORY})/[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}/({MODE})(-[0-9]{{2}}){{3}}-[0-9a-f]{{8}}"
WORDS = {
    "text": r"(?s:.*)", "hex32": "[0-9a-f]{32}", "hex64": "[0-9a-f]{64}", "checksum": "sha256:[0-9a-f]{64}", "object": OBJECT_NAME,
    "uuid": "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "name": "[a-z0-9][a-z0-9_-]{0,63}",
    "backup_id": "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", "path": PLACE,
    "mode": MODE, "category": CATEGORY,
    "digits": "-?[0-9]{1,30}", "time": r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}(\.[0-9]{1,9})?Z",
}  # fmt: skip
TESTS = {
    "size": lambda value: type(value) is int and 0 <= value < 1 << 53,
    "number": lambda value: type(value) in (int, float),
    "boolean": lambda value: isinstance(value, bool),
    "true": lambda value: value is True,
    "one": lambda value: type(value) is int and value == 1,
    "list": lambda value: isinstance(value, list),
    "members": lambda value: isinstance(value, dict),
}


def shape(words, **nested):
    """Members from "name:word name:word …", and others with a spec of their own."""
    return dict(word.split(":") for word in words.split()) | nested


def check(value, spec, where):
    """Refuses `value` unless it is what `spec` says."""
    if isinstance(spec, str):
        if spec.endswith("?") and value is None:
            return
        word = spec.rstrip("?")
        fits = TESTS[word](value) if word in TESTS else isinstance(value, str) and re.fullmatch(WORDS[word], value) is not None
        require(fits and (word != "time" or is_real(value)), f"{where} is malformed")
    elif isinstance(spec, tuple):
        if value is not None:
            check(value, spec[0], where)
    elif isinstance(spec, list):
        require(isinstance(value, list), f"{where} is no list")
        for index, item in enumerate(value):
            check(item, spec[0], f"{where}[{index}]")
    else:
        require(isinstance(value, dict), f"{where} is no object")
        check_members(value, spec, where)


def check_members(value, spec, where):
    version = value.get("version", 1) if "version" in spec else 1
    require(version == 1 or type(version) not in (int, float), f"{where}: version {version} is newer than this reader")
    for name, item in value.items():
        known = spec.get(name, spec.get(name + "*", spec.get("…")))
        require(known is not None or "more" in spec, f"{where} has {name!r}, which a newer release wrote")
        if known is not None:
            check(item, known, f"{where}.{name}")
    for name in spec:
        require(name in value or name in ("more", "…") or name.endswith("*"), f"{where} lacks {name!r}")


def is_real(time):
    try:
        return bool(datetime.datetime.strptime(time[:19], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return False


MORE, COUNTS = {"more": True}, {"…": "size"}
MARKER = shape("format:text version:one repository_id:uuid created:time") | MORE
WRAP = shape("provider:text name:text parameters:members nonce:text ciphertext:text")
KEYS = shape("version:one backup_id:backup_id key_id:hex32", wraps=[WRAP])
ARTIFACT = shape("artifact_id:hex32 name:object", packs=["size"])
LINEAGE = [shape("id:backup_id path:path checksum*:checksum")]
SOURCE = shape(
    "name:name engine:name kind:name component:name category*:text status:text size:size new_size:size stored_size:size "
    "unreadable:size duration_seconds:number",
    counts=COUNTS,
    versions={"…": "text"},
    warnings=["text"],
    **{"error*": shape("code:text message:text"), "data*": ARTIFACT, "index*": ARTIFACT, "root*": ARTIFACT},
)
METADATA = shape(
    "version:one id:backup_id repository_id:uuid type:name mode:mode category:category timestamp:time completed_at:time "
    "duration_seconds:number size:size compressed_size:size stored_size:size encrypted:boolean encryption_algorithm:text? "
    "key_id:hex32? compressed:boolean checksum:checksum parent_id:backup_id? previous_id:backup_id? storage_path:path status:text "
    "created_by:text host:text software_version:text description:text? retention_until:time? verified:text mac:text signature*:text",
    compression=(shape("algorithm:text level:number"),),
    lineage=LINEAGE,
    tags=["text"],
    components={"…": shape("size:size stored_size:size", sources=["name"], counts=COUNTS)},
    sources=[SOURCE],
    objects=shape("count:size bytes:size"),
    warnings=["text"],
)
NOTES = shape(
    "version:one backup_id:backup_id n:size mac:text description*:text retention_until*:time",
    **{"tags*": ["text"], "hold*": shape("reason:text at:time by:text"), "quarantine*": shape("reason:text at:time")},
    **{"verified*": shape("at:time depth:text passed:boolean host:text")},
)
ROOT_OBJECT = shape("n:size origin:backup_id name:object artifact_id:hex32 compression:text cipher:size") | MORE
ROOT = shape("version:one backup_id:backup_id source:name kind:name", lineage=LINEAGE, objects=[ROOT_OBJECT]) | MORE
ROOT_END = shape("end:true chunks:size index_size:size index_sha256:hex64 size:size") | MORE
STREAM_ENTRY = shape("name:text type:text offset:size size:size") | MORE
STREAM_END = shape("end:true entries:size chunks:size bytes:size") | MORE
TREE_ENTRY = MORE | shape(
    "type:text size:size mode:size uid:size gid:size mtime:digits ctime:digits inode:digits name*:text name_b64*:text "
    "user*:text group*:text link*:text link_b64*:text hard_link*:text untrusted*:true changed*:true chunks*:list",
    **{"xattrs*": {"…": "text"}, "holes*": [["size"]]},
)
TREE_END = shape("end:true entries:size files:size directories:size symlinks:size bytes:size") | MORE


def from_base64(text, what):
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused(f"{what} is not base64") from None
