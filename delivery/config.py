"""`shipline.yaml`, typed once: services, steps, fixtures, smoke suites and environments.

Every model is frozen and refuses unknown keys. Durations are seconds. `delivery.config_reading`
turns a file into these values and reports what is wrong with it.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from delivery.actor import Evidence
from delivery.config_gates import (
    MOST_CHECKS,
    MOST_CONDITIONS,
    MOST_WINDOWS,
    Check,
    Condition,
    Freeze,
    Quota,
    Upstreams,
)
from delivery.config_types import Name, Seconds

VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
SecretReference = Annotated[str, StringConstraints(pattern=r"^secret:[A-Za-z_][A-Za-z0-9_.-]*$")]
"""`secret:NAME`; values never stand in a configuration."""
Command = Annotated[str, StringConstraints(min_length=1)] | Annotated[list[str], Field(min_length=1)]
"""A shell string (run by bash with `set -euo pipefail`) or a list of arguments (run as it is)."""
Glob = Annotated[str, StringConstraints(min_length=1, max_length=300)]
"""A git wildmatch pattern relative to the repository's root; `**` crosses folders; a folder means all in it."""


class Section(BaseModel):
    """What every part of the configuration has in common: frozen, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Retry(Section):
    """When a step may run again. A failing test is never retried."""

    attempts: int = Field(default=1, ge=1, le=5)
    """How often at most, the first time included."""
    on: list[Literal["lost", "timeout"]] = ["lost"]
    """`lost`: the process vanished or was killed from outside; `timeout`: it ran out of time."""


class Reports(Section):
    """Files a step writes for people and gates, as patterns in the checkout."""

    junit: list[Glob] = []
    """JUnit XML files; failed tests fail the step, even when its exit code is 0."""
    coverage: list[Glob] = []
    """Cobertura XML files."""
    minimum_coverage: float | None = Field(default=None, ge=0, le=100)
    """Line coverage in per cent under which the step fails."""


class Step(Section):
    """One command that tests a revision."""

    command: Command
    needs: list[Name] = []
    """Steps that must have succeeded first."""
    per: Literal["repository", "service"] = "repository"
    """Run once, or once per impacted service (with SHIPLINE_SERVICE set)."""
    services: list[Name] = []
    """The services that this step is about; empty means the whole repository or, with `per: service`, every service.
    The step is skipped when no change reaches what it is about."""
    inputs: list[Glob] = []
    """What the step reads; empty means the paths of its services and of what these depend on, or the whole tree when
    it names none."""
    outputs: list[Glob] = []
    """Files and folders the step writes that later steps read; restored when the step is reused."""
    environment: dict[VariableName, str] = {}
    secrets: dict[VariableName, SecretReference] = {}
    tools: list[str] = []
    """Programs whose version decides about reuse; resolved on the PATH of the control plane."""
    fixtures: list[Name] = []
    timeout_seconds: Seconds = 1800
    retry: Retry = Retry()
    reports: Reports = Reports()
    reuse: bool = True
    """Whether an earlier success with the same inputs counts."""


class PostgresqlFixture(Section):
    """A throw-away PostgreSQL for one step; PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE and DATABASE_URL tell."""

    database: str = "test"
    user: str = "postgres"
    password: str = "postgres"  # noqa: S105  # of a server that lives as long as one step
    port: int | None = Field(default=None, ge=1024, le=65535)
    """A fixed port on 127.0.0.1, for suites that insist; otherwise a free one."""


class Readiness(Section):
    """How to know that a command fixture can be used; exactly one of the three."""

    tcp: bool = False
    """Its port accepts a connection."""
    http: str | None = None
    """A path that answers with a status below 400."""
    command: Command | None = None
    """A command that exits 0."""
    timeout_seconds: Seconds = 30


class CommandFixture(Section):
    """A throw-away program for one step; `{port}` in its command is a free port, given to the step too."""

    command: Command
    ready: Readiness = Readiness(tcp=True)
    environment: dict[VariableName, str] = {}
    provides: dict[VariableName, str] = {}
    """Environment variables for the step; `{port}` is replaced."""


class Fixture(Section):
    """A throw-away service of a step: exactly one of the two."""

    postgresql: PostgresqlFixture | None = None
    run: CommandFixture | None = None


class Build(Section):
    """How a service's artifact is made: a command that fills a folder, packed reproducibly."""

    command: Command
    output: Annotated[str, StringConstraints(min_length=1)] = "dist"
    """The folder, relative to the checkout, whose content is the artifact; must run from any path."""
    inputs: list[Glob] = []
    """What the build reads; empty means the service's paths."""
    tools: list[str] = []
    environment: dict[VariableName, str] = {}
    timeout_seconds: Seconds = 1800


class Health(Section):
    """When an instance counts as healthy."""

    path: str = "/"
    """Answered with a status below 400 on the instance's own port."""
    timeout_seconds: Seconds = 30
    """From the start until the first healthy answer."""
    interval_seconds: Seconds = 0.2


class BeforeRollout(Section):
    """A command run once before each rollout, in the new artifact's folder with the service's environment."""

    command: Command
    timeout_seconds: Seconds = 600


class Run(Section):
    """How a service runs. This, packed, is the service's definition in a release."""

    command: Command
    """Run in the unpacked artifact; `{port}` is the instance's own port, also given as PORT."""
    port: int | None = Field(default=None, ge=1024, le=65535)
    """The router's stable port; environments on one machine need one each. None: a free one, kept for ever."""
    health: Health = Health()
    environment: dict[VariableName, str] = {}
    secrets: dict[VariableName, SecretReference] = {}
    before_rollout: BeforeRollout | None = None
    instances: int = Field(default=1, ge=1, le=20)
    stop_grace_seconds: Seconds = 10
    """Between SIGTERM and SIGKILL, and the time given to open requests."""


