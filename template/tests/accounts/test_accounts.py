"""The accounts over HTTP: registration, log-in, renewal, log-out."""

import itertools
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.chassis.testing import Client, ServiceProcess

_numbers = itertools.count()
PASSWORD = "nine brass plumb bobs"


def credentials(**changes: Any) -> dict[str, Any]:
    """E-mail and password of an account that is not there yet."""
    return {"email": f"caller{next(_numbers)}@example.com", "password": PASSWORD} | changes


def registered(client: Client, **changes: Any) -> dict[str, Any]:
    """E-mail and password of an account that the service has."""
    given = credentials(**changes)
    answer = client.request("POST", "/accounts", json_body=given)
    assert answer.status == 201, answer
    return given


def logged_in(client: Client, **changes: Any) -> dict[str, Any]:
    """The tokens of somebody who has just registered and logged in."""
    answer = client.request("POST", "/tokens", json_body=registered(client, **changes))
    assert answer.status == 200, answer
    tokens: dict[str, Any] = answer.data
    return tokens


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    """Headers of a request by the caller."""
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def test_registered_caller_logs_in_and_reads_itself(client: Client) -> None:
    """The token stands for the account; the e-mail address is told in lower case, the password never."""
    tokens = logged_in(client, email="Grace.Hopper@Example.com")
    own = client.request("GET", "/accounts/me", headers=bearer(tokens))
    assert (own.status, own.data["email"]) == (200, "grace.hopper@example.com")
    assert set(own.data) == {"id", "email", "created_at"}
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 900, "items:write")


def test_token_does_what_its_scopes_say(client: Client) -> None:
    """A log-in gives the scopes of the account, and they open what asks for them; items may be open, or gone."""
    tokens = logged_in(client)
    item, other = ({"name": f"By {who}", "contact_email": "ada@example.com"} for who in ("a caller", "anybody"))
    assert client.request("POST", "/items", json_body=other, headers={"Authorization": ""}).status in (201, 401, 404)
    assert client.request("POST", "/items", json_body=item, headers=bearer(tokens)).status in (201, 404)


def test_address_is_taken_whatever_its_case(client: Client) -> None:
    """One mailbox, one account."""
    given = registered(client)
    again = client.request("POST", "/accounts", json_body=given | {"email": given["email"].upper()})
    assert (again.status, again.error["code"]) == (409, "account_email_taken")


@pytest.mark.parametrize(
    ("password", "codes"),
    [
        ("aaaaaaaaaaaaaaa", ["password_repeats"]),
        ("Password123!", ["password_common"]),
        ("1qwertyuiop2", ["password_common"]),
        ("ada.lovelace1", ["password_has_email"]),
        ("callercaller", ["password_has_email", "password_repeats"]),
        ("passwordpassword", ["password_common"]),
        ("p@ssw0rd1234", ["password_common"]),
        ("1q2w3e4r5t6y", ["password_common"]),
        ("qwerty123456qwerty", ["password_common"]),
        ("123456789012", ["password_common"]),
    ],
)
def test_weak_password_is_told_rule_by_rule(client: Client, password: str, codes: list[str]) -> None:
    """Each broken rule has its own words; the password is in none of them."""
    email = "ada.lovelace@example.com" if "ada" in password else "caller@example.com"
    answer = client.request("POST", "/accounts", json_body={"email": email, "password": password})
    assert (answer.status, answer.error["code"]) == (422, "password_weak")
    assert sorted(field["code"] for field in answer.error["fields"]) == codes
    assert {field["pointer"] for field in answer.error["fields"]} == {"/password"}
    assert password not in answer.body.decode()


@pytest.mark.parametrize("password", ["short", "x" * 129, "", None, 7])
def test_password_of_another_form_is_told(client: Client, password: Any) -> None:
    """Length and type stand in the contract."""
    answer = client.request("POST", "/accounts", json_body=credentials(password=password))
    assert (answer.status, answer.error["code"]) == (422, "validation_failed")
    assert answer.error["fields"][0]["pointer"] == "/password"


