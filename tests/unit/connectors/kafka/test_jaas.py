"""JAAS configurations, as Java writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statefun_runtime.connectors.kafka.settings.jaas import Login, parse_login

PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (f'{PLAIN} required username="a" password="b";', {"username": "a", "password": "b"}),
        (f"  {PLAIN}\n  REQUIRED\n  username=a  ;  ", {"username": "a"}),
        (
            f"shaded.{PLAIN} required username='a\"b' password = \"c'd\";",
            {"username": 'a"b', "password": "c'd"},
        ),
        (f'{PLAIN} required p="a\\"b\\\\c\\n\\101;=";', {"p": 'a"b\\c\nA;='}),
        (f"{PLAIN} required;", {}),
    ],
)
def test_a_login_is_read_with_its_options(text: str, options: dict[str, str]):
    assert parse_login(text) == Login("PlainLoginModule", options)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it names no login module"),
        (";", "it names no login module"),
        (
            f"{PLAIN} needed;",
            "behind the login module one of required, requisite, sufficient, optional must stand",
        ),
        (f"{PLAIN} required a=b", "it does not end with ';'"),
        (f"{PLAIN} required a;", "option 1 is not of the form name=value"),
        (f"{PLAIN} required a=b c=;", "option 2 is not of the form name=value"),
        (f'{PLAIN} required a="b;', "a quotation mark is not closed"),
        (f"{PLAIN} required; {PLAIN} required;", "it names more than one login module"),
    ],
)
def test_what_cannot_be_read_is_refused_without_being_shown(text: str, problem: str):
    with pytest.raises(ValueError) as refused:
        parse_login(text)
    assert str(refused.value) == problem


@given(st.text())
def test_any_password_can_be_quoted(password: str):
    quoted = password.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_login(f'{PLAIN} required p="{quoted}";').options == {"p": password}


def test_a_login_shows_no_secret():
    assert "hidden" not in repr(parse_login(f"{PLAIN} required password=hidden;"))
