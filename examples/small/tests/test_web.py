"""The web service."""
# ruff: noqa: PT009  # unittest's own assertions: the example has no dependencies

import os
import unittest
from unittest import mock

from web.pages import ROUTES

from tests.asking import running


class WebTest(unittest.TestCase):
    """What a visitor gets."""

    def test_the_front_page_is_open(self) -> None:
        """The first thing that anybody asks."""
        with running(ROUTES) as client:
            self.assertEqual(client.get("/"), (200, {"title": "Small shop", "open": True}))

    def test_it_is_healthy(self) -> None:
        """What the router asks."""
        with running(ROUTES) as client:
            self.assertEqual(client.get("/healthz"), (200, {"ok": True}))

    def test_it_tells_its_version(self) -> None:
        """The version comes from configuration."""
        with mock.patch.dict(os.environ, APP_VERSION="1.2.3"), running(ROUTES) as client:
            self.assertEqual(client.get("/version"), (200, {"service": "web", "version": "1.2.3"}))

    def test_what_is_not_there_is_not_found(self) -> None:
        """No page, no answer of another page."""
        with running(ROUTES) as client:
            self.assertEqual(client.get("/nothing"), (404, {"error": "no /nothing here"}))
