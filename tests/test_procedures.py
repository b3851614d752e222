"""The program of the runbook: its grammar, its lint, what it asks, what it takes back, what it writes down."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import ROOT
from matching import fits
from runbook_lint import called
from serving import signal_thread

PAGE = """# Runbook: boxes

- **Owner:** Box team

## Open the box

- **When:** somebody wants what
  is in it; see [the other page](other.md#look).
- **Risk:** changes state: the box is open.
- **Expected:** it is open.
- **Rollback:** close it.

Look first:

```console look
$ test ! -e box && echo closed
closed
```

Now open it:

```console
$ touch box
$ make boxes
opened ...
```

```console rollback
$ rm -f box
$ ls box 2>&1
ls: ...
[2]
```
"""
OTHER = """# Other

## Look

- **Owner:** Box team
- **When:** always.
- **Risk:** reads only.
- **Expected:** a word.
- **Rollback:** none needed.

```console
$ echo word
word
```
"""
MAKEFILE = "##@ Operations\n\nboxes:  ## Open\n\t@echo opened it\n"
RULES = """groups:
  - name: boxes
    rules:
      - alert: BoxClosed
        expr: up == 0
        labels: {severity: page}
        labels:
          owner: Box team
        annotations:
          runbook: docs/runbook/boxes.md#open-the-box
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two pages, a Makefile and an alert."""
    for name, text in {
        "docs/runbook/boxes.md": PAGE,
        "docs/runbook/other.md": OTHER,
        "docs/runbook/README.md": "# How\n\n## Not a procedure\n",
        "Makefile": MAKEFILE,
        "deploy/monitoring/boxes.yml": RULES,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def runbook(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program where nobody answers questions."""
    command = [sys.executable, str(ROOT / "template/ops/runbook.py"), *arguments]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip


def answered(folder: Path, answers: str, *arguments: str) -> tuple[int, str]:
    """Run the program for a person at a terminal who types these answers; return status and what was printed."""
    person, terminal = pty.openpty()
    os.write(person, answers.encode())
    command = [sys.executable, str(ROOT / "template/ops/runbook.py"), *arguments]
    done = subprocess.run(command, cwd=folder, stdin=terminal, capture_output=True, text=True, check=False, timeout=60)
    os.close(person), os.close(terminal)
    return done.returncode, done.stdout + done.stderr


def edit(folder: Path, old: str, new: str, name: str = "docs/runbook/boxes.md") -> None:
    """Replace a text that stands once in a file."""
    text = (folder / name).read_text()
    assert text.count(old) == 1, old
    (folder / name).write_text(text.replace(old, new))


def journal(folder: Path) -> list[dict]:
    """Return the lines of the journal."""
    path = folder / "var/journal.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize(
    ("expected", "output", "is_good"),
    [
        (["ready: ..."], "ready: here\n", True),
        (["ready: ..."], "not ready: here\n", False),
        (["ready: ..."], "ready: here\nand more\n", False),
        (["..."], "", True),
        (["...", "last"], "one\ntwo\nlast\n", True),
        (["...", "last"], "last\nmore\n", False),
        ([], "surprise\n", False),
        (["a.b"], "axb\n", False),
    ],
)
def test_expected_output_matches_as_the_grammar_says(expected: list[str], output: str, is_good: bool) -> None:
    """`...` stands for any text in a line and, alone, for any lines; everything else is literal."""
    assert fits(expected, output) is is_good


