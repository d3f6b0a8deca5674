import socket

import pytest

from delivery.errors import ConfigurationError
from shipline.control.settings import ControlSettings, PrefectAddress, free_port, listen, listen_for_people


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


def test_prefect_moves_when_its_port_is_taken_at_a_start_and_stays_otherwise() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = int(busy.getsockname()[1])
        address = PrefectAddress(port)
        moved = address.choose()
    assert moved not in {0, port}
    assert address.choose() == moved
    assert address.url == f"http://127.0.0.1:{moved}"


def test_prefects_port_that_was_asked_for_and_is_taken_is_said_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = int(busy.getsockname()[1])
        address = PrefectAddress(port, wanted=port)
        said = rf"starting Prefect: port {port} \(SHIPLINE_PREFECT_PORT\) is taken"
        with pytest.raises(ConfigurationError, match=said):
            address.choose()
    assert address.choose() == port


def test_what_is_accepted_sends_small_answers_at_once() -> None:
    """Asyncio does not know the socket as TCP, and would leave a delay of 40 ms on."""
    for listening in (listen(ControlSettings(), None), listen_for_people(ControlSettings(), None)):
        with listening, socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
