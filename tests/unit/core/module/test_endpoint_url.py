import pytest

from statefun_runtime.core.module.endpoint_url import EndpointUrl


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://fns", EndpointUrl("fns", 80, "/", "fns")),
        ("https://fns/a?b=c#d", EndpointUrl("fns", 443, "/a?b=c#d", "fns", True)),
        ("https://fns:8443/", EndpointUrl("fns", 8443, "/", "fns:8443", True)),
        ("http://[::1]:9000/a", EndpointUrl("::1", 9000, "/a", "[::1]:9000")),
        ("http+unix:///run/fn.sock", EndpointUrl("", 0, "/", "unused", socket="/run/fn.sock")),
        (
            "http+unix:///run/fn.sock/statefun?a=b",
            EndpointUrl("", 0, "/statefun?a=b", "unused", socket="/run/fn.sock"),
        ),
        (
            "https+unix:/run/my%20fn.sock/a/b.sock",
            EndpointUrl("", 0, "/a/b.sock", "unused", socket="/run/my fn.sock"),
        ),
    ],
)
def test_a_url_says_where_to_connect_and_what_to_ask_for(url: str, expected: EndpointUrl):
    assert EndpointUrl.parse(url) == expected


def test_a_socket_has_to_be_named():
    with pytest.raises(ValueError) as raised:
        EndpointUrl.parse("http+unix:///run/fn/statefun")

    assert str(raised.value) == "names no socket: no part of its path ends in .sock"


@pytest.mark.parametrize(
    ("url", "written", "authority"),
    [
        ("http://fns:80/a#b", "http://fns/a#b", "fns:80"),
        ("https://fns:8443", "https://fns:8443/", "fns:8443"),
        ("https+unix:///run/fn.sock/a", "http://unused/a", "/run/fn.sock"),
    ],
)
def test_a_url_is_written_as_http_has_it(url: str, written: str, authority: str):
    assert str(EndpointUrl.parse(url)) == written
    assert EndpointUrl.parse(url).authority == authority