def test_good_pages_are_listed_shown_and_without_fault(folder: Path) -> None:
    """A procedure is found by its name, a part of it, or its alert; a field goes on in the next line."""
    listed = runbook(folder)
    assert "  Open the box: somebody wants what is in it; see [the other page](other.md#look).\n" in listed.stdout
    assert "Not a procedure" not in listed.stdout
    edit(folder, "- **Owner:** Box team\n\n## Open", "- **Owner:** Box & &lt;Lid>\n\n## Open")
    assert "\n  Owner: Box & <Lid>\n" in runbook(folder, "run", "box", "--dry").stdout
    shown = {runbook(folder, "show", name).stdout for name in ("Open the box", "box", "BoxClosed", "open-the-box")}
    assert shown == {PAGE[PAGE.index("## Open") :]}
    assert runbook(folder, "lint").stdout == "2 procedures, no fault\n"
    for name, words in {"o": "names 2 procedures", "lid": "names no procedures"}.items():
        refused = runbook(folder, "show", name)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert words in refused.stderr
        assert "expected one of 'Open the box', 'Look'" in refused.stderr


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("opened ...\n```\n", "opened ...\n", "27: a block in that of line 22, which has no end before it"),
        ("[2]\n```\n", "[2]\n", "28: a block that never ends; expected a line ``` below it"),
        ("console rollback", "console back", "28: a block called back; expected console, console look or console r"),
        ("- **When:**", "- **Wehn:**", "7: a field called Wehn; expected one of Owner, When, "),
        ("- **Risk:**", "- **When:** now.\n- **Risk:**", "9: a second When; expected one in a procedure"),
        ("$ touch box", "touch box", "23: a line above the first command; expected `$ ` and a command"),
        ("- **When:**", "- **Input:** BOX\n- **When:**", "7: Input is not to be read; expected `NAME` like `PATTERN`"),
        ("- **When:**", "- **Input:** `BOX` like `(`\n- **When:**", "7: BOX is like no pattern: missing )"),
        ("```console\n", "```Console\n", "22: a block that is none; expected ```console at the line's begin"),
        ("```console\n", "  ```console\n", "22: a block that is none; expected ```console at the line's begin"),
        ("# Runbook: boxes\n", "```console\n", "1: commands above the first procedure; expected ## Name"),
        ("Box team", "Box \udcff team", "3: is no UTF-8 at byte 35; expected text"),
    ],
)
def test_malformed_page_is_one_message_and_nothing_is_run(folder: Path, old: str, new: str, told: str) -> None:
    """File, line, what is expected; exit status 2, whatever was asked for."""
    assert PAGE.count(old) == 1
    (folder / "docs/runbook/boxes.md").write_text(PAGE.replace(old, new), errors="surrogateescape")
    for arguments in (["lint"], [], ["run", "look", "--yes"]):
        done = runbook(folder, *arguments)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
        assert done.stderr.startswith(f"docs/runbook/boxes.md:{told}")
    assert journal(folder) == []


DAY = datetime.now(UTC).date()
WHEN = "- **When:** somebody"
REHEARSED = "- **Rehearsed:** by hand {}\n" + WHEN


FAULTS = {
    "docs/runbook/boxes.md": [
        ("- **Owner:** Box team\n", "", "boxes.md:4: 'Open the box' has no Owner; expected a line - **Owner:** …"),
        ("- **When:** somebody wants what\n  is in it; see [the other page](other.md#look).\n", "", "has no When"),
        ("close it.", "", "boxes.md:5: 'Open the box' has no Rollback"),
        (
            "changes state: the",
            "the",
            "boxes.md:5: 'Open the box' has the risk 'the box is open.'; expected it to begin",
        ),
        ("console rollback", "sh", "boxes.md:5: 'Open the box' changes state, and no command takes it back; expected"),
        ("$ make boxes", "$ [ -e lid ] || make -s crates", "boxes.md:24: make crates is no target; `make help` shows"),
        ("$ make boxes", "$ true", "Makefile: no procedure uses make boxes, one of Operations; expected a page"),
        ("other.md#look", "others.md", "boxes.md:8: links to others.md, which is not there; expected a file"),
        ("other.md#look", "other.md#lock", "boxes.md:8: links to other.md#lock, and other.md has no such heading"),
        (WHEN, REHEARSED.format(DAY - timedelta(days=91)), "boxes.md:5: 'Open the box' was rehearsed by hand on 2"),
        (WHEN, REHEARSED.format(DAY + timedelta(days=2)), "boxes.md:5: 'Open the box' was rehearsed 'by hand 2"),
        (WHEN, REHEARSED.format("2026-13-01"), "'by hand 2026-13-01'; expected `by hand` and the day, such as by"),
    ],
    "docs/runbook/other.md": [
        ("## Look", "## Open the box", "other.md:3: 'Open the box' is the name of docs/runbook/boxes.md:5 too"),
        (
            "- **When:** always",
            "- **Needs:** Start\n- **When:** always",
            "other.md:3: 'Look' needs 'Start', which no page",
        ),
        ("$ echo word\nword\n", "", "other.md:3: 'Look' has no command; expected a block of ```console"),
        (
            "- **When:** always",
            "- **Input:** `BOX` like `.+`\n- **When:** always",
            "'Look' asks for BOX, and no command",
        ),
    ],
    "Makefile": [("boxes:", "crates:", "docs/runbook/boxes.md:24: make boxes is no target; `make help` shows which")],
    "deploy/monitoring/boxes.yml": [
        ("#open-the-box", "#shut", "boxes.yml:4: BoxClosed leads to docs/runbook/boxes.md#shut, where no procedure is"),
        (
            "runbook:",
            "page:",
            "boxes.yml:4: BoxClosed leads nowhere; expected an annotation runbook such as docs/runbook",
        ),
        ("owner:", "team:", "boxes.yml:4: BoxClosed has no owner; expected a label owner"),
        ("- alert: BoxClosed", '- alert: "Other" # x\n      - "alert": BoxClosed', "boxes.yml:4: Other leads nowhere"),
    ],
}


