"""Registry logins, as headers and as skopeo's file."""

from __future__ import annotations

import base64

import pytest

from api.errors import Invalid
from api.registry_auth import Login, auth_json, header_of, is_for, login_of


@pytest.mark.parametrize("login", [Login("me", "pä:ss"), Login(identitytoken="tok")])
def test_a_header_brings_the_login_back(login: Login) -> None:
    assert login_of(header_of(login)) == login
    assert login_of(header_of(login).rstrip("=")) == login


@pytest.mark.parametrize("header", ["", "e30=", base64.urlsafe_b64encode(b'{"serveraddress": "reg"}').decode()])
def test_no_login_is_none(header: str) -> None:
    assert login_of(header) is None


def test_what_is_no_login_is_refused() -> None:
    with pytest.raises(Invalid, match="X-Registry-Auth: not base64 of a JSON object"):
        login_of("bm90IGpzb24=")


def test_the_file_is_for_one_registry_and_a_login_is_not_printed() -> None:
    file = auth_json(Login("me", "word"), "reg:5000")
    assert file == b'{"auths":{"reg:5000":{"auth":"bWU6d29yZA=="}}}'
    assert is_for(file, "reg:5000")
    assert not is_for(file, "reg")
    assert not is_for(b"", "reg")
    assert "word" not in repr(Login("me", "word"))
    assert b"identitytoken" in auth_json(Login(identitytoken="t"), "reg")


def test_a_login_s_keys_are_read_in_any_case_and_others_ignored() -> None:
    header = base64.urlsafe_b64encode(b'{"Username":"me","password":"word","serveraddress":"x","auth":""}').decode()

    assert login_of(header) == Login("me", "word")
