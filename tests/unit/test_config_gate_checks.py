"""What environments ask of promotions, read and checked with its place."""

import pytest

from delivery.config_gates import Freeze, Upstreams
from delivery.config_reading import read_configuration
from delivery.errors import ConfigurationError

HEAD = "version: 1\nservices: {web: {paths: [web], build: {command: make}, run: {command: ./web}}}\n"


def problems(environments: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(f"{HEAD}{environments}\n".encode())
    return [f"{one.where.removeprefix('shipline.yaml:')}: {one.message} ({one.hint})" for one in caught.value.problems]


def test_all_of_it_is_read() -> None:
    found = read_configuration(
        f"""{HEAD}
environments:
  eu: {{}}
  us: {{}}
  production:
    tier: production
    after: {{all: [eu, us]}}
    soak_seconds: 3600
    freeze:
      - {{name: holidays, time_zone: Europe/Berlin, from: 2026-12-24, until: 2027-01-01T12:00, allow: [hotfix]}}
      - {{name: weekend, cron: "0 17 * * 5", for_seconds: 223200}}
      - {{name: company, calendar: calendars/company.ics}}
""".encode()
    ).environments["production"]
    assert (found.after, found.soak_seconds) == (Upstreams(all=["eu", "us"]), 3600)
    assert [one.model_dump(by_alias=True) for one in found.freeze] == [
        {
            "name": "holidays",
            "time_zone": "Europe/Berlin",
            "from": "2026-12-24",
            "until": "2027-01-01T12:00",
            "allow": ["hotfix"],
        },
        {"name": "weekend", "time_zone": "UTC", "cron": "0 17 * * 5", "for_seconds": 223200},
        {"name": "company", "time_zone": "UTC", "calendar": "calendars/company.ics"},
    ]


@pytest.mark.parametrize(
    ("dev", "problem"),
    [
        (
            "after: {}",
            "must be either 'all' or 'any', and is neither (write 'all: [one, other]' or 'any: [one, other]')",
        ),
        ("soak_seconds: 60", "soak_seconds is set, but nothing comes before (add 'after: ENVIRONMENT')"),
        (
            "freeze: [{name: w}]",
            "must have one of 'from' with 'until', 'cron' with 'for_seconds', 'calendar', and has none ()",
        ),
        (
            "freeze: [{name: w, calendar: x.ics, cron: 0 17 * * 5, for_seconds: 1}]",
            "'calendar', and has cron and calendar ()",
        ),
        ("freeze: [{name: w, from: 2026-12-24}]", "missing key 'until' in environments.dev.freeze[0] ()"),
        ("freeze: [{name: w, cron: 0 17 * * 5}]", "missing key 'for_seconds' in environments.dev.freeze[0] ()"),
        (
            "freeze: [{name: w, from: 24.12.2026, until: 2026-12-26}]",
            (
                "environments.dev.freeze[0].from: '24.12.2026' is neither a date nor a date and time "
                "(write 2026-12-24 or 2026-12-24T17:00)"
            ),
        ),
        (
            "freeze: [{name: w, cron: 0 25 * * 5, for_seconds: 1}]",
            (
                "environments.dev.freeze[0].cron: cron '0 25 * * 5': bad hour "
                "(five fields: minute hour day month day-of-week, for instance '0 17 * * 5')"
            ),
        ),
        (
            "freeze: [{name: w, time_zone: Europe/Berln, from: 2026-12-24, until: 2026-12-26}]",
            "environments.dev.freeze[0].time_zone: 'Europe/Berln' is not a time zone (did you mean 'Europe/Berlin'?)",
        ),
        (
            "freeze: [{name: w, calendar: https://example.org/x.ics}]",
            (
                "environments.dev.freeze[0].calendar must be the path of an .ics file in the repository, "
                "got 'https://example.org/x.ics' (write for instance 'calendars/holidays.ics')"
            ),
        ),
        ("freeze: [{name: w, calendar: ../x.ics}]", "got '../x.ics' (write for instance 'calendars/holidays.ics')"),
        (
            "freeze: [{name: w, begins: 2026-12-24, until: 2026-12-26}]",
            (
                "unknown key 'begins' in environments.dev.freeze[0] "
                "(known: allow, calendar, cron, for_seconds, from, name, time_zone, until)"
            ),
        ),
        (
            "conditions: [{name: c, cel: 'changes.all(c, c.frist', because: x}]",
            (
                "conditions[0].cel: it is no CEL expression: something is missing or wrong at character 18 "
                '(for instance: changes.all(c, c.service != "db"))'
            ),
        ),
        (
            "conditions: [{name: c, cel: relase.version == '1', because: x}]",
            (
                "environments.dev.conditions[0].cel: there is no 'relase', at character 1 "
                "(known: changes, checks, incidents, now, promotion, release)"
            ),
        ),
        (
            "freeze: [{name: w, calendar: x.ics, allow: [change]}]",
            "environments.dev.freeze[0].allow[0] must be 'hotfix', 'rollback' or 'redeploy', got the text 'change' ()",
        ),
    ],
)
def test_what_no_gate_could_judge_by_is_told(dev: str, problem: str) -> None:
    found = problems(f"environments: {{dev: {{{dev}}}}}")
    assert [one for one in found if one.endswith(problem)], found


def test_every_wrong_expression_is_told_with_its_place() -> None:
    text = """environments:
  dev:
    conditions:
      - {name: one, cel: "true", because: x}
      - name: two
        cel: size(changes
        because: x
      - {name: three, cel: nope, because: x}"""
    assert [one.partition(" environments")[0] for one in problems(text)] == ["8:14:", "10:28:"]


def test_upstreams_are_told_with_their_places() -> None:
    text = "environments:\n  dev: {}\n  eu: {tier: staging}\n  live: {after: {all: [eu, deev]}}"
    turned = "(set environments.live.tier, or turn the two round)"
    assert problems(text) == [
        f"6:24: live is for development and comes after eu, which is for staging {turned}",
        "6:28: environments.live.after.all names environment 'deev', which does not exist (did you mean 'dev'?)",
    ]


def test_environments_that_wait_for_each_other_through_several_are_a_circle() -> None:
    text = "environments:\n  dev: {}\n  eu: {after: live}\n  live: {after: {any: [eu, dev]}}"
    assert [one for one in problems(text) if "a circle" in one] == [
        "5:15: a circle: eu comes after live comes after eu (remove one of these)"
    ]


def test_a_window_reads_as_it_is_written() -> None:
    assert Freeze.model_validate({"name": "w", "from": "2026-12-24"}).begins == "2026-12-24"
