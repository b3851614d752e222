"""Settings: one clear line for each that cannot be used, exit code 2, and never a value."""

import json
import re
import signal
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.chassis.about import project_root
from app.chassis.cli.show import unknown_names
from app.chassis.database.settings import DatabaseSettings
from app.chassis.observability.settings import LogSettings
from app.chassis.security.settings import SecuritySettings
from app.chassis.settings import ChassisSettings, ServerSettings, SettingsError, load_settings
from app.chassis.testing import Outcome, ServiceProcess, at_once

TOKEN = "k3Jd9-x2Qm7Lw5Zt"
GOOD = {"ENVIRONMENT": "production", "SECURITY_ALLOWED_HOSTS": "api.example.com", "OPERATIONS_TOKEN": TOKEN}
SIGNING_SECRET = "p8Vb4-n6Rc1Hy0Gs"


class TeamSettings(ChassisSettings):
    """A team's settings with secrets and a number of its own."""

    signing_secret: SecretStr = SecretStr("development-signing-secret")
    retries: int = 3
    weights: tuple[float, ...] = ()
    api_keys: tuple[SecretStr, ...] = ()


def problems(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    """What load_settings says of these variables."""
    monkeypatch.setenv("ENV_FILE", "")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings(TeamSettings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PORT", "http", "PORT: is not a whole number; expected a whole number"),
        ("PORT", "65536", "PORT: is too large; expected 65535 or less"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL: is not one of the choices; expected 'debug', 'info', 'warning' or 'error'"),
        ("ENVIRONMENT", "prod", "ENVIRONMENT: is not one of the choices"),
        ("SERVER_DRAIN_SECONDS", "soon", "SERVER_DRAIN_SECONDS: is not a number; expected a number"),
        ("SECURITY_MAX_BODY_BYTES", "-1", "SECURITY_MAX_BODY_BYTES: is too small; expected 0 or more"),
        ("DATABASE_URL", "mysql://u:hunter2@db/x", "DATABASE_URL: names a database this release cannot use; expected"),
        (
            "API_DEFAULT_VERSION",
            "latest",
            "API_DEFAULT_VERSION: is not the name of a version; expected a name such as v1",
        ),
        ("RETRIES", "many", "RETRIES: is not a whole number; expected a whole number"),
        ("WEIGHTS", "hunter2", "WEIGHTS: is not JSON; expected JSON"),
        ("ENV_FILE", "/hunter2", "ENV_FILE: names no file; expected the path of a file"),
        ("ENV_FILE", "/", "ENV_FILE: names no file; expected the path of a file"),
        ("ENV_FILE", "hunter2" * 50, "ENV_FILE or .env: cannot be read: OSError; expected UTF-8 text"),
        *(
            ("HOST", host, "HOST: is not a host; expected a host name or address of 1 to 253 characters")
            for host in ("ü" * 70, "x" * 64, "x." * 127, "a..b", "a b", "http://hunter2", "[::1]", "a\nb")
        ),
        *(
            ("DATABASE_URL", f"sqlite+aiosqlite://{rest}", "DATABASE_URL: names a database this release cannot use; ex")
            for rest in ("", "/", "/:memory:", "/file:x", "/x?timeout=hunter2", "/x/", "/x%00", "/x\n", "u:p@h/x")
        ),
    ],
)
def test_wrong_value_names_the_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str) -> None:
    """The team's settings are treated like the chassis'."""
    told = problems(monkeypatch, **{name: value})
    assert told.startswith(expected)
    assert "hunter2" not in told


@pytest.mark.parametrize("settings", [ServerSettings, SecuritySettings, DatabaseSettings, LogSettings])
@pytest.mark.parametrize("value", ["9" * 15, "inf", "nan"])
def test_every_number_has_a_largest_value(
    monkeypatch: pytest.MonkeyPatch, settings: type[ServerSettings], value: str
) -> None:
    """Beyond it the service would fail later, or never stop. The message names the bound."""
    kinds = (int, float) if value.isdigit() else (float,)
    numbers = [name.upper() for name, field in settings.model_fields.items() if field.annotation in kinds]
    told = problems(monkeypatch, **dict.fromkeys(numbers or ["PORT"], value))
    assert re.findall(r"^([A-Z_]+): is too large; expected [\d.]+ or less$", told, re.MULTILINE) == numbers


