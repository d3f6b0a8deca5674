"""What the types cannot say: references, circles, overlaps and environments that could never be."""

from itertools import product
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.config import Configuration
from delivery.config_overlaps import can_meet, overlaps
from delivery.config_reading import read_configuration
from delivery.errors import ConfigurationError, Problem
from delivery.paths import matching

SERVICES = """\
version: 1
services:
  web: {paths: [web], build: {command: make}, run: {command: ./web}}
  api: {paths: [api], build: {command: make}, run: {command: ./api}}
"""


def found(text: str) -> list[tuple[str, str, str]]:
    """(line:column, message, hint) of every problem; lines count from the text's first."""
    head = SERVICES if "services:\n" not in text else "version: 1\n"
    lines = head.count("\n")
    try:
        read_configuration((head + dedent(text)).encode())
    except ConfigurationError as error:
        return [(_below(problem, lines), problem.message, problem.hint) for problem in error.problems]
    return []


def _below(problem: Problem, lines: int) -> str:
    _, line, column = problem.where.split(":")
    return f"{int(line) - lines}:{column}"


def test_a_configuration_that_fits_together_has_no_problem() -> None:
    text = """\
        libraries: {shared: {paths: [shared]}}
        fixtures: {pg: {postgresql: {port: 5432}}, queue: {run: {command: ./queue}}}
        steps:
          lint: {command: make lint}
          unit: {command: make test, per: service, needs: [lint], fixtures: [queue], services: [web]}
          database: {command: make db, needs: [unit], fixtures: [pg]}
          more: {command: make more, needs: [database], fixtures: [pg]}
        smoke: {basic: {requests: [{path: /, service: web, headers: {A: 'secret:TOKEN'}, keep: {ID: /data/0/id}}]}}
        environments:
          dev: {smoke: basic, services: {web: {port: 8101}}}
          production: {after: dev, services: {web: {port: 8102}}}
        """
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("steps: {a: {command: x, services: [wbe]}}", "steps.a.services names service 'wbe'", "did you mean 'web'?"),
        ("steps: {a: {command: x, fixtures: [pg]}}", "steps.a.fixtures names fixture 'pg'", "no fixture is declared"),
        (
            "libraries: {shared: {paths: [s], depends_on: [shaerd]}}",
            "libraries.shared.depends_on names service or library 'shaerd'",
            "did you mean 'shared'?",
        ),
        (
            "environments: {dev: {smoke: basic}}",
            "environments.dev.smoke names smoke suite 'basic'",
            "no smoke suite is declared",
        ),
        ("environments: {dev: {after: stag}}", "environments.dev.after names environment 'stag'", "known: dev"),
        (
            "environments: {dev: {services: {ap: {}}}}",
            "environments.dev.services names service 'ap'",
            "did you mean 'api'?",
        ),
        (
            "smoke: {s: {requests: [{path: /, service: wep}]}}",
            "smoke.s.requests[0].service names service 'wep'",
            "did you mean 'web'?",
        ),
    ],
)
def test_a_name_that_is_not_declared_is_told_with_a_guess(text: str, message: str, hint: str) -> None:
    assert [(said, how) for _, said, how in found(text)] == [(f"{message}, which does not exist", hint)]


def test_a_smoke_request_says_which_of_several_services_it_asks() -> None:
    problem = ("1:24", "smoke.s.requests[0] does not say which of 2 services it asks", "add 'service: web'")
    assert found("smoke: {s: {requests: [{path: /}]}}") == [problem]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: {a: {command: x, needs: [a]}}", "'a' needs itself"),
        (
            "steps: {a: {command: x, needs: [b]}, b: {command: x, needs: [c]}, c: {command: x, needs: [a]}}",
            "a circle: a needs b needs c needs a",
        ),
        (
            "libraries: {x: {paths: [x], depends_on: [y]}, y: {paths: [y], depends_on: [x]}}",
            "a circle: x depends on y depends on x",
        ),
        ("environments: {dev: {after: dev}}", "'dev' comes after itself"),
        ("environments: {a: {after: b}, b: {after: a}}", "a circle: a comes after b comes after a"),
    ],
)
def test_nothing_waits_for_itself(text: str, message: str) -> None:
    assert [said for _, said, _ in found(text)] == [message]


