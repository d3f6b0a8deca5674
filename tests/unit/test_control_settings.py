import socket

import pytest

from delivery.errors import ConfigurationError
from shipline.control.settings import ControlSettings, free_port, listen


def test_nothing_set_means_loopback_and_a_free_port() -> None:
    settings = ControlSettings.from_environment({})
    assert (settings.host, settings.port, settings.database_url) == ("127.0.0.1", None, None)


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", "80 ", "٨٠"])
def test_what_is_no_port_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match="reading SHIPLINE_PORT: it must be a port"):
        ControlSettings.from_environment({"SHIPLINE_PORT": text})


def test_the_port_used_last_is_taken_again_unless_it_is_busy() -> None:
    with listen(ControlSettings(), None) as first:
        port = first.getsockname()[1]
        with listen(ControlSettings(), port) as second:
            assert second.getsockname()[1] != port
    with listen(ControlSettings(), port) as again:
        assert again.getsockname()[1] == port


def test_a_port_that_was_asked_for_and_is_busy_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"listening on 127.0.0.1:{port}: address already in use"):
            listen(ControlSettings(port=port), None)


def test_a_free_port_prefers_what_was_used_last() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = int(busy.getsockname()[1])
        assert free_port(None, port) != port
    assert free_port(None, port) == port
    assert free_port(4200, port) == 4200