def test_every_wrong_value_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wants to find them one start at a time."""
    assert problems(monkeypatch, PORT="x", LOG_LEVEL="y").count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"OPERATIONS_TOKEN": ""}, "OPERATIONS_TOKEN: is missing"),
        ({"OPERATIONS_TOKEN": "change-me-please-now"}, "OPERATIONS_TOKEN: still has its placeholder"),
        ({"OPERATIONS_TOKEN": "tiny-one"}, "OPERATIONS_TOKEN: is too short"),
        ({"OPERATIONS_TOKEN": " " * 20}, "OPERATIONS_TOKEN: is missing"),
        ({"OPERATIONS_TOKEN": "a" * 20}, "OPERATIONS_TOKEN: is too short or too simple; expected 16"),
        ({"SIGNING_SECRET": "development-signing-secret"}, "SIGNING_SECRET: still has its placeholder"),
        ({"API_KEYS": f'["{TOKEN}", "tiny"]'}, "API_KEYS: is too short or too simple; expected 16"),
        ({"SIGNING_SECRET": f"tiny{' ' * 20}"}, "SIGNING_SECRET: is too short or too simple; expected 16"),
    ],
)
def test_production_refuses_weak_secrets(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], expected: str
) -> None:
    """Missing, placeholder, short: which one is told, and never what it is."""
    told = problems(monkeypatch, **(GOOD | {"SIGNING_SECRET": SIGNING_SECRET} | changes))
    assert told.startswith(expected)
    assert not any(value and value in told for value in changes.values())


def test_production_wants_its_host_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default names are a developer's machine."""
    environment = {name: value for name, value in GOOD.items() if name != "SECURITY_ALLOWED_HOSTS"}
    assert "SECURITY_ALLOWED_HOSTS: is missing" in problems(monkeypatch, **environment, SIGNING_SECRET=SIGNING_SECRET)


def _bad_settings_stop_the_service_with_exit_code_2(tmp_path: Path) -> None:
    done = ServiceProcess(tmp_path, PORT="http", LOG_LEVEL="loud").run("serve")
    assert done.returncode == 2
    assert "PORT: is not a whole number" in done.stderr
    assert "LOG_LEVEL" in done.stderr
    assert "Traceback" not in done.stderr


def test_unreadable_env_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is no text is one message too."""
    file = tmp_path / "broken.env"
    file.write_bytes(b"PORT=\xff\xfe")
    monkeypatch.setenv("ENV_FILE", str(file))
    with pytest.raises(SettingsError, match=r"^ENV_FILE or \.env: cannot be read: UnicodeDecodeError; "):
        load_settings(TeamSettings)


def test_env_file_may_begin_with_a_byte_order_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Editors on Windows write one; the first line counts, and is no unknown name."""
    file = tmp_path / "marked.env"
    file.write_text("RETRIES=7\n", encoding="utf-8-sig")
    monkeypatch.setenv("ENV_FILE", str(file))
    assert load_settings(TeamSettings).retries == 7
    assert list(unknown_names()) == [f"{file}: RETRIES is read by no setting"]


def test_missing_default_file_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a file that was named must be there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENV_FILE", raising=False)
    assert load_settings(TeamSettings).retries == 3


def test_token_is_taken_without_the_spaces_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """No client could send them."""
    monkeypatch.setenv("ENV_FILE", "")
    monkeypatch.setenv("OPERATIONS_TOKEN", f" {GOOD['OPERATIONS_TOKEN']}\n")
    token = load_settings(TeamSettings).operations_token
    assert token is not None
    assert token.get_secret_value() == GOOD["OPERATIONS_TOKEN"]


def _settings_are_listed_without_secrets(tmp_path: Path) -> None:
    file = tmp_path / "test.env"
    secret = "OPERATIONS_TOKEN='hunter2\nhunter2=hunter2\nhunter2'"
    file.write_text(f"LOG_LEVL=debug\n{secret}\nhunter2\n", encoding="utf-8")
    done = ServiceProcess(tmp_path, ENV_FILE=str(file)).run("settings")
    assert done.returncode == 0
    assert "OPERATIONS_TOKEN" in done.stdout
    assert "hunter2" not in (done.stdout + done.stderr).lower()
    assert "LOG_LEVL is read by no setting; did you mean LOG_LEVEL?" in done.stderr