def test_two_circles_are_two_problems() -> None:
    text = """\
        steps:
          a: {command: x, needs: [b]}
          b: {command: x, needs: [a]}
          c: {command: x, needs: [d]}
          d: {command: x, needs: [c]}
        """
    assert [(where, said) for where, said, _ in found(text)] == [
        ("2:26", "a circle: a needs b needs a"),
        ("4:26", "a circle: c needs d needs c"),
    ]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("libraries: {web: {paths: [w]}}", "'web' is a library and a service", "rename one of them"),
        (
            "fixtures: {f: {}}",
            "fixtures.f must be either 'postgresql' or 'run', and is neither",
            "write 'postgresql: {}' for a throw-away PostgreSQL",
        ),
        (
            "fixtures: {f: {postgresql: {}, run: {command: x}}}",
            "fixtures.f must be either 'postgresql' or 'run', and is postgresql and run",
            "write 'postgresql: {}' for a throw-away PostgreSQL",
        ),
        (
            "fixtures: {f: {run: {command: x, ready: {tcp: true, http: /}}}}",
            "fixtures.f.run.ready must be one of tcp, http and command, and is tcp and http",
            "write 'tcp: true' to wait for its port",
        ),
        (
            "fixtures: {f: {run: {command: x, ready: {}}}}",
            "fixtures.f.run.ready must be one of tcp, http and command, and is none",
            "write 'tcp: true' to wait for its port",
        ),
        (
            """\
            fixtures: {f: {postgresql: {port: 5432}}}
            steps: {a: {command: x, fixtures: [f]}, b: {command: x, fixtures: [f]}}""",
            "steps a and b can run at the same time and both want port 5432",
            "let one need the other, or leave 'port' out of fixture 'f'",
        ),
        (
            "fixtures: {f: {postgresql: {port: 5432}}}\nsteps: {a: {command: x, per: service, fixtures: [f]}}",
            "steps a and a can run at the same time and both want port 5432",
            "let one need the other, or leave 'port' out of fixture 'f'",
        ),
        (
            "steps: {a: {command: x, reports: {minimum_coverage: 80}}}",
            "steps.a.reports.minimum_coverage is set, but no coverage report is named",
            "add 'coverage: [coverage.xml]'",
        ),
        (
            "steps: {a: {command: x, environment: {A: b}, secrets: {A: 'secret:A'}}}",
            "'A' in steps.a is given as a text and as a secret",
            "keep one of the two",
        ),
        (
            "steps: {a: {command: x, inputs: [/etc]}}",
            "steps.a.inputs[0] must stay inside the repository, got '/etc'",
            "write it relative to the repository's root",
        ),
        (
            "steps: {a: {command: x, outputs: [../a]}}",
            "steps.a.outputs[0] must stay inside the repository, got '../a'",
            "write it relative to the repository's root",
        ),
        (
            "smoke: {s: {requests: [{path: healthz, service: web}]}}",
            "smoke.s.requests[0].path must begin with '/', got 'healthz'",
            "write '/healthz'",
        ),
        (
            "smoke: {s: {requests: [{path: /, service: web, matches: {status: ok}}]}}",
            "smoke.s.requests[0].matches: 'status' is not a JSON pointer",
            "separate keys with '/', for instance '/data/id'",
        ),
        (
            "smoke: {s: {requests: [{path: /, service: web, headers: {A: 'secret:a b'}}]}}",
            "smoke.s.requests[0].headers.A must be a reference like 'secret:NAME'",
            "use letters, digits, '_', '-' and '.' in NAME",
        ),
        (
            "environments: {dev: {rollout_timeout_seconds: 10}}",
            "environments.dev.rollout_timeout_seconds is 10, but web may take 30 to start",
            "allow more than 30 seconds",
        ),
    ],
)
def test_what_does_not_fit_together_is_told(text: str, message: str, hint: str) -> None:
    assert (message, hint) in [(said, how) for _, said, how in found(text)]


def test_a_step_per_service_needs_a_service() -> None:
    with pytest.raises(ConfigurationError, match=r"steps\.a\.per is 'service', but there is no service"):
        read_configuration(b"version: 1\nsteps: {a: {command: x, per: service}}")


def test_a_fixed_port_belongs_to_one_service_in_one_environment() -> None:
    text = """\
        services:
          web: {paths: [web], build: {command: make}, run: {command: ./web, port: 8101}}
        environments:
          dev: {}
          staging: {after: dev, services: {web: {port: 8102}}}
          production: {after: staging}
        """
    assert found(text) == [
        (
            "2:75",
            "port 8101 of web in production is already that of web in dev",
            "set environments.production.services.web.port, or leave the port out for a free one",
        )
    ]


