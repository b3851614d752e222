"""Scenarios with a process of their own run at once: they mostly wait, and a suite that is slow is not run."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Outcome", "at_once"]

Scenario = Callable[[Path], None]
Outcome = Callable[[Scenario], None]


def at_once(*scenarios: Scenario) -> Any:
    """A fixture for one file: `outcome(scenario)` waits for it and raises what it raised. Each gets a new folder."""

    @pytest.fixture(scope="module")
    def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
        folders = [tmp_path_factory.mktemp(scenario.__name__) for scenario in scenarios]
        with ThreadPoolExecutor(len(scenarios)) as pool:
            running = {one: pool.submit(one, folder) for one, folder in zip(scenarios, folders, strict=True)}
            yield lambda scenario: running[scenario].result()

    return outcome
