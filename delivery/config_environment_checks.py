"""Checks of environments: what no control plane could ever carry out."""

from collections.abc import Callable, Iterator

from delivery.config import Configuration, Environment
from delivery.config_findings import Finding, named, shortened
from delivery.config_gates import Upstreams
from delivery.policy import TIERS
from delivery.url_text import is_web_address
from delivery.yaml_document import Path


def environments_run_something(configuration: Configuration) -> Iterator[Finding]:
    """An environment needs a service; a repository without one (a library) is tested and versioned only."""
    if configuration.environments and not configuration.services:
        hint = "remove 'environments', or declare a service"
        yield Finding(("environments",), "there are environments, but no service to run in them", hint, at_key=True)


def router_ports_are_unique(configuration: Configuration) -> Iterator[Finding]:
    """Environments share one machine: a fixed port belongs to one service in one of them."""
    users: dict[int, str] = {}
    for environment, name, port, at in _fixed_ports(configuration):
        user = f"{name} in {environment}"
        if port in users:
            message = f"port {port} of {user} is already that of {users[port]}"
            hint = f"set environments.{environment}.services.{name}.port, or leave the port out for a free one"
            yield Finding(at, message, hint)
        users.setdefault(port, user)


def rollouts_have_time(configuration: Configuration) -> Iterator[Finding]:
    """A rollout may take longer than a service may take to get healthy."""
    for environment, policy in configuration.environments.items():
        for name, service in configuration.services.items():
            needed = service.run.health.timeout_seconds
            if needed > policy.rollout_timeout_seconds:
                at = ("environments", environment, "rollout_timeout_seconds")
                message = f"{named(at)} is {policy.rollout_timeout_seconds:g}, but {name} may take {needed:g} to start"
                yield Finding(at, message, f"allow more than {needed:g} seconds")


def tiers_do_not_go_down(configuration: Configuration) -> Iterator[Finding]:
    """What production has verified has no use for being tried in a lesser environment afterwards."""
    for name, environment in configuration.environments.items():
        for at, earlier in named_before(name, environment):
            before = configuration.environments.get(earlier)
            if before and TIERS.index(environment.tier) < TIERS.index(before.tier):
                message = f"{name} is for {environment.tier} and comes after {earlier}, which is for {before.tier}"
                yield Finding(at, message, f"set environments.{name}.tier, or turn the two round")


def named_before(name: str, environment: Environment) -> Iterator[tuple[Path, str]]:
    """Where an environment names one that comes before it, and which."""
    at: Path = ("environments", name, "after")
    match environment.after:
        case str() as single:
            yield at, single
        case Upstreams() as several:
            yield from (((*at, "all", number), one) for number, one in enumerate(several.all))
            yield from (((*at, "any", number), one) for number, one in enumerate(several.any))


def addresses_can_be_opened(configuration: Configuration) -> Iterator[Finding]:
    """What is shown to people as an environment's address is one."""
    for name, environment in configuration.environments.items():
        if environment.url is not None and not is_web_address(environment.url):
            at = ("environments", name, "url")
            message = f"{named(at)} must be an http or https address, got '{shortened(environment.url)}'"
            yield Finding(at, message, "write it whole, for instance 'https://shop.example'")


def _fixed_ports(configuration: Configuration) -> Iterator[tuple[str, str, int, Path]]:
    """Environment, service, its router's port there, and where that is said."""
    for environment, declared in configuration.environments.items():
        for name, service in configuration.services.items():
            added = declared.services.get(name)
            if added and added.port:
                yield environment, name, added.port, ("environments", environment, "services", name, "port")
            elif service.run.port:
                yield environment, name, service.run.port, ("services", name, "run", "port")


ENVIRONMENT_CHECKS: tuple[Callable[[Configuration], Iterator[Finding]], ...] = (
    environments_run_something,
    router_ports_are_unique,
    rollouts_have_time,
    tiers_do_not_go_down,
    addresses_can_be_opened,
)
