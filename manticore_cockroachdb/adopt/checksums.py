"""The checksums of other tools, by their own algorithms: to see whether a file is still what was applied.

Each function says which tool it is for and where that tool computes it.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Iterable

_MASK = (1 << 64) - 1


def flyway(raw: bytes) -> str:
    """Flyway: CRC-32 over the lines without their ends, as a signed 32-bit number.

    flyway-core, `org.flywaydb.core.internal.resolver.ChecksumCalculator`. A byte-order mark does not
    count.
    """
    text = raw.decode("utf-8", errors="replace").removeprefix("\ufeff")
    crc = 0
    for line in re.split(r"\r\n|\r|\n", text):
        crc = zlib.crc32(line.encode(), crc)
    return str(crc - (1 << 32) if crc >= 1 << 31 else crc)


def sha256(raw: bytes) -> str:
    """Prisma: SHA-256 of the file, in hexadecimal."""
    return hashlib.sha256(raw).hexdigest()


def sha384(raw: bytes) -> str:
    """sqlx: SHA-384 of the file, in hexadecimal (the ledger holds the bytes)."""
    return hashlib.sha384(raw).hexdigest()


def atlas(files: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Atlas: for each file a SHA-256 over the names and contents of all files up to it, in base64.

    ariga.io/atlas `sql/migrate`, `NewHashFile`.
    """
    digest = hashlib.sha256()
    found: dict[str, str] = {}
    for name, raw in files:
        digest.update(name.encode())
        digest.update(raw)
        found[name] = base64.b64encode(digest.copy().digest()).decode()
    return found


def refinery(name: str, version: int, sql: str, *, wide: bool = False) -> str:
    """refinery: SipHash-1-3 with a zero key over name, version and text.

    refinery_core `runner::Migration::unapplied`, with Rust's `Hash`: a string is its bytes and 0xff, the
    version a little-endian 32-bit number.

    Args:
        name: The part of the file's name after the two underscores.
        version: The file's version.
        sql: The file's text.
        wide: Hash the version as 64 bits, as builds with the feature `int8-versions` do.
    """
    number = version.to_bytes(8 if wide else 4, "little", signed=True)
    return str(siphash13(name.encode() + b"\xff" + number + sql.encode() + b"\xff"))


def siphash13(data: bytes, key0: int = 0, key1: int = 0) -> int:
    """SipHash with one round per word and three at the end (https://www.aumasson.jp/siphash/)."""
    state = [
        key0 ^ 0x736F6D6570736575,
        key1 ^ 0x646F72616E646F6D,
        key0 ^ 0x6C7967656E657261,
        key1 ^ 0x7465646279746573,
    ]
    whole = len(data) - len(data) % 8
    for place in range(0, whole, 8):
        _word(state, int.from_bytes(data[place : place + 8], "little"))
    _word(state, (len(data) & 0xFF) << 56 | int.from_bytes(data[whole:], "little"))
    state[2] ^= 0xFF
    for _ in range(3):
        _round(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _word(state: list[int], word: int) -> None:
    state[3] ^= word
    _round(state)
    state[0] ^= word


def _round(state: list[int]) -> None:
    a, b, c, d = state
    a = (a + b) & _MASK
    b = _rotated(b, 13) ^ a
    a = _rotated(a, 32)
    c = (c + d) & _MASK
    d = _rotated(d, 16) ^ c
    a = (a + d) & _MASK
    d = _rotated(d, 21) ^ a
    c = (c + b) & _MASK
    b = _rotated(b, 17) ^ c
    c = _rotated(c, 32)
    state[:] = a, b, c, d


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _MASK


#: What Liquibase's checksums begin with, for the versions computed here.
LIQUIBASE_VERSIONS = ("8:", "9:")


def liquibase(
    sql: str, *, split: bool = True, strip: bool = True, delimiter: str | None = None
) -> tuple[str, ...]:
    """Liquibase: MD5 over the text, versions 8 and 9.

    liquibase-standard, `AbstractSQLChange.NormalizingStream` and `ChangeSet.generateCheckSum`. Version 8
    (up to 4.21) counts the options in and folds white space; version 9 drops white space.
    """
    pieces = [piece for piece in re.split(r"[ \n\r\t]+", sql) if piece]
    options = f"{'null' if delimiter is None else delimiter}:{_java(split)}:{_java(strip)}:"
    return (_changeset_sum(8, options + " ".join(pieces)), _changeset_sum(9, "".join(pieces)))


def _changeset_sum(version: int, text: str) -> str:
    change = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    whole = hashlib.md5(f"{version}:{change}:".encode(), usedforsecurity=False).hexdigest()
    return f"{version}:{whole}"


def _java(value: bool) -> str:
    return "true" if value else "false"
