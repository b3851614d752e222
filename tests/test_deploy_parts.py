"""Parts of `make deploy` that a whole deployment meets too seldom to show: what is left behind, what is elsewhere."""

import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import deploy
import deploys
import gates
import process
import programs
import pytest
import releases
import slot_process
import switching
from conftest import commit_all
from gates import Side
from releases import NotDeployedError, Release
from slots import State, load
from tools import user_environment

SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)", *process.SERVE]
RELEASE = Release("20260101T000000.000Z-0a0a0a0a", "1.0.0", "HEAD")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder for a service, where the programs of `make deploy` work; signals are as before afterwards."""
    folder = tmp_path / "service"
    (folder / "var/deploy").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", user_environment()["PATH"])
    before, hook = [signal.getsignal(each) for each in switching.ENDS], sys.unraisablehook
    yield folder
    sys.unraisablehook = hook
    for each, handler in zip(switching.ENDS, before, strict=True):
        signal.signal(each, handler)


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Let a program run that ends with the test, and with it its children."""
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True) as one:
        try:
            yield one
        finally:
            one.kill()


def test_process_of_a_release_is_found_where_var_is_a_link(folder: Path, tmp_path: Path) -> None:
    """Data on another disk: the slots' processes work there, and are this service's all the same."""
    release = tmp_path / "disk/deploy/releases/one"
    release.mkdir(parents=True)
    (folder / "var/deploy").rmdir()
    (folder / "var").rmdir()
    (folder / "var").symlink_to(tmp_path / "disk")
    with running(SLEEPS, release) as one:
        Path("var/deploy/blue.pid").write_text(str(one.pid))
        assert process.number_in(Path("var/deploy/blue.pid"), process.SERVE) == one.pid


def test_process_that_ends_while_it_is_looked_at_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was listed and has no folder any more: nothing runs, and to end it is no mistake."""
    ps = folder / "bin/ps"
    ps.parent.mkdir()
    dies = 'for pid; do :; done; kill -9 "$pid"; while readlink "/proc/$pid/cwd" >/dev/null; do :; done'
    ps.write_text(f'#!/bin/sh\necho "{" ".join(process.SERVE)}"\n{dies}\n')
    ps.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ps.parent}:{os.environ['PATH']}")
    with running(SLEEPS, folder) as one:
        Path("var/deploy/blue.pid").write_text(str(one.pid))
        assert process.number_in(Path("var/deploy/blue.pid"), process.SERVE) is None
        one.wait()
        assert process.end(one.pid, lambda: False, 1.0) == "stopped"


def test_stopped_process_takes_its_children_with_it(folder: Path) -> None:
    """A child that lived on would keep the slot's port, and no release could be started there again."""
    with running(["sh", "-c", 'sleep 600 & echo $!; trap "exit 0" TERM; wait'], folder) as one:
        child = int(one.stdout.readline())
        assert process.end(one.pid, lambda: one.poll() is None, 10.0) == "stopped"
        subprocess.run(["timeout", "10", "tail", f"--pid={child}", "-f", "/dev/null"], check=True)


def test_step_that_goes_on_after_its_program_was_killed_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that nobody waits for would hold its locks while the next one begins; also in a narrow terminal."""
    monkeypatch.setenv("COLUMNS", "40")
    with running([*SLEEPS[:3], "-m", "app", "migrate"], folder) as one:
        programs.STEP.write_text(str(one.pid))
        programs.end_left()
        assert one.wait(10) == -signal.SIGTERM
    assert not programs.STEP.exists()


def test_number_of_before_a_restart_is_not_the_other_slots_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart a slot's process may have the number that the other slot's file still holds."""
    (folder / RELEASE.folder).mkdir(parents=True)
    (folder / RELEASE.folder / releases.PROCESS).write_text('{"names": [], "values": {}}')
    monkeypatch.setattr(slot_process, "spawn", lambda *_: 4242)
    monkeypatch.setattr(slot_process.Processes, "require_free", lambda *_: None)
    Path("var/deploy/green.pid").write_text("4242\n")
    slot_process.Processes().start("blue", RELEASE)
    assert not Path("var/deploy/green.pid").exists()