def test_env_example_names_every_setting() -> None:
    """The example file shows each chassis setting once, with the default it has."""
    text = (project_root() / ".env.example").read_text(encoding="utf-8")
    shown = {line.lstrip("# ").partition("=")[0] for line in text.splitlines() if "=" in line}
    missing = {name.upper() for name in ChassisSettings.model_fields} - shown
    assert missing == set()


def test_env_example_works_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking the `#` away from every setting changes nothing: each shows its default, and empty means unset."""
    text = (project_root() / ".env.example").read_text(encoding="utf-8")
    lines = [line.lstrip("# ") for line in text.splitlines() if re.match(r"#? ?[A-Z_]+=", line)]
    file = tmp_path / "all.env"
    file.write_text("\n".join(lines), encoding="utf-8")
    for name in ChassisSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ENV_FILE", str(file))
    shown = load_settings(ChassisSettings)
    monkeypatch.setenv("ENV_FILE", "")
    assert shown == load_settings(ChassisSettings)


@pytest.mark.parametrize("value", ["", ",", " , "])
def test_no_host_at_all_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A service that answers to no name would refuse everybody while its probes look well."""
    environment = GOOD | {"SIGNING_SECRET": SIGNING_SECRET, "SECURITY_ALLOWED_HOSTS": value}
    assert problems(monkeypatch, **environment).startswith("SECURITY_ALLOWED_HOSTS: ")


def test_every_setting_says_what_it_means() -> None:
    """`python -m app settings` has a sentence for each."""
    assert [name for name, field in ChassisSettings.model_fields.items() if not field.description] == []


def _more_than_one_process_is_refused(tmp_path: Path) -> None:
    done = ServiceProcess(tmp_path, WEB_CONCURRENCY="4").run("serve")
    assert done.returncode == 2
    assert "WEB_CONCURRENCY" in done.stderr


def _looking_at_the_service_changes_nothing(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path, DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/new/app.db")
    done = service.run("routes", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)
    assert list(tmp_path.iterdir()) == []


def _service_in_production_starts_and_guards_its_metrics(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path, **GOOD) as service:
        client = service.client()
        assert client.request("GET", "/livez").status == 200
        refused = client.request("GET", "/metrics")
        assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
        token = {"Authorization": f"Bearer {GOOD['OPERATIONS_TOKEN']}"}
        assert b"http_request_duration_seconds_bucket" in client.request("GET", "/metrics", headers=token).body
        assert service.stop(signal.SIGINT) == 0  # Ctrl-C is a success, as a stop by the orchestrator is
        assert GOOD["OPERATIONS_TOKEN"] not in str(service.lines)


outcome = at_once(
    _bad_settings_stop_the_service_with_exit_code_2,
    _settings_are_listed_without_secrets,
    _more_than_one_process_is_refused,
    _looking_at_the_service_changes_nothing,
    _service_in_production_starts_and_guards_its_metrics,
)


def test_bad_settings_stop_the_service_with_exit_code_2(outcome: Outcome) -> None:
    """One message, no trace."""
    outcome(_bad_settings_stop_the_service_with_exit_code_2)


def test_settings_are_listed_without_secrets(outcome: Outcome) -> None:
    """`python -m app settings` shows each variable; a slip of the pen in the file is pointed at."""
    outcome(_settings_are_listed_without_secrets)


def test_more_than_one_process_is_refused(outcome: Outcome) -> None:
    """What the embedded database cannot do is told, not tried."""
    outcome(_more_than_one_process_is_refused)


def test_looking_at_the_service_changes_nothing(outcome: Outcome) -> None:
    """Loading the program makes no file; its contract says whose it is."""
    outcome(_looking_at_the_service_changes_nothing)


def test_service_in_production_starts_and_guards_its_metrics(outcome: Outcome) -> None:
    """With real values it runs, and what is for operators asks for their token."""
    outcome(_service_in_production_starts_and_guards_its_metrics)