@pytest.mark.parametrize(
    ("name", "old", "new", "told"), [(name, *fault) for name, found in FAULTS.items() for fault in found]
)
def test_fault_of_a_page_is_told_with_its_line(folder: Path, name: str, old: str, new: str, told: str) -> None:
    """Each alone is found, and makes `lint` end with 1; a rehearsal by hand of these days is none."""
    edit(folder, WHEN, REHEARSED.format(DAY - timedelta(days=89)))
    assert runbook(folder, "lint").returncode == 0
    edit(folder, REHEARSED.format(DAY - timedelta(days=89)), WHEN)
    edit(folder, old, new, name)
    done = runbook(folder, "lint")
    assert done.returncode == 1
    assert told in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("- alert: BoxClosed", "- {alert: Other}\n      - alert: BoxClosed", "4: a rule in braces; expected a line"),
        ("labels: {severity: page}", "labels: {severity: page, owner: Me}", "6: a rule in braces; expected a line"),
        ("runbook: docs/", "runbook: >-\n            docs/", "10: runbook is '>-'; expected its text on this line"),
        ("Box team", "Box \udcff", "8: is no UTF-8 at byte "),
    ],
)
def test_rules_that_cannot_be_read_are_told_and_keep_nobody_from_a_procedure(
    folder: Path, old: str, new: str, told: str
) -> None:
    """File and line, exit status 2; a procedure is found by its name."""
    assert RULES.count(old) == 1
    (folder / "deploy/monitoring/boxes.yml").write_text(RULES.replace(old, new), errors="surrogateescape")
    for command in (["lint"], ["run", "BoxClosed", "--yes"]):
        done = runbook(folder, *command)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
        assert done.stderr.startswith(f"deploy/monitoring/boxes.yml:{told}")
    assert runbook(folder, "run", "look").returncode == 0


def test_rules_may_be_written_in_any_order_and_with_quotes(folder: Path) -> None:
    """Annotations first, another ending of the file's name."""
    (folder / "deploy/monitoring/boxes.yml").rename(folder / "deploy/monitoring/boxes.yaml")
    text = (
        "groups:\n- name: boxes\n  rules:\n  - annotations:\n"
        "      'runbook': 'docs/runbook/boxes.md#open-the-box'  # where\n"
        '    labels:\n      "owner": "The \\"Box\\" team\'s"\n    alert: BoxClosed\n    expr: up == 0\n'
    )
    (folder / "deploy/monitoring/boxes.yaml").write_text(text)
    assert runbook(folder, "lint").stdout == "2 procedures, no fault\n"
    assert runbook(folder, "show", "BoxClosed").returncode == 0


@pytest.mark.parametrize(
    ("command", "targets"),
    [
        ("echo make sure that", []),
        ("make a b", ["a", "b"]),
        ("cd x && make -s -j 2 a FROM=y NAME='two words' b >z 2>&1", ["a", "b"]),
        ("[ -e lid ] || X=1 make a; if true; then make b; fi", ["a", "b"]),
        ("echo $(make -s a) | tail\nmake b", ["a", "b"]),
        ("make -C other a", []),
        ("echo it's", []),
    ],
)
def test_targets_are_those_of_a_make_that_is_run(command: str, targets: list[str]) -> None:
    """Not words of a text, values of variables, or of another folder's make."""
    assert list(called(command)) == targets