class Service(Section):
    """Something that is built and runs."""

    paths: list[Glob] = Field(min_length=1)
    """What belongs to it; two services may not share a path."""
    depends_on: list[Name] = []
    """Services or libraries whose change reaches this one."""
    together_with: list[Name] = []
    """Services that move together with this one or not at all, also where one of them alone is rolled back."""
    build: Build
    run: Run


class Library(Section):
    """Shared code that no environment runs: its change reaches what depends on it."""

    paths: list[Glob] = Field(min_length=1)
    depends_on: list[Name] = []


class SmokeRequest(Section):
    """One HTTP request of a smoke suite and what its answer must be."""

    name: str = ""
    service: Name | None = None
    """The service whose router port is asked; may be left out when there is only one."""
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: str
    headers: dict[str, str | SecretReference] = {}
    body: JsonValue = None
    """Sent as JSON."""
    status: int | list[int] = 200
    matches: dict[str, JsonValue] = {}
    """JSON pointers (RFC 6901) of the answer and the values they must have."""
    keep: dict[VariableName, str] = {}
    """Names for values of the answer (JSON pointers), used as `{NAME}` in later paths, headers and bodies."""
    repeat: int = Field(default=1, ge=1, le=100)
    """Send the same idempotent request this often; every answer must do."""
    retries: int = Field(default=0, ge=0, le=20)
    """How often a wrong answer may be asked again."""
    timeout_seconds: Seconds = 5
    maximum_seconds: Seconds | None = None
    """Slower answers fail."""


class Smoke(Section):
    """A suite run against an environment after a rollout."""

    requests: list[SmokeRequest] = Field(min_length=1)


class EnvironmentService(Section):
    """What one environment adds to a service: its configuration there."""

    port: int | None = Field(default=None, ge=1024, le=65535)
    instances: int | None = Field(default=None, ge=1, le=20)
    environment: dict[VariableName, str] = {}
    secrets: dict[VariableName, SecretReference] = {}


class Approvals(Section):
    """What people must say before a rollout."""

    count: int = Field(default=1, ge=0, le=10)
    """How many different people, at least."""
    roles: dict[Name, Annotated[int, Field(ge=1, le=10)]] = Field(default={}, max_length=10)
    """How many of them with each role; a person counts for one role. Without any, everybody who may approve counts."""
    evidence: list[Evidence] = Field(default=["none", "api-token", "one-time-code", "ssh-signature"], min_length=1)
    """By what an approver may be known; `none` is a name that somebody typed, which never suffices beside `roles` or
    `not_by`."""
    not_by: list[Literal["author", "requester"]] = []
    """Who may not approve: whoever wrote a commit that goes live, whoever asked for the promotion."""
    comment: Literal["optional", "required"] = "optional"
    roles_count_at: Literal["approval", "rollout"] = "rollout"
    """Whether an approval counts whose giver has lost the role since."""
    expires_after_seconds: float = Field(default=86_400, gt=0, le=31 * 86_400)
    remind_after_seconds: list[Annotated[float, Field(gt=0, le=31 * 86_400)]] = Field(default=[], max_length=10)
    """When people are told again that somebody waits for them."""


class Environment(Section):
    """A place a release runs. Who may go there is policy: proposed here, accepted in the control plane."""

    tier: Literal["development", "testing", "staging", "production"] = "development"
    after: Name | Upstreams | None = None
    """The environment a release must be verified in first; of several all or any."""
    soak_seconds: float = Field(default=0, ge=0, le=31 * 86_400)
    """How long it must have been verified there."""
    freeze: list[Freeze] = Field(default=[], max_length=MOST_WINDOWS)
    """When nothing rolls out here."""
    no_open_incident: bool = False
    """Whether automation waits while an incident is open here; rollbacks and hotfixes pass."""
    checks: list[Check] = Field(default=[], max_length=MOST_CHECKS)
    """Results that must have been reported."""
    quota: Quota | None = None
    """How many rollouts may begin within a time."""
    conditions: list[Condition] = Field(default=[], max_length=MOST_CONDITIONS)
    """What else must be true, in CEL."""
    queue: Literal["newest", "serialize", "cancel"] = "newest"
    """What a newer request does to older ones: `newest` supersedes those that wait, `cancel` also stops one that is
    being judged, `serialize` lets all go, one after the other."""
    automatic: bool = True
    """Whether a release verified upstream is promoted here without being asked (approvals still apply)."""
    approvals: Approvals = Approvals(count=0)
    strategy: Literal["rolling"] = "rolling"
    smoke: Name | None = None
    watch_seconds: float = Field(default=90, ge=0, le=86_400)
    rollout_timeout_seconds: Seconds = 300
    url: str | None = None
    """For people, in reports."""
    services: dict[Name, EnvironmentService] = {}


class Configuration(Section):
    """A whole `shipline.yaml`."""

    version: Literal[1]
    project: Name | None = None
    """The slug, if it is free when a work tree is registered; otherwise the last part of the source's address."""
    default_branch: str = "main"
    pipeline_paths: list[Glob] = ["shipline.yaml"]
    """A change of these reaches everything."""
    services: dict[Name, Service] = Field(default={}, max_length=1000)
    libraries: dict[Name, Library] = Field(default={}, max_length=1000)
    steps: dict[Name, Step] = Field(default={}, max_length=300)
    fixtures: dict[Name, Fixture] = Field(default={}, max_length=50)
    smoke: dict[Name, Smoke] = Field(default={}, max_length=50)
    environments: dict[Name, Environment] = Field(default={}, max_length=50)
    fail_fast: bool = False
    """Stop at the first failed step instead of gathering every result."""
