"""A simulated year: what one real delivery left in the database, copied for other projects, revisions and times.

Copies are made by text: ids, digests, commits, times and the project's name are exchanged for others of the same
form, so that an entry stays canonical, and the chain is made anew. Rows arrive by COPY and are those that appending
and saving would have written; of each project 20 runs at a time, so that projects lie mixed on the disk as they would.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
from pydantic import JsonValue

from delivery.adapters.postgresql.appending import Place, merge_into
from delivery.adapters.postgresql.json_columns import storable
from delivery.artifact import Digest, digest_of
from delivery.ledger import GENESIS, Entry
from delivery.projection import Fields, project

Connection = psycopg.Connection[tuple[object, ...]]

NAME = "simulated-project"
"""Of the project whose delivery is copied; the word stands nowhere else."""
YEAR = timedelta(days=365)
PROJECTS = 50
RUNS = 100_000
DELIVERED = 5
"""Of so many runs one reaches production through two other environments; the others end with their release."""
_TOGETHER = 20
_ENVIRONMENTS = 3
_TOKEN = re.compile(
    rf"{NAME}"
    r"|sha256:[0-9a-f]{64}"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\b[0-9a-f]{40}\b|\b[0-9a-f]{32}\b"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
)
_END = re.compile(r',"sequence":\d+,"stream":"[^"]*"}$')


@dataclass(frozen=True, slots=True)
class Text:
    """A text with places for tokens."""

    pieces: tuple[str, ...]
    tokens: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Text":
        """Taken apart."""
        return cls(tuple(_TOKEN.split(text)), tuple(_TOKEN.findall(text)))

    def filled(self, values: Mapping[str, str]) -> str:
        """With other tokens."""
        parts = [self.pieces[0]]
        for token, piece in zip(self.tokens, self.pieces[1:], strict=True):
            parts += (values[token], piece)
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class Template:
    """What a registration and one delivery wrote; `repeat` puts the same delivery behind a simulated past."""

    opening: tuple[Text, ...]
    """Entries, without their place in the chain."""
    verified: tuple[Text, ...]
    """Of a run that ends with its release."""
    delivered: tuple[Text, ...]
    documents: tuple[tuple[str, Text, Text], ...]
    """Operations: (table, key, document) of the run."""
    promoting: tuple[tuple[str, Text, Text], ...]
    """And of its promotions."""
    leases: tuple[tuple[Text, Text], ...]
    """(name, holder) of the run."""
    earlier: Mapping[str, str]
    """What the delivery names of the one before it: the token of its own that stands there."""
    tokens: frozenset[str]
    at: datetime
    """When the delivery began."""
    run: str
    """Its id."""


@dataclass(slots=True)
class Simulated:
    """One project so far."""

    name: str
    runs: int = 0
    head: tuple[int, Digest] = (0, GENESIS)
    before: dict[str, str] = field(default_factory=dict)
    """Tokens of the delivery before."""
    run: str = ""
    """The id of the newest run."""


def read_template(connection: Connection) -> Template:
    """Of the newest delivery of NAME, which had one before it."""
    found = connection.execute("SELECT content FROM entries WHERE stream = %s ORDER BY sequence", (NAME,))
    contents = [bytes(row[0]).decode() for row in found]  # type: ignore[call-overload]  # bytea
    entries = [json.loads(content) for content in contents]
    first, second = _Delivery.read(entries, -2), _Delivery.read(entries, -1)
    texts = [Text.of(_END.sub("", content)) for content in contents]
    opening = tuple(text for text, one in zip(texts, entries, strict=True) if one["kind"] in _OPENING)
    delivered = [(text, one) for text, one in zip(texts, entries, strict=True) if second.wrote(one)]
    rows = connection.execute("SELECT table_name, key, document::text FROM documents ORDER BY number").fetchall()
    documents = [(str(row[0]), Text.of(str(row[1])), Text.of(str(row[2]))) for row in rows]
    leases = connection.execute("SELECT name, holder FROM leases WHERE name = %s", (f"run:{second.run}",)).fetchall()
    whole = Template(
        opening=opening,
        verified=tuple(text for text, one in delivered if one["kind"] in _VERIFIED),
        delivered=tuple(text for text, _ in delivered),
        documents=tuple(one for one in documents if second.run in one[1].tokens),
        promoting=tuple(one for one in documents if set(second.promotions) & set(one[1].tokens)),
        leases=tuple((Text.of(str(row[0])), Text.of(str(row[1]))) for row in leases),
        earlier=dict(zip(first.tokens, second.tokens, strict=True)),
        tokens=frozenset(),
        at=second.at,
        run=second.run,
    )
    return _with_tokens(whole)


_OPENING = frozenset({"project.registered", "policy.accepted"})
_VERIFIED = frozenset({"artifact.built", "release.created", "revision.tested"})


def _with_tokens(template: Template) -> Template:
    texts = [*template.opening, *template.delivered]
    for _, key, document in (*template.documents, *template.promoting):
        texts += (key, document)
    for lease in template.leases:
        texts += lease
    tokens = frozenset(token for text in texts for token in text.tokens)
    return Template(**{name: getattr(template, name) for name in template.__slots__ if name != "tokens"}, tokens=tokens)


@dataclass(frozen=True, slots=True)
class _Delivery:
    """What names a delivery."""

    run: str
    commit: str
    release: str
    artifact: str
    promotions: tuple[str, ...]
    at: datetime

    @classmethod
    def read(cls, entries: Sequence[Fields], which: int) -> "_Delivery":
        tested = [one for one in entries if one["kind"] == "revision.tested"][which]
        body = _body(tested)
        release = str(body["release"])
        requested = [_body(one) for one in entries if one["kind"] == "promotion.requested"]
        promotions = tuple(str(one["id"]) for one in requested if one["release"] == release)[-_ENVIRONMENTS:]
        built = next(_body(one) for one in entries if _is_built(one, body["run"]))
        at = datetime.fromisoformat(str(tested["at"]))
        return cls(str(body["run"]), str(body["commit"]), release, str(built["digest"]), promotions, at)

    @property
    def tokens(self) -> tuple[str, ...]:
        return (self.run, self.commit, self.release, self.artifact, *self.promotions)

    def wrote(self, entry: Fields) -> bool:
        body = _body(entry)
        if entry["kind"] == "release.created":
            return body["digest"] == self.release
        named = {str(body.get(name, "")).partition("/")[0] for name in ("run", "promotion", "id", "deployment")}
        return bool(named & {self.run, *self.promotions})


def _is_built(entry: Fields, run: JsonValue) -> bool:
    return entry["kind"] == "artifact.built" and _body(entry)["run"] == run


def _body(entry: Fields) -> Fields:
    body = entry["body"]
    assert isinstance(body, dict)
    return body


def grow(
    connection: Connection, template: Template, projects: Sequence[Simulated], runs: int, say: Callable[[str], None]
) -> None:
    """Add runs until each project has so many, then let the server count its rows."""
    start = datetime.now(UTC) - YEAR
    while projects[0].runs < runs:
        for one in projects:
            _add(connection, template, one, min(runs, one.runs + _TOGETHER), start)
        if projects[0].runs % 200 == 0:
            say(f"{projects[0].runs * len(projects):,} runs")
    connection.execute("VACUUM ANALYZE")


def _add(connection: Connection, template: Template, one: Simulated, runs: int, start: datetime) -> None:
    rows = _Rows()
    if one.head == (0, GENESIS):
        _append(rows, one, template.opening, _values(template, one, 0, start))
    for number in range(one.runs + 1, runs + 1):
        at = start + YEAR * number * PROJECTS / RUNS
        values = _values(template, one, number, at)
        whole = number % DELIVERED == 0
        _append(rows, one, template.delivered if whole else template.verified, values)
        for table, key, document in (*template.documents, *(template.promoting if whole else ())):
            rows.documents.append((table, key.filled(values), one.name, document.filled(values)))
        rows.leases += [(name.filled(values), holder.filled(values), 1, at) for name, holder in template.leases]
        one.run = values[template.run]
        if whole:
            one.before = {earlier: values[own] for earlier, own in template.earlier.items()}
    one.runs = runs
    _write(connection, one, rows)


@dataclass(slots=True)
class _Rows:
    entries: list[tuple[object, ...]] = field(default_factory=list)
    projections: dict[Place, Fields] = field(default_factory=dict)
    documents: list[tuple[object, ...]] = field(default_factory=list)
    leases: list[tuple[object, ...]] = field(default_factory=list)


def _append(rows: _Rows, one: Simulated, texts: Sequence[Text], values: Mapping[str, str]) -> None:
    """As `delivery.ledger.placed`: the text is canonical already."""
    for text in texts:
        sequence, previous = one.head[0] + 1, one.head[1]
        content = f'{text.filled(values)},"sequence":{sequence},"stream":"{one.name}"}}'.encode()
        entry = Entry(one.name, sequence, content, previous, digest_of(previous.encode() + content))
        merge_into(rows.projections, project(entry))
        key = json.loads(content)["key"]
        rows.entries.append((one.name, sequence, key, content, previous, entry.digest))
        one.head = (sequence, entry.digest)


def _values(template: Template, one: Simulated, number: int, at: datetime) -> dict[str, str]:
    """Each token's value in this copy; what names the delivery before is that one's."""
    seed, shift = hashlib.sha256(f"{one.name}/{number}".encode()), at - template.at
    return {token: one.before.get(token) or _value(token, one.name, seed.copy(), shift) for token in template.tokens}


def _value(token: str, name: str, seed: "hashlib._Hash", shift: timedelta) -> str:
    if token == NAME:
        return name
    if token.endswith("Z"):
        moment = datetime.fromisoformat(token) + shift
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    seed.update(token.encode())
    digits = seed.hexdigest()
    if token.startswith("sha256:"):
        return f"sha256:{digits}"
    if token[8:9] == "-":
        return _uuid(token, digits, shift)
    return digits[: len(token)]


def _uuid(token: str, digits: str, shift: timedelta) -> str:
    """Of version 7 it begins with its time."""
    if token[14] != "7":
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"
    time = f"{int(token[:8] + token[9:13], 16) + shift // timedelta(milliseconds=1):012x}"
    return f"{time[:8]}-{time[8:]}-7{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"


_MERGE = """
INSERT INTO projections AS old (table_name, project, key, document) SELECT * FROM arriving
ON CONFLICT (table_name, project, key) DO UPDATE SET document = old.document || excluded.document
"""


def _write(connection: Connection, one: Simulated, rows: _Rows) -> None:
    projections = [(*place, storable(fields)) for place, fields in rows.projections.items()]
    with connection.transaction():
        connection.execute(
            "CREATE TEMP TABLE IF NOT EXISTS arriving (table_name text, project text, key text, document jsonb)"
            " ON COMMIT DELETE ROWS"
        )
        _copy(connection, "entries (stream, sequence, idempotency_key, content, previous, digest)", rows.entries)
        _copy(connection, "documents (table_name, key, project, document)", rows.documents)
        _copy(connection, "leases (name, holder, fence, until)", rows.leases)
        _copy(connection, "arriving", projections)
        connection.execute(_MERGE)
        connection.execute(
            "INSERT INTO heads VALUES (%s, %s, %s) ON CONFLICT (stream)"
            " DO UPDATE SET sequence = excluded.sequence, digest = excluded.digest",
            (one.name, *one.head),
        )


def look_at_head(connection: Connection, one: Simulated) -> None:
    """For a project that real deliveries add to meanwhile."""
    head = connection.execute("SELECT sequence, digest FROM heads WHERE stream = %s", (one.name,)).fetchone()
    assert head is not None
    one.head = (int(str(head[0])), Digest(str(head[1])))


def repeat(connection: Connection, template: Template, one: Simulated) -> None:
    """The copied delivery once more, of the same revision and artifact: what is recorded as live is what runs."""
    values = _values(template, one, -one.head[0], datetime.now(UTC))
    same = {token: token for token in template.tokens if "-" not in token}
    rows = _Rows()
    texts = [text for text in template.delivered if '"kind":"release.created"' not in text.pieces[-1]]
    _append(rows, one, texts, {**values, **same})
    _write(connection, one, rows)


def _copy(connection: Connection, where: str, rows: Sequence[tuple[object, ...]]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {where} FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row(row)


def counted(connection: Connection) -> Iterator[tuple[str, int, int]]:
    """(table, rows as the server estimates them, bytes with indexes), largest first."""
    query = (
        "SELECT relname, reltuples::bigint, pg_total_relation_size(oid) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 3 DESC"
    )
    for name, rows, size in connection.execute(query):
        yield str(name), int(str(rows)), int(str(size))