def test_run_asks_before_each_step_that_changes_something(folder: Path) -> None:
    """Steps that only look are done at once; yes, skip and quit do what they say; q is followed by the rollback."""
    status, said = answered(folder, "y\ny\n", "run", "box")
    assert (status, (folder / "box").exists(), said.count("run it?")) == (0, True, 2)
    assert "Now open it:\n\nstep 2 of 3: touch box\n" in said
    assert said.endswith("\ndone: Open the box; it is taken back by: python3 ops/runbook.py back open-the-box\n")
    (folder / "box").unlink()
    assert answered(folder, "s\nwhat\ny\n", "run", "box")[0] == 0
    assert not (folder / "box").exists()
    status, said = answered(folder, "q\n", "run", "box")
    assert (status, said.splitlines()[-1]) == (1, "not done; nothing was changed")
    status, said = answered(folder, "y\nq\ny\ny\n", "run", "box")
    assert (status, (folder / "box").exists(), said.endswith("\nnot done; taken back\n")) == (1, False, True)


def test_rollback_follows_a_step_that_failed_and_goes_on_behind_one_that_fails(folder: Path) -> None:
    """All of it, so that the next procedure begins where the last one did; the exit status says that it failed."""
    edit(folder, "opened ...", "closed ...")
    done = runbook(folder, "run", "box", "--yes")
    assert (done.returncode, (folder / "box").exists()) == (1, False)
    assert (
        "not what docs/runbook/boxes.md:24 says; expected\n    closed ...\n    [0]\nfound\n    opened it\n    [0]"
        in done.stdout
    )
    assert done.stdout.endswith("\nnot done; taken back\n")
    assert [(line["part"], line["status"], line["as_expected"]) for line in journal(folder)] == [
        ("do", 0, True), ("do", 0, True), ("do", 0, False), ("rollback", 0, True), ("rollback", 2, True),
    ]  # fmt: skip
    edit(folder, "$ rm -f box", "$ false\n$ rm -f box")
    done = runbook(folder, "run", "box", "--yes")
    assert (done.returncode, (folder / "box").exists()) == (1, False)
    assert done.stdout.endswith("\nnot done, and not taken back as the page says: look at every step above\n")


def test_signal_while_a_step_begins_reaches_the_step(folder: Path) -> None:
    """Between the start of a command and the wait for it nobody would end it: the signal is kept until then."""
    edit(folder, "$ make boxes", "$ kill -INT $PPID; sleep 60")
    slow = f"""
import runpy, subprocess, sys, time
begun = subprocess.Popen
class Slow(begun):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        time.sleep(1)  # as on a machine with other work: the command runs, this program does not know it yet
subprocess.Popen = Slow
sys.argv = ["runbook.py", "run", "box", "--yes"]
sys.path.insert(0, {str(ROOT / "template/ops")!r})
runpy.run_path({str(ROOT / "template/ops/runbook.py")!r}, run_name="__main__")
"""
    command = ["env", "--default-signal=INT", sys.executable, "-c", slow]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=50, check=False)
    assert "found\n    [130]\n" in done.stdout, done.stderr
    assert done.returncode == 1


def test_step_that_is_interrupted_failed_and_what_it_left_in_the_background_stays(folder: Path) -> None:
    """Ctrl-C ends the command, not the runbook: the rollback is asked for."""
    edit(folder, "$ make boxes", "$ sleep 60 & echo $! >pid; sleep 60")
    person, terminal = pty.openpty()
    os.write(person, b"y\ny\n")
    # What runs behind a shell's & would not hear Ctrl-C.
    command = ["env", "--default-signal=INT", sys.executable, str(ROOT / "template/ops/runbook.py"), "run", "box"]
    with subprocess.Popen(command, cwd=folder, stdin=terminal, stdout=subprocess.PIPE, text=True) as process:
        while not (folder / "pid").exists():
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        os.write(person, b"y\ny\n")
        said, _ = process.communicate(timeout=60)
    os.close(person), os.close(terminal)
    left = int((folder / "pid").read_text())
    os.kill(left, signal.SIGKILL)  # and it was there
    assert (process.returncode, (folder / "box").exists()) == (1, False)
    assert "found\n    [130]\n" in said
    assert said.endswith("\nnot done; taken back\n")