def test_releases_go_up_the_tiers() -> None:
    text = """\
        environments:
          production: {tier: production}
          staging: {tier: staging, after: production}
          lab: {after: staging}
          other: {tier: staging, after: staging}
        """
    assert found(text) == [
        (
            "3:35",
            "staging is for staging and comes after production, which is for production",
            "set environments.staging.tier, or turn the two round",
        ),
        (
            "4:16",
            "lab is for development and comes after staging, which is for staging",
            "set environments.lab.tier, or turn the two round",
        ),
    ]


@pytest.mark.parametrize("url", ["https://shop.example", "http://127.0.0.1:8080/a?b=c", "https://[::1]:8080/"])
def test_an_environments_address_can_be_opened(url: str) -> None:
    assert found(f"environments: {{dev: {{url: '{url}'}}}}") == []


@pytest.mark.parametrize(
    "url", ["not a url", "shop.example", "ftp://shop.example", "https://", "https://a b", "https://a:x", "https://[a"]
)
def test_what_no_browser_can_open_is_no_address(url: str) -> None:
    assert found(f"environments: {{dev: {{url: '{url}'}}}}") == [
        (
            "1:27",
            f"environments.dev.url must be an http or https address, got '{url}'",
            "write it whole, for instance 'https://shop.example'",
        )
    ]


def test_services_that_overlap_are_told_once_per_pair() -> None:
    text = """\
        services:
          web: {paths: [web, shared], build: {command: make}, run: {command: ./web}}
          api: {paths: [api, "shared/**", shared/x.py], build: {command: make}, run: {command: ./api}}
        """
    assert found(text) == [
        (
            "3:22",
            "services web and api overlap: both 'shared' and 'shared/**' mean the same files",
            "give shared code to a library that both depend on",
        )
    ]


def test_overlaps_over_real_files_name_the_first() -> None:
    configuration = read_configuration(SERVICES.encode())
    web = configuration.services["web"].model_copy(update={"paths": ["web", "api/sh*"]})
    configuration = configuration.model_copy(update={"services": {**configuration.services, "web": web}})
    assert overlaps(configuration, ["api/a.py", "api/shop.py", "api/show.py", "web/x"]) == [
        Problem(
            "services web and api overlap: both have api/shop.py and 1 more",
            "give shared code to a library that both depend on",
        )
    ]
    assert overlaps(configuration, ["api/a.py", "web/x"]) == []


def test_of_many_services_that_share_their_files_fifty_pairs_are_told() -> None:
    service = {"paths": ["**/*.py"], "build": {"command": "x"}, "run": {"command": "y"}}
    configuration = Configuration.model_validate({"version": 1, "services": {f"s{n}": service for n in range(60)}})

    told = overlaps(configuration, [f"folder/{number}.py" for number in range(1_000)])

    assert len(told) == 50
    assert told[0].message == "services s0 and s1 overlap: both have folder/0.py and 999 more"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("web", "api", False),
        ("web", "web/", True),
        ("web", "web/*/x.py", True),
        ("web", "**/*.py", False),
        ("Dockerfile.web", "*/x.py", False),
        ("web", "*", True),
        ("web/a?c*", "web/abd*", False),
        ("web", "website", False),
        ("web/**", "web/a/b", True),
        (".", "anything", True),
        ("web/*.py", "web/*.js", False),
        ("web/a*", "web/b*", False),
        ("web/*a*", "web/*b*", True),
        ("*.py", "web/app.py", False),
        ("**/*.py", "web/app.py", True),
        ("**/Dockerfile", "web/*.txt", False),
        ("src/*/main.go", "src/api", False),
        ("src/?", "src/ab", False),
    ],
)
def test_patterns_that_can_meet(one: str, other: str, expected: bool) -> None:  # noqa: FBT001  # a table's column
    assert can_meet(one, other) is can_meet(other, one) is expected


SEGMENT = st.sampled_from(["a", "b", "ab", "*", "**", "a*", "*b", "?", "a?"])
PATTERN = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join)
NAMES = ["a", "b", "aa", "ab", "ba", "bb"]
FILES = ["/".join(parts) for depth in range(1, 5) for parts in product(NAMES, repeat=depth)]


@settings(max_examples=300, deadline=None)
@given(PATTERN, PATTERN)
def test_services_are_not_accused_of_sharing_what_cannot_be_shared(one: str, other: str) -> None:
    if can_meet(one, other):
        assert matching([other], matching([one], FILES))