def test_unknown_address_and_wrong_password_are_one_answer(client: Client) -> None:
    """Nobody learns who has an account."""
    given = registered(client)
    wrong = client.request("POST", "/tokens", json_body=given | {"password": "another password"})
    unknown = client.request("POST", "/tokens", json_body=credentials())
    assert (wrong.status, wrong.error["code"]) == (401, "credentials_wrong")
    assert wrong.error == unknown.error
    assert wrong.headers["www-authenticate"] == unknown.headers["www-authenticate"]


def test_renewal_gives_the_next_pair_and_a_stolen_one_ends_all(client: Client) -> None:
    """The newest refresh token is good once; one that comes again later ends the log-in (tests/chassis/auth)."""
    first = logged_in(client)
    second = client.request("POST", "/tokens/renewal", json_body={"refresh_token": first["refresh_token"]})
    assert second.status == 200
    assert second.data["refresh_token"] != first["refresh_token"]
    assert client.request("GET", "/accounts/me", headers=bearer(second.data)).status == 200
    third = client.request("POST", "/tokens/renewal", json_body={"refresh_token": second.data["refresh_token"]})
    assert third.status == 200
    stolen = client.request("POST", "/tokens/renewal", json_body={"refresh_token": first["refresh_token"]})
    assert (stolen.status, stolen.error["code"]) == (401, "refresh_token_invalid")
    ended = client.request("POST", "/tokens/renewal", json_body={"refresh_token": third.data["refresh_token"]})
    assert ended.status == 401


def test_log_out_ends_the_renewals(client: Client) -> None:
    """And says nothing of a token that nobody has."""
    tokens = logged_in(client)
    for token in (tokens["refresh_token"], "not.known"):
        assert client.request("POST", "/tokens/end", json_body={"refresh_token": token}).status == 204
    answer = client.request("POST", "/tokens/renewal", json_body={"refresh_token": tokens["refresh_token"]})
    assert answer.status == 401


def test_caller_without_an_account_is_told(client: Client) -> None:
    """A token may be good and its subject have no account here."""
    answer = client.request("GET", "/accounts/me")
    assert (answer.status, answer.error["code"]) == (404, "account_not_found")


@pytest.mark.parametrize("password", ["7391846205 81", "пароль из восьми слов", "secretary of the interior"])
def test_other_passwords_are_taken(client: Client, password: str) -> None:
    """Any letters, or none."""
    registered(client, password=password)


@pytest.mark.engines("sqlite", "postgresql")
def test_one_connection_is_enough_for_who_logs_in(tmp_path: Path, database_url: str) -> None:
    """A log-in holds none while it waits for its hash, and never two: else many at once would starve everybody."""
    one = {"DATABASE_READ_CONNECTIONS": "1", "DATABASE_POOL_SIZE": "1", "DATABASE_POOL_OVERFLOW": "0"}
    with ServiceProcess(tmp_path, DATABASE_URL=database_url, **one) as service:
        given = registered(service.client())

        def log_in(_: int) -> int:
            return service.client().request("POST", "/tokens", json_body=given).status

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(log_in, range(8))) == {200}


@pytest.mark.engines("sqlite")
def test_renewal_asks_what_the_account_may_do_now(tmp_path: Path, database_url: str) -> None:
    """Not what it might do at the log-in; an account that is gone gets nothing."""
    with ServiceProcess(tmp_path, DATABASE_URL=database_url) as service:
        client = service.client()
        tokens = logged_in(client)
        database = Path(database_url.partition("///")[2])
        for statement, status in (("UPDATE accounts SET scopes = ''", 200), ("DELETE FROM accounts", 401)):
            with closing(sqlite3.connect(database, isolation_level=None)) as connection:
                connection.execute(statement)
            answer = client.request("POST", "/tokens/renewal", json_body={"refresh_token": tokens["refresh_token"]})
            assert answer.status == status
            tokens = answer.data if status == 200 else tokens
            assert tokens["scope"] == ""
