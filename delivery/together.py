"""Sets: services that say of each other that they travel together move together, or not at all."""

from collections.abc import Mapping

from delivery.config import Service


def set_of(services: Mapping[str, Service], name: str) -> frozenset[str]:
    """A service and all that have to travel with it, whichever of two says so; itself alone when nobody does."""
    found, looked_at = {name}, set[str]()
    while left := found - looked_at:
        one = left.pop()
        looked_at.add(one)
        named = services[one].together_with if one in services else []
        found |= {*named, *(other for other, service in services.items() if one in service.together_with)}
    return frozenset(found & services.keys() | {name})