def test_last_words_are_of_the_release_that_was_started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both slots write one log: neither what was there before, nor what the other answers, is the reason."""
    (folder / RELEASE.folder).mkdir(parents=True)
    (folder / RELEASE.folder / releases.PROCESS).write_text('{"names": [], "values": {}}')
    monkeypatch.setattr(slot_process, "spawn", lambda *_: 4242)
    monkeypatch.setattr(slot_process.Processes, "require_free", lambda *_: None)
    slots, log = slot_process.Processes(), Path("var/service.log")
    log.write_text("of yesterday\n")
    slots.start("blue", RELEASE)
    assert slots.last_words() == "it said nothing"
    with log.open("a") as file:
        file.write('RuntimeError: planted\n{"level":"info","logger":"access","event":"request","status":200}\n')
    assert slots.last_words() == "RuntimeError: planted"


def test_link_in_the_commit_is_not_written_through(folder: Path, tmp_path: Path) -> None:
    """A release has its own `.env` and its own `var`, whatever the commit has in their places."""
    (tmp_path / "settings").write_text("PORT=8000\n")
    (folder / "pyproject.toml").write_text("")
    commit_all(folder, "service")
    (folder / "var/deploy").rmdir()
    (folder / "var").rename(tmp_path / "data")
    (folder / "var").symlink_to(tmp_path / "data")
    (folder / ".env").symlink_to(tmp_path / "settings")
    commit_all(folder, "links")
    releases.unpack(RELEASE)
    assert not (RELEASE.folder / ".env").is_symlink()
    assert (RELEASE.folder / "var").resolve() == tmp_path / "data"


def test_commit_that_the_disk_does_not_hold_is_told_in_a_line(folder: Path) -> None:
    """tar cannot write: one sentence says so, as of every other refusal."""
    (folder / "large").write_text("large")
    commit_all(folder, "large")
    program = "import releases; releases.unpack(releases.Release('one', '1.0.0', 'HEAD'))"
    code = f"import sys; sys.path.insert(0, {str(Path(releases.__file__).parent)!r})\n{program}"
    tar = folder.parent / "bin/tar"
    tar.parent.mkdir()
    tar.write_text("#!/bin/sh\necho 'tar: large: Cannot write: No space left on device' >&2\nexit 2\n")
    tar.chmod(0o755)
    environment = os.environ | {"PATH": f"{tar.parent}:{os.environ['PATH']}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert last == (
        "releases.NotDeployedError: the commit cannot be unpacked: tar: large: Cannot write: No space left on device"
    )


@pytest.mark.parametrize("name", ["SERVER_BODY_TIMEOUT_SECONDS", "SECURITY_MAX_URL_BYTES"])
def test_setting_that_the_proxy_needs_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which one is no number, and what is expected."""
    monkeypatch.setenv(name, "many")
    with pytest.raises(ValueError, match=f"{name}: 'many' is no number; expected such as "):
        slot_process.Processes().start_proxy()


def test_listed_record_is_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    """A reason may hold whatever an operator said: no line of its own, and nothing that a terminal obeys."""
    deploys.main(["record", "--version", "1.0.0", "--result", "ok", "--reason", "one\ntwo \x1b[31m"])
    assert deploys.main([]) == 0
    assert capsys.readouterr().out.endswith("  1.0.0  ok  one two  [31m\n")