def test_nothing_is_run_where_nobody_can_answer(folder: Path) -> None:
    """Or with --dry, which shows every step; what only looks needs no answer."""
    done = runbook(folder, "run", "box")
    assert (done.returncode, journal(folder)) == (2, [])
    assert done.stderr.endswith("and nobody answers; --yes does all\n")
    dry = runbook(folder, "run", "box", "--dry")
    assert (dry.returncode, journal(folder), (folder / "box").exists()) == (0, [], False)
    assert "\nLook first:\nstep 1 of 3: test ! -e box && echo closed\n" in dry.stdout
    assert runbook(folder, "run", "look").returncode == 0


def test_input_is_asked_for_and_held_to_its_pattern(folder: Path) -> None:
    """The environment's or the person's; one that does not fit is told with what is expected, and nothing is run."""
    edit(folder, "- **When:**", "- **Input:** `BOX` like `box-\\d+`: which box\n- **When:**")
    edit(folder, "$ touch box", '$ touch "$BOX"')
    for value, found in {"": "none", "box-1; rm": "'box-1; rm'"}.items():
        done = runbook(folder, "run", "box", "--yes", BOX=value)
        assert (done.returncode, done.stderr) == (2, f"BOX: found {found}, expected which box, like box-\\d+\n")
    assert journal(folder) == []
    status, said = answered(folder, "box-2\ny\ny\n", "run", "box")
    assert (status, (folder / "box-2").exists(), "BOX (which box): " in said) == (0, True, True)
    assert [line["inputs"].get("BOX") for line in journal(folder)] == [None, "box-2", "box-2"]


def test_risk_below_the_commands_counts_and_a_second_one_is_refused(folder: Path) -> None:
    """Also where the page has one for all; nothing is run unasked."""
    edit(folder, "- **Owner:** Box team\n", "- **Owner:** Box team\n- **Risk:** reads only.\n")
    edit(folder, "- **Risk:** changes state: the box is open.\n", "")
    edit(folder, "\nNow open it:", "\n- **Risk:** changes state: the box is open.\n\nNow open it:")
    assert runbook(folder, "run", "box").returncode == 2
    assert runbook(folder, "run", "box", "--yes").returncode == 0
    edit(folder, "\nNow open it:", "\n- **Risk:** reads only.\n\nNow open it:")
    assert "a second Risk; expected one in a procedure" in runbook(folder, "run", "box").stderr


