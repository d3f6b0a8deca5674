"""The greeter service."""
# ruff: noqa: PT009  # unittest's own assertions: the example has no dependencies

import os
import unittest
from unittest import mock

from greeter.greetings import ROUTES

from tests.asking import running


class GreeterTest(unittest.TestCase):
    """What a guest hears."""

    def test_it_greets_by_name(self) -> None:
        """The name stands in the query."""
        with running(ROUTES) as client:
            self.assertEqual(client.get("/greet?name=Ada"), (200, {"greeting": "Hello, Ada!"}))

    def test_it_greets_everybody(self) -> None:
        """No name is no error."""
        with running(ROUTES) as client:
            self.assertEqual(client.get("/greet"), (200, {"greeting": "Hello, world!"}))

    def test_its_first_word_is_configuration(self) -> None:
        """Each environment may greet in its own way."""
        with mock.patch.dict(os.environ, GREETING="Welcome"), running(ROUTES) as client:
            self.assertEqual(client.get("/greet?name=Ada"), (200, {"greeting": "Welcome, Ada!"}))

    def test_it_is_healthy(self) -> None:
        """What the router asks."""
        with running(ROUTES) as client:
            self.assertEqual(client.get("/healthz"), (200, {"ok": True}))