class _Stream(http.server.BaseHTTPRequestHandler):
    """Answers a path as a whole; another as one that has no end, unless the port is not to have such."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while self.path == "/stream" and not self.server.is_good:
                self.wfile.write(b"data: 1\n\n")
                time.sleep(0.05)
            self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def answering(*, is_good: bool) -> Iterator[Side]:
    """Let something answer where a release would."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Stream) as server:
        server.is_good, server.daemon_threads = is_good, True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Side(RELEASE, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def test_route_that_streams_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer that has no end is not measured; one that had an end before is a reason to refuse."""
    RELEASE.folder.mkdir(parents=True)
    (RELEASE.folder / "probes.txt").write_text("GET /stream\nGET /v1/items\n")
    monkeypatch.setattr(gates, "WHOLE_SECONDS", 0.3)
    with answering(is_good=True) as whole, answering(is_good=False) as endless:
        before, _ = gates.probed(endless, endless)
        assert (before.requests, capsys.readouterr().out) == (50, "not asked: GET /stream has no end within 0.3 s\n")
        with pytest.raises(NotDeployedError, match=r"GET /stream answered 200 before, has no end within 0\.3 s now"):
            gates.probed(whole, endless)


def test_release_is_slower_only_if_it_is_so_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment in which the machine was busy refuses nothing; what is slow each time is refused."""
    RELEASE.folder.mkdir(parents=True)
    (RELEASE.folder / "probes.txt").write_text("GET /v1/items\n")
    slow, fast = (gates.Measure(50, 0, *[seconds] * 3) for seconds in (0.2, 0.002))
    times = iter([slow, fast, fast, fast, slow, fast, fast, slow])
    monkeypatch.setattr(gates, "probe", lambda *_: next(times))
    with answering(is_good=True) as one:
        assert gates.probed(one, one) == (fast, fast)
        with pytest.raises(NotDeployedError, match="GET /v1/items is worse than before"):
            gates.probed(one, one)


def test_release_that_ends_under_clients_is_refused() -> None:
    """What is gone has no measures: that is no reason to be content with it. Nor is a folder that is gone a fault."""
    gone = Side(RELEASE, "http://127.0.0.1:9")
    with pytest.raises(NotDeployedError, match="it is no longer ready, once clients ask it: nobody answers"):
        gates.watched(gates.IDEAL, gone, gone, 1.0, lambda _: None)


class _Nothing:
    """Runs nothing: what is tested is what the state says."""

    def __getattr__(self, _: str) -> object:
        return lambda *_: "http://127.0.0.1:9"


def test_what_was_killed_while_another_was_deployed_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slot that has the requests, and the proxy: a deployment that is taken back leaves no service that is down."""
    started = []

    class Driver(_Nothing):
        start_proxy = staticmethod(lambda: started.append("proxy"))
        start = staticmethod(lambda slot, _: started.append(slot))
        is_running = staticmethod(lambda slot: slot in started)
        url = staticmethod(lambda slot: slot)

    monkeypatch.setattr(switching, "is_ready", lambda place, _: place in started)
    state = State("green", {"blue": None, "green": RELEASE.id}, {RELEASE.id: RELEASE}, [RELEASE.id])
    newer = Release("20260102T000000.000Z-0a0a0a0a", "1.1.0", "HEAD")
    with (
        pytest.raises(NotDeployedError),
        switching.Switching(Driver(), state, "make deploy").work("deploy", "blue", newer),
    ):
        raise NotDeployedError("refused")
    assert started == ["green", "proxy"]


def test_release_that_a_rollback_left_is_kept_by_a_deployment_that_fails() -> None:
    """`make rollback TO=…` can go back to it until another deployment is good; what was not good is forgotten."""
    left = Release("20260102T000000.000Z-0a0a0a0a", "1.1.0", "HEAD")
    newer = Release("20260103T000000.000Z-0b0b0b0b", "1.2.0", "HEAD")
    known = {RELEASE.id: RELEASE, left.id: left}
    whole = switching.Switching(_Nothing(), State("blue", {"blue": RELEASE.id, "green": None}, known, [RELEASE.id]), "")
    for release, verb in ((newer, "deploy"), (left, "rollback")):
        with pytest.raises(NotDeployedError), whole.work(verb, "green", release):
            raise NotDeployedError("refused")
        assert (list(load().releases), load().work) == ([RELEASE.id, left.id], None)
    with whole.work("deploy", "green", newer):
        pass
    assert list(load().releases) == [RELEASE.id, newer.id]


def test_signals_that_come_together_are_one_stop(capfd: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C twice, or a stop and a terminal that goes away: it is taken back once, and Python says nothing of it."""
    for each in switching.ENDS:
        signal.signal(each, deploy.interrupted)
    signal.pthread_sigmask(signal.SIG_BLOCK, switching.ENDS)
    for each in switching.ENDS:
        signal.pthread_kill(threading.get_ident(), each)
    with pytest.raises(KeyboardInterrupt):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, switching.ENDS)
    assert capfd.readouterr().err == ""