def test_nothing_that_happens_to_the_program_leaves_a_procedure_half_done(folder: Path) -> None:
    """A reader that goes away, an encoding that cannot show it, an input that is no text, a user without a name."""
    edit(folder, "$ make boxes", "$ seq 1 20000; echo ü€; false")
    program = [sys.executable, str(ROOT / "template/ops/runbook.py"), "run", "box", "--yes"]
    for command in (["sh", "-c", '"$@" | head -n 3', "sh", *program], program):
        subprocess.run(
            command, cwd=folder, env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=False
        )
        assert not (folder / "box").exists()
        assert [line["part"] for line in journal(folder)][-2:] == ["rollback", "rollback"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("send", [subprocess.Popen.send_signal, signal_thread])
def test_program_that_is_ended_takes_back_what_it_began(
    folder: Path, number: int, send: Callable[[subprocess.Popen, int], None]
) -> None:
    """A terminal that goes away, too: nobody is asked, the rollback runs; whichever thread the system signals."""
    edit(folder, "$ make boxes", "$ echo begun; sleep 600")
    person, terminal = pty.openpty()
    os.write(person, b"y\ny\n")
    command = ["env", "--default-signal=TERM,HUP", sys.executable, str(ROOT / "template/ops/runbook.py"), "run", "box"]
    with subprocess.Popen(command, cwd=folder, stdin=terminal, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if line.endswith("  begun\n"):
                send(process, number)
                break
        said = process.communicate(timeout=60)[0]
    os.close(person), os.close(terminal)
    assert (process.returncode, (folder / "box").exists()) == (1, False), said
    assert said.endswith("not done; taken back\n")


def signalled(
    folder: Path, at: str, number: int, handlers: str = "--default-signal", answers: str = "", verb: str = "run box"
) -> str:
    """Run the procedure at a terminal, send the signal at each line that begins so; return what was said."""
    person, terminal = pty.openpty()
    os.write(person, answers.encode())
    program = [sys.executable, str(ROOT / "template/ops/runbook.py"), *verb.split(), *([] if answers else ["--yes"])]
    said = []
    with subprocess.Popen(
        ["env", f"{handlers}=INT,TERM,HUP", *program], cwd=folder, stdin=terminal, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            said.append(line)
            if line.startswith(at):
                process.send_signal(number)
    os.close(person), os.close(terminal)
    return "".join(said)


def test_rollback_runs_for_nobody_even_where_it_asks_for_an_input(folder: Path) -> None:
    """The command that lacks it fails, nobody is waited for, and those behind it are run."""
    edit(folder, "- **When:**", "- **Input:** `BOX` like `box-\\d+`: which box\n- **When:**")
    edit(folder, "$ make boxes", "$ echo begun; sleep 600")
    edit(folder, "$ rm -f box", '$ rm "$BOX"\n$ rm -f box')
    said = signalled(folder, "  begun", signal.SIGTERM)
    assert "BOX: found none, expected which box" in said
    assert not (folder / "box").exists()
    assert said.endswith("\nnot done, and not taken back as the page says: look at every step above\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_terminal_that_goes_while_the_rollback_asks_does_not_end_it(folder: Path, number: int) -> None:
    """What it asked is yes."""
    edit(folder, "opened ...", "closed ...")
    said = signalled(folder, "rollback 1", number, answers="y\ny\n")
    assert (said.endswith("\nnot done; taken back\n"), (folder / "box").exists()) == (True, False), said


def test_step_that_hears_no_interrupt_is_ended_by_who_asks_again(folder: Path) -> None:
    """After two times as kill does, at last as kill -9."""
    edit(folder, "$ make boxes", "$ trap '' INT; while sleep 1; do echo on; done")
    said = signalled(folder, "  on", signal.SIGINT)
    assert (said.endswith("\nnot done; taken back\n"), (folder / "box").exists()) == (True, False), said


def test_signal_that_the_caller_ignores_stays_ignored(folder: Path) -> None:
    """As behind nohup: the procedure goes on to its end."""
    edit(folder, "$ make boxes\nopened ...", "$ echo begun; echo opened it\n...")
    said = signalled(folder, "  begun", signal.SIGHUP, handlers="--ignore-signal")
    assert "\ndone: Open the box" in said


def test_interrupted_step_is_not_good_where_its_page_expects_130(folder: Path) -> None:
    """Else the next one would follow it."""
    edit(folder, "$ touch box", "$ touch box; echo begun; sleep 600\n  ...\n  [130]")
    said = signalled(folder, "  begun", signal.SIGINT)
    assert said.endswith("\nnot done; taken back\n"), said


def test_step_that_loses_a_signal_is_interrupted_again(folder: Path) -> None:
    """As dash does between vfork and exec: the program it starts never hears of it."""
    lose = (
        "import signal, time; signal.signal(2, lambda *_: signal.signal(2, signal.SIG_DFL)); print('begun', flush=True)"
    )
    edit(folder, "$ make boxes", f'$ python3 -c "{lose}; [time.sleep(1) for _ in range(600)]"')
    quick = (
        "import sys, interrupts, runbook; interrupts.AGAIN_SECONDS = 1; sys.exit(runbook.main(['run', 'box', '--yes']))"
    )
    command = ["env", "--default-signal=TERM", f"PYTHONPATH={ROOT / 'template/ops'}", sys.executable, "-c", quick]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if line.endswith("  begun\n"):
                process.send_signal(signal.SIGTERM)
                break
        said = process.communicate(timeout=60)[0]
    assert (process.returncode, (folder / "box").exists()) == (1, False), said
    assert said.endswith("\nnot done; taken back\n")


def test_what_a_step_leaves_running_does_not_hold_it(folder: Path) -> None:
    """It has the step's output still open, and a session of its own."""
    edit(folder, "$ echo word", "$ setsid sleep 600 & echo $! >pid; echo word", "docs/runbook/other.md")
    try:
        assert runbook(folder, "run", "look").returncode == 0
    finally:
        os.kill(int((folder / "pid").read_text()), signal.SIGKILL)


def test_two_at_once_do_not_change_the_service(folder: Path) -> None:
    """The second is told who runs which; to look is free, and an end of the first frees the way."""
    person, terminal = pty.openpty()
    command = [sys.executable, str(ROOT / "template/ops/runbook.py"), "run", "box"]
    with subprocess.Popen(command, cwd=folder, stdin=terminal, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if line.startswith("step 2"):
                break
        for verb in ("run", "back"):
            refused = runbook(folder, verb, "box", "--yes")
            assert (refused.returncode, refused.stdout, (folder / "box").exists()) == (2, "", False)
            assert refused.stderr.startswith("another procedure runs here: 'Open the box' since 20")
            assert refused.stderr.endswith(f", process {process.pid}; expected it to be ended first\n")
        assert runbook(folder, "run", "look").returncode == runbook(folder, "run", "box", "--dry").returncode == 0
        process.kill()
    os.close(person), os.close(terminal)
    assert runbook(folder, "run", "box", "--yes").returncode == 0


def test_rollback_alone_asks_for_what_it_uses_and_has_a_last_word(folder: Path) -> None:
    """An input of the steps is none of its own; --dry names them all."""
    edit(folder, "- **When:**", "- **Input:** `LID` like `\\w{4,}`: the word\n- **When:**")
    edit(folder, "$ make boxes", '$ make boxes "$LID"')
    assert "  Input: LID, the word, like \\w{4,}\n" in runbook(folder, "run", "box", "--dry").stdout
    done = runbook(folder, "back", "box", "--yes")
    assert (done.returncode, done.stdout.endswith("\n\ntaken back\n")) == (0, True), done.stderr
    edit(folder, "ls: ...", "sl: ...")
    done = runbook(folder, "back", "box", "--yes")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        1,
        "not taken back as the page says: look at every step above",
    )


def test_output_is_compared_in_no_time() -> None:
    """Many `...` against much output: told apart, whatever it is."""
    assert not fits(["...,...,...,...,...,...,end"], "a," * 30_000)
    assert not fits([*["...", "ok"] * 5, "done"], "ok\n" * 3_000)
    assert fits(["...", "b...d...", "...", "", "x", ""], "a\nbcde\n\nx\n")


def test_number_in_brackets_is_the_status_only_at_the_end(folder: Path) -> None:
    """Before other lines it is what the command prints."""
    edit(folder, "$ echo word\nword\n", "$ echo '[5]'; echo word; exit 3\n[5]\nword\n[3]\n\n", "docs/runbook/other.md")
    assert runbook(folder, "run", "look").returncode == 0


def test_skipped_step_is_no_step_that_was_done(folder: Path) -> None:
    """And a rollback that was skipped took nothing back."""
    assert ", but for 2 that you skipped" in answered(folder, "s\ns\n", "run", "box")[1]
    status, said = answered(folder, "y\nq\ns\ns\n", "run", "box")
    assert (status, (folder / "box").exists()) == (1, True)
    assert "not done, and not taken back as the page says" in said


def test_commands_do_not_get_what_make_was_asked(folder: Path) -> None:
    """YES=1 and ARGS of the make that began it are not those of a make inside."""
    (folder / "Makefile").write_text(f'{MAKEFILE}\t@echo "yes: $(YES) args: $(ARGS)"\n')
    edit(folder, "opened ...", "opened it\nyes:  args:")
    given = {"YES": "1", "ARGS": "--yes", "MAKEFLAGS": " -- YES=1 ARGS=--yes"}
    assert runbook(folder, "run", "box", "--yes", **given).returncode == 0


def test_rehearsal_takes_back_only_what_was_begun(folder: Path) -> None:
    """And follows what is needed to its end."""
    edit(folder, "- **When:** always", "- **Needs:** Open the box\n- **When:** always", "docs/runbook/other.md")
    edit(folder, "$ make boxes", "$ false")
    edit(folder, "word\n```", "word\n```\n\n```console rollback\n$ touch never\n```", "docs/runbook/other.md")
    assert runbook(folder, "rehearse", "look").returncode == 1
    assert not (folder / "never").exists()
    assert runbook(folder.parent, "lint").returncode == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_rehearsal_that_is_ended_takes_back_what_it_began_and_goes_no_further(folder: Path, number: int) -> None:
    """What was not rehearsed any more is named, and counts as none."""
    edit(folder, "$ make boxes", "$ echo begun; sleep 600")
    edit(folder, "$ echo word", "$ touch never", "docs/runbook/other.md")
    said = signalled(folder, "  begun", number, verb="rehearse")
    assert not any((folder / name).exists() for name in ("box", "never")), said
    ends = "FAIL: Open the box\n\ninterrupted; not rehearsed any more: Look\n1 of 2 rehearsed, 1 FAIL\n"
    assert said.endswith(ends)


def test_rehearsal_begins_no_step_behind_a_signal(folder: Path) -> None:
    """Which came between two: what was begun is taken back."""
    edit(folder, "$ make boxes", "$ touch never")
    (folder / "between.py").write_text(
        "import os, signal, sys\nimport runbook, stepping\n"
        "step = stepping.Run._step\n"
        "def signalled(self, part, command):\n"
        "    is_good = step(self, part, command)\n"
        "    if command.text == 'touch box': os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return is_good\n"
        "stepping.Run._step = signalled\n"
        "sys.exit(runbook.main(['rehearse', 'box']))\n"
    )
    done = subprocess.run(
        [sys.executable, "between.py"], cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT / "template/ops")},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert not any((folder / name).exists() for name in ("box", "never")), done.stdout + done.stderr
    assert done.stdout.endswith("interrupted; not rehearsed any more: none\n1 of 1 rehearsed, 1 FAIL\n")
    assert done.returncode == 1


def test_secret_is_shown_nowhere(folder: Path) -> None:
    """Neither where a command prints it, nor in what differs, nor in the journal, nor when it does not fit."""
    edit(folder, "- **When:**", "- **Secret:** `LID` like `\\w{4,}`: the word\n- **When:**")
    edit(folder, "$ make boxes", '$ echo "opened by $LID" && test ${#LID} = 6 && touch "$LID"')
    done = runbook(folder, "run", "box", "--yes", LID="sesame")
    assert (done.returncode, (folder / "sesame").exists()) == (0, True)
    edit(folder, "opened ...", "closed")
    (folder / "box").unlink()
    wrong = runbook(folder, "run", "box", "--yes", LID="sesame")
    refused = runbook(folder, "run", "box", "--yes", LID="ses")
    assert (wrong.returncode, refused.returncode) == (1, 2)
    assert "opened by [hidden]" in wrong.stdout
    for text in (done.stdout, wrong.stdout, wrong.stderr, (folder / "var/journal.jsonl").read_text(), refused.stderr):
        assert "ses" not in text


def test_journal_tells_who_did_what_when_and_a_bad_line_of_it_stops_no_procedure(folder: Path) -> None:
    """A line that a crash cut off stays alone; to read it is refused with file and line."""
    assert runbook(folder, "run", "look").returncode == 0
    told = runbook(folder, "journal")
    assert told.returncode == 0
    assert told.stdout.endswith("  docs/runbook/other.md:12  do  echo word  as expected\n")
    with (folder / "var/journal.jsonl").open("a") as file:
        file.write('{"time": "2026-')
    assert runbook(folder, "run", "look").returncode == 0
    assert len((folder / "var/journal.jsonl").read_text().splitlines()) == 3
    refused = runbook(folder, "journal")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(
        "var/journal.jsonl:2: is no line of this file; expected one JSON object with as_expected, "
    )
    (folder / "var/journal.jsonl").unlink()
    (folder / "var/journal.jsonl").mkdir()
    unwritten = runbook(folder, "run", "look")
    assert unwritten.returncode == 0
    assert "the journal var/journal.jsonl was not written: " in unwritten.stderr


def test_rehearsal_does_all_with_what_it_needs_and_takes_it_back(folder: Path) -> None:
    """What a person rehearses is counted and not done; one that differs is named, and the exit status says so."""
    edit(folder, "- **When:** always", "- **Needs:** Open the box\n- **When:** always", "docs/runbook/other.md")
    edit(folder, "$ echo word", "$ ls box && echo word", "docs/runbook/other.md")
    done = runbook(folder, "rehearse")
    assert (done.returncode, (folder / "box").exists()) == (1, False)
    assert done.stdout.endswith("FAIL: Look\n\n2 of 2 rehearsed, 1 FAIL\n")
    edit(folder, "\nword\n", "\nbox\nword\n", "docs/runbook/other.md")
    edit(folder, "## Open", f"## By hand\n\n- **Rehearsed:** by hand {DAY}\n\n## Open")
    done = runbook(folder, "rehearse")
    assert (done.returncode, (folder / "box").exists()) == (0, False)
    assert done.stdout.endswith(f"ok: Look\n\n2 of 3 rehearsed, 0 FAIL\n  By hand: by hand {DAY}\n")
