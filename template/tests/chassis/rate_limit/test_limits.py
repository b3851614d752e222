"""Limits of a running service that counts in its own process."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

import pytest

from app.chassis.app import create_app
from app.chassis.rate_limit.limiter import network_of
from app.chassis.settings import ChassisSettings, SettingsError, load_settings
from app.chassis.testing import Client, ServiceProcess

PROGRAM = "tests.chassis.rate_limit.program"
SECRET = "k3Jd9-x2Qm7Lw5Zt"


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """The program, behind one proxy; nobody may ask a route more than three times, unless it has its own rule."""
    given = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_DEFAULT": "3/day", "SECURITY_TRUSTED_PROXIES": "1"}
    folder = tmp_path_factory.mktemp("limited")
    with ServiceProcess(
        folder, module=PROGRAM, SECURITY_CORS_ORIGINS="https://app.example.com", OPERATIONS_TOKEN=SECRET, **given
    ) as service:
        yield service


@pytest.fixture
def client(limited: ServiceProcess) -> Client:
    """Whoever asks without a word of his own."""
    client = limited.client()
    client.headers = {}
    return client


def asked(client: Client, path: str, times: int, method: str = "GET", **headers: str) -> list[int]:
    """Statuses of so many requests; every one of a limited route says so in its headers."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    answers = [client.request(method, path, headers=sent) for _ in range(times)]
    assert all({"ratelimit", "ratelimit-policy"} <= set(answer.headers) for answer in answers)
    return [answer.status for answer in answers]


def decisions(client: Client) -> dict[str, float]:
    """The counts of `/metrics`."""
    text = client.request("GET", "/metrics", headers={"Authorization": f"Bearer {SECRET}"}).body.decode()
    found = re.findall(r'rate_limit_decisions_total\{decision="(\w+)"\} (\S+)', text)
    return {name: float(value) for name, value in found}


