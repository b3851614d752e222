"""Items in bulk, by the command."""

from pathlib import Path

import pytest

from app.chassis.testing import ServiceProcess

FILE = """name,contact_email,quantity,note
Brass plumb bob,ada@example.com,12,
Steel plumb bob,ada@example.com,,"heavy, 2 kg"
No,nobody,1,
"""


@pytest.mark.engines("sqlite")
def test_import_stores_items_and_tells_the_rest(tmp_path: Path, database_url: str) -> None:
    """Exit 1 and a file of what was refused; corrected, exit 0, and what was there already is as it was."""
    service, path = ServiceProcess(tmp_path, DATABASE_URL=database_url), tmp_path / "items.csv"
    path.write_text(FILE, encoding="utf-8")
    assert service.run("migrate").returncode == 0
    done = service.run("import", "items", str(path))
    assert (done.returncode, done.stdout) == (1, "items: 2 rows stored, 1 rejected\n")
    told = path.with_name("items.csv.rejects.csv").read_text(encoding="utf-8").splitlines()
    assert told[1:] == [
        "4,name,No,at least 3 characters",
        "4,contact_email,nobody,an e-mail address such as ada@example.com",
    ]
    path.write_text(FILE.replace("No,nobody", "Line,bob@example.com"), encoding="utf-8")
    done = service.run("import", "items", str(path))
    assert (done.returncode, done.stdout) == (0, "items: 3 rows stored, 0 rejected\n")
    with service as running:
        found = running.client().request("GET", "/items").data
    assert [(item["name"], item["quantity"], item["version"]) for item in found] == [
        ("Line", 1, 1),
        ("Steel plumb bob", 0, 1),
        ("Brass plumb bob", 12, 1),
    ]


@pytest.mark.thorough
@pytest.mark.engines("sqlite")
def test_import_that_does_not_begin_says_why(tmp_path: Path, database_url: str) -> None:
    """The command's own words: a database without tables, no place for the rejects, a dry run, a file that is known."""
    service, path = ServiceProcess(tmp_path, DATABASE_URL=database_url), tmp_path / "items.csv"
    path.write_text(FILE, encoding="utf-8")
    refused = service.run("import", "items", str(path))
    assert (refused.returncode, "run `make migrate`" in refused.stderr) == (2, True)
    assert service.run("migrate").returncode == 0
    nowhere = service.run("import", "items", str(path), "--rejects", str(tmp_path / "nowhere" / "x.csv"))
    assert (nowhere.returncode, "nowhere/x.csv: No such file" in nowhere.stderr) == (2, True)
    tried = service.run("import", "items", str(path), "--dry-run")
    assert (tried.returncode, tried.stdout) == (1, "items: 2 rows would be stored, 1 rejected\n")
    assert service.run("import", "items", str(path)).returncode == 1
    path.with_name("items.csv.rejects.csv").unlink()
    known = service.run("import", "items", str(path.rename(tmp_path / "other.csv")))
    assert (known.returncode, " as items.csv; --again does it once more\n" in known.stderr) == (1, True)