def test_stop_that_comes_when_it_is_recorded_does_not_take_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the record calls done stands: it is not called failed in a second line, nor left for the next command."""
    for each in switching.ENDS:
        signal.signal(each, deploy.interrupted)
    record = switching._record

    def recorded(*arguments: object) -> None:
        record(*arguments)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    monkeypatch.setattr(switching, "_record", recorded)
    whole = switching.Switching(_Nothing(), State(), "make deploy")
    with whole.work("deploy", "blue", RELEASE):
        pass
    assert (whole.state.active, whole.state.work) == ("blue", None)
    lines = [json.loads(line)["result"] for line in Path("var/deploys.jsonl").read_text().splitlines()]
    assert lines == ["ok"]


def test_disk_that_is_full_after_it_was_recorded_does_not_undo_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients have the release and the record names it: it is done, and the next command brings the state after."""
    save = State.save

    def full(state: State) -> None:
        if state.work is None:
            raise OSError(28, "No space left on device", "state.json")
        save(state)

    monkeypatch.setattr(State, "save", full)
    with switching.Switching(_Nothing(), State(), "make deploy").work("deploy", "blue", RELEASE):
        pass
    monkeypatch.setattr(State, "save", save)
    later = switching.Switching(_Nothing(), load(), "make rollback")
    assert later.state.work
    later.recover()
    assert (load().active, load().work) == ("blue", None)


def test_command_that_settled_the_one_before_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing interrupts the settling; afterwards Ctrl-C ends the command as ever, once."""
    for each in switching.ENDS:
        signal.signal(each, deploy.interrupted)
    whole = switching.Switching(_Nothing(), State(), "make deploy")
    stop = lambda *_: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)  # noqa: E731
    monkeypatch.setattr(whole.driver.__class__, "stop_proxy", stop, False)
    whole.state.releases[RELEASE.id] = RELEASE
    whole.state.work = switching.Work("one", "deploy", "blue", RELEASE.id, "make deploy", "1.0.0", "HEAD")
    whole.recover()
    assert whole.state.work is None
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(each) for each in switching.ENDS] == [signal.SIG_IGN] * 3


def test_what_cannot_be_read_can_be_forgotten() -> None:
    """A state that is damaged, or gone, does not keep what runs from being stopped."""
    Path("var/deploy/state.json").write_text('{"half": ')
    assert deploy.main(["down"]) == 2
    assert deploy.main(["down", "--forget"]) == 0
    assert not Path("var/deploy/state.json").exists()


def test_proxy_that_refuses_its_configuration_keeps_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the next restart of the machine it would not start any more."""
    nginx = Path("bin/nginx")
    nginx.parent.mkdir()
    nginx.write_text("#!/bin/sh\necho 'nginx: [emerg] invalid value' >&2\nexit 1\n")
    nginx.chmod(0o755)
    monkeypatch.setenv("PATH", f"{nginx.parent.resolve()}:{os.environ['PATH']}")
    Path("var/deploy/proxy").mkdir()
    Path("var/deploy/proxy/proxy.conf").write_text("good")
    with pytest.raises(NotDeployedError, match="the proxy refuses its configuration: nginx"):
        slot_process.Processes().start_proxy()
    assert Path("var/deploy/proxy/proxy.conf").read_text() == "good"