def test_answers_say_what_is_left_and_the_last_one_when_to_come_again(client: Client) -> None:
    """Successes and the refusal carry both headers; `Retry-After`, `retry_after` and `t` say the same."""
    before = decisions(client)
    answers = [client.request("GET", "/v1/plain", headers={"X-Subject": "ada"}) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"day";q=3;w=86400'}
    assert [re.sub(r"\d{5}$", "…", answer.headers["ratelimit"]) for answer in answers] == [
        '"day";r=2;t=…', '"day";r=1;t=…', '"day";r=0;t=…', '"day";r=0;t=…',
    ]  # fmt: skip
    refused = answers[-1]
    assert refused.headers["ratelimit"].endswith(f";t={refused.headers['retry-after']}")
    assert refused.error["code"] == "too_many_requests"
    assert refused.error["retry_after"] == int(refused.headers["retry-after"]) > 86_000
    assert refused.error["retryable"] is True
    assert refused.error["detail"] == "the limit of this route is 3/day for each caller"
    assert refused.error["expected"] == f"the same request after {refused.headers['retry-after']} seconds"
    after = decisions(client)
    assert {name: after[name] - before[name] for name in after} == {
        "allowed": 3, "refused": 1, "store_down_allowed": 0, "store_down_refused": 0,
    }  # fmt: skip


def test_callers_and_routes_are_counted_apart(client: Client) -> None:
    """By subject where one is known, else by address; and a subject named like an address is not that address."""
    assert asked(client, "/v1/plain", 4, X_Subject="bea") == [200, 200, 200, 429]
    assert asked(client, "/v1/plain", 4, X_Subject="10.1.0.1") == [200, 200, 200, 429]
    assert asked(client, "/v1/plain", 4, X_Forwarded_For="10.1.0.1") == [200, 200, 200, 429]
    assert asked(client, "/v1/plain", 4, X_Forwarded_For="10.1.0.2") == [200, 200, 200, 429]
    assert asked(client, "/v1/hundred", 1, X_Forwarded_For="10.1.0.2") == [200]
    assert asked(client, "/v1/plain", 4, X_Subject="x" * 5_000) == [200, 200, 200, 429]


def test_rule_by_address_does_not_care_who_asks(client: Client) -> None:
    """`per = "client"`: another subject from the same place has no limit of its own."""
    found = [asked(client, "/v1/address", 1, X_Forwarded_For="10.2.0.1", X_Subject=name) for name in "abc"]
    assert found == [[200], [200], [429]]
    assert asked(client, "/v1/address", 1, X_Forwarded_For="10.2.0.2", X_Subject="a") == [200]


def test_rule_for_all_counts_everybody(client: Client) -> None:
    """`per = "all"`: the third request is one too many, whoever sends it."""
    found = [asked(client, "/v1/together", 1, X_Forwarded_For=f"10.3.0.{n}", X_Subject=str(n)) for n in range(3)]
    assert found == [[200], [200], [429]]


def test_ipv6_client_is_its_network(client: Client) -> None:
    """Who has a /64 has more addresses than anybody can count."""
    found = [asked(client, "/v1/address", 1, X_Forwarded_For=f"2001:db8:0:1::{n}") for n in range(3)]
    assert found == [[200], [200], [429]]
    assert asked(client, "/v1/address", 1, X_Forwarded_For="2001:db8:0:2::1") == [200]


@pytest.mark.parametrize(
    ("client_address", "expected"),
    [
        ("192.0.2.7", "client=192.0.2.7"),
        ("::ffff:192.0.2.7", "client=192.0.2.7"),
        ("2001:db8::1", "client=2001:db8::/64"),
        ("fe80::1%eth0", "client=fe80::/64"),
        (None, "client=unknown"),
        ("a.sock", "client=unknown"),
    ],
)
def test_address_is_one_however_it_is_written(client_address: str | None, expected: str) -> None:
    """Mapped addresses are IPv4, zones are left out, and a client without an address is still somebody."""
    assert network_of(client_address) == expected


def test_several_windows_stand_in_one_field(client: Client) -> None:
    """The shortest first; the refusal names the one that says no, and the other was not counted."""
    answers = [client.request("GET", "/v1/twofold", headers={"X-Subject": "ada"}) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].headers["ratelimit-policy"] == '"12-hours";q=2;w=43200, "2-days";q=3;w=172800'
    assert re.fullmatch(r'"12-hours";r=0;t=43\d{3}, "2-days";r=1;t=172\d{3}', answers[2].headers["ratelimit"])
    assert answers[2].headers["retry-after"].startswith("43")


def test_errors_of_a_route_are_counted_and_say_what_is_left(client: Client) -> None:
    """A failed request asked something too."""
    assert asked(client, "/v1/lost", 4, X_Subject="ada") == [404, 404, 404, 429]


@pytest.mark.parametrize("path", ["/v1/no-such-route", "/no-such-route", "/v7/no-such-version"])
def test_paths_that_no_route_has_are_counted_together(client: Client, path: str) -> None:
    """Guessing paths is limited as well, another guess each time, and so are methods that a path does not have."""
    who = f"guesses {path}"
    statuses = [asked(client, f"{path}/{number}", 1, X_Subject=who)[0] for number in range(2)]
    statuses += asked(client, "/v1/plain", 1, "DELETE", X_Subject=who)
    assert statuses == ([400] * 2 if "v7" in path else [404] * 2) + [405]
    assert asked(client, f"{path}/last", 1, X_Subject=who) == [429]
    assert asked(client, "/v1/plain", 1, X_Subject=who) == [200]


def test_own_pages_are_limited_and_probes_are_not(client: Client) -> None:
    """An orchestrator may ask as often as it likes."""
    assert asked(client, "/errors", 4, X_Subject="ada") == [200, 200, 200, 429]
    for path in ("/livez", "/health", "/metrics"):
        answers = [client.request("GET", path, headers={"Authorization": f"Bearer {SECRET}"}) for _ in range(5)]
        assert {answer.status for answer in answers} == {200}
        assert not [answer for answer in answers if "ratelimit" in answer.headers]


def test_preflight_costs_nothing(client: Client) -> None:
    """Browsers send one before each kind of request."""
    sent = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET", "X-Subject": "preflight"}
    assert {client.request("OPTIONS", "/v1/plain", headers=sent).status for _ in range(5)} == {204}
    answer = client.request("GET", "/v1/plain", headers=sent)
    assert answer.headers["access-control-expose-headers"].endswith(", RateLimit, RateLimit-Policy")
    assert '"day";r=2;' in answer.headers["ratelimit"]


def test_every_operation_declares_429(client: Client) -> None:
    """So that clients are written for it."""
    contract = client.request("GET", "/v1/openapi.json", check=False).json
    operations = [operation for path in contract["paths"].values() for operation in path.values()]
    assert len(operations) == 8
    assert all("429" in operation["responses"] for operation in operations)


def test_start_says_where_it_counts(limited: ServiceProcess) -> None:
    """In the process: whoever starts a second one reads it."""
    assert limited.wait_for_line("rate limits are counted in this process alone")["level"] == "info"


def table_of(service: ServiceProcess, *options: str) -> str:
    """What `python -m app limits` prints."""
    done = service.run("limits", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_table_shows_every_limit_and_no_password(tmp_path: Path) -> None:
    """For eyes and as JSON: the team's routes, the service's own, and what no route has."""
    given = {"RATE_LIMIT_DEFAULT": "7/hour; 2/minute", "RATE_LIMIT_STORE_DOWN": "closed"}
    service = ServiceProcess(tmp_path, REDIS_URL=f"redis://:{SECRET}@127.0.0.1:9/0", RATE_LIMIT_ENABLED="1", **given)
    rows = json.loads(table_of(service, "--json"))
    assert rows[-1] == {
        "route": "any other path or method", "operation": "", "limit": "7/hour; 2/minute", "per": "caller",
        "when_store_is_down": "closed", "counted": "in Redis", "from": "RATE_LIMIT_DEFAULT",
    }  # fmt: skip
    assert {"GET /docs", "GET /errors/{code}"} <= {row["route"] for row in rows}
    assert not [row for row in rows if "/livez" in row["route"]]
    assert SECRET not in str(rows)


def test_store_that_is_away_at_the_start_is_told_then(tmp_path: Path) -> None:
    """Not at the first request, hours later; and the service starts."""
    given = {"RATE_LIMIT_ENABLED": "1", "REDIS_URL": f"redis://:{SECRET}@127.0.0.1:9/0"}
    with ServiceProcess(tmp_path, **given) as service:
        problem = service.wait_for_line("rate limit store is down")["problem"]
    assert problem.startswith("ConnectionError: Error ")
    assert not [line for line in service.lines if "counted in Redis" in line["event"] or SECRET in str(line)]


def test_switched_off_limits_nothing_and_says_so(tmp_path: Path) -> None:
    """The table stays, with a word that it is not in force."""
    done = ServiceProcess(tmp_path, RATE_LIMIT_ENABLED="false").run("limits")
    assert done.returncode == 0
    assert "any other path or method" in done.stdout
    assert done.stderr == "RATE_LIMIT_ENABLED is false: nothing of this is in force\n"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("RATE_LIMIT_DEFAULT", "often", "RATE_LIMIT_DEFAULT: is not a limit; expected 1/second to"),
        ("RATE_LIMIT_STORE_DOWN", "ajar", "RATE_LIMIT_STORE_DOWN: is not one of the choices; expected 'open' or"),
        ("RATE_LIMIT_STORE_TIMEOUT_SECONDS", "0", "RATE_LIMIT_STORE_TIMEOUT_SECONDS: is too small; expected more than"),
        *(
            ("REDIS_URL", url, "REDIS_URL: names no Redis that could be reached; expected redis://USER:PASSWORD@HOST")
            for url in (
                f"http://:{SECRET}@cache/0", f"redis://:{SECRET}@/0", f"redis://:{SECRET}/x@cache/0", "cache:6379",
                f"redis://:{SECRET}@cache:port/0", f"redis://:{SECRET}@cache/first", f"redis://:{SECRET}@cache/0?db=x",
                f"redis://:{SECRET}@cache/0?password={SECRET}", f"redis://:{SECRET}@cache/0#1", "unix://",
                f"redis://:{SECRET}@cache:99999/0", f"redis://:{SECRET}#1@cache/0", "redis://a b",
                f"redis://:{SECRET}%zz@cache/0", f"rediss://:{SECRET}@cache/0?ssl_ca_certs=/no/such/file",
            )
        ),
    ],
)  # fmt: skip
def test_setting_that_cannot_be_used_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    """With its name and what is expected, never with its value."""
    monkeypatch.setenv("ENV_FILE", "")
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings(ChassisSettings)
    assert str(caught.value).startswith(expected)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache",
        "redis://u:p%40ss@cache:6379/3",
        f"rediss://:p@cache/0?ssl_ca_certs={quote(__file__)}",
        "unix:///a.sock?db=1",
    ],
)
def test_usual_redis_urls_are_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Plain, with a user, TLS with an authority of one's own, a socket."""
    monkeypatch.setenv("ENV_FILE", "")
    monkeypatch.setenv("REDIS_URL", url)
    assert load_settings(ChassisSettings).redis_url == url


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            'operation = "nothing"\nlimit = "1/day"',
            "operation 'nothing' is named but v1 has no such route; expected each",
        ),
        ('operation = "openapi"\nlimit = "1/day"', "operation 'openapi' is named but v1 has no such route"),
        ('operation = "lost"\nlimit = "often"', "limits.1.limit is not a limit; expected 1/second to"),
        (
            'operation = "lost"\nlimit = "1/day"\nper = "cat"',
            "limits.1.per is not one of the choices; expected 'caller'",
        ),
        ('operation = "lost"\nlimits = "1/day"', "limits.1.limit is missing; expected a value"),
        ('operation = "lost"\nlimit = 5', "limits.1.limit is not a text; expected a text"),
        ('operation = "lost"\nlimit = "1/day"\nwhen_store_is_down = "x"', "limits.1.when_store_is_down is not one of"),
        ('operation = "lost"\nlimit = "1/day"\n[[limits]]\noperation = "lost"\nlimit = "2/day"', "named a second time"),
        ("operation = lost", "cannot be read: "),
    ],
)
def test_file_that_cannot_be_used_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, table: str, expected: str
) -> None:
    """With its name, the place in it, and what is expected."""
    said = refused(monkeypatch, tmp_path, "api/v1/things/limits.toml", f"[[limits]]\n{table}\n")
    assert said.startswith("api/v1/things/limits.toml: ")
    assert expected in said


def test_file_that_nothing_reads_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever puts it one folder too high would think that it is in force."""
    said = refused(monkeypatch, tmp_path, "api/limits.toml", "")
    assert "limits.toml: nothing reads it there; expected it beside the routes of a version" in said


def refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str, text: str) -> str:
    """Why a service with such a file does not start."""
    name = f"program_{abs(hash(tmp_path))}"
    shutil.copytree(Path(str(import_module(PROGRAM).__file__)).parent, tmp_path / name)
    (tmp_path / name / file).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ENV_FILE", "")
    with pytest.raises(SettingsError) as caught:
        create_app(settings=ChassisSettings, api=f"{name}.api", domains="app.domains")
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]
    return str(caught.value)
