"""Reads the metrics of the running service, and what a page of them says about answers. Standard library only."""

import http.client
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from health import MAX_PAGE_BYTES, ask, default_url
from records import UnreadableError
from settings import setting

LINE = re.compile(r"([\w:]+)(?:\{(.*)\})? (\S+)(?: \d+)?")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)')
ANSWERS = "http_request_duration_seconds"
# What operators and their programs ask is no traffic.
OWN = frozenset(("/livez", "/readyz", "/health", "/metrics"))


Labels = frozenset[tuple[str, str]]


class Page:
    """The samples of a page of metrics."""

    def __init__(self, text: str, source: str) -> None:
        """Raises UnreadableError with the line that is no metric."""
        self.samples: dict[str, dict[Labels, float]] = defaultdict(dict)
        for number, line in enumerate(text.splitlines(), 1):
            if not line or line.startswith("#"):
                continue
            found = LINE.fullmatch(line)
            try:
                value = float(found[3]) if found else math.nan
            except ValueError:
                found = None
            if not found:
                raise UnreadableError(f"{source}:{number}", "is no metric; expected NAME{LABELS} NUMBER")
            self.samples[found[1]][frozenset(LABEL.findall(found[2] or ""))] = value

    def values(self, name: str) -> Iterator[tuple[dict[str, str], float]]:
        """The series of a metric: labels and value."""
        yield from ((dict(labels), value) for labels, value in self.samples[name].items())

    def one(self, name: str) -> float | None:
        """The value of a metric that has no labels; None if it is not there."""
        return self.samples[name].get(frozenset())


@dataclass
class Answers:
    """Answers of a route, or of all: how many, how many of them failed (5xx), and how many took at most so long."""

    count: float = 0.0
    failed: float = 0.0
    within: dict[float, float] | None = None

    def add(self, other: "Answers", sign: int = 1) -> None:
        """Add the other's, or with sign -1 take them away."""
        self.count += sign * other.count
        self.failed += sign * other.failed
        self.within = self.within or {}
        for bound, count in (other.within or {}).items():
            self.within[bound] = self.within.get(bound, 0.0) + sign * count

    def seconds(self, share: float) -> float | None:
        """The time within which so many were answered, between the bounds as if they came evenly; None without any.

        Source: `histogram_quantile` of Prometheus.
        """
        if self.count <= 0:
            return None
        wanted, below, floor = share * self.count, 0.0, 0.0
        for bound, count in sorted((self.within or {}).items()):
            if count >= wanted and count > below:
                return floor if math.isinf(bound) else floor + (bound - floor) * (wanted - below) / (count - below)
            below, floor = count, floor if math.isinf(bound) else bound
        return floor


def answers(page: Page) -> dict[str, Answers]:
    """What was answered since the service began, by `METHOD route`; the probes' own routes are left out."""
    found: dict[str, Answers] = defaultdict(Answers)
    for suffix in ("_bucket", "_count"):
        for labels, value in page.values(ANSWERS + suffix):
            if labels.get("route") in OWN:
                continue
            one = Answers(within={float(labels["le"]): value}) if suffix == "_bucket" else Answers(value)
            one.failed = value if suffix == "_count" and labels.get("status", "").startswith("5") else 0.0
            found[f"{labels.get('method')} {labels.get('route')}"].add(one)
    return dict(found)


def between(before: dict[str, Answers], after: dict[str, Answers]) -> dict[str, Answers]:
    """What was answered between two pages of one process, by route."""
    found = {}
    for name, later in after.items():
        one = Answers()
        one.add(later)
        one.add(before.get(name, Answers()), -1)
        if one.count > 0:
            found[name] = one
    return found


def meanwhile(first: Page, last: Page) -> dict[str, Answers]:
    """What was answered between two looks; where the service began anew between them, since then."""
    is_same = first.one("app_start_time_seconds") == last.one("app_start_time_seconds")
    return between(answers(first) if is_same else {}, answers(last))


def total(of_routes: dict[str, Answers]) -> Answers:
    """The answers of all routes together."""
    found = Answers()
    for one in of_routes.values():
        found.add(one)
    return found


def scrape(url: str | None = None, token: str | None = None) -> Page | None:
    """The metrics of the service that the settings describe, or at `url`; None where nobody answers.

    Raises:
        UnreadableError: what answers has no metrics, or not for us.
    """
    url = (url or default_url().removesuffix("/readyz")) + "/metrics"
    token = setting("OPERATIONS_TOKEN", "") if token is None else token
    try:
        status, body = ask(url, {"Authorization": f"Bearer {token}"} if token else {}, MAX_PAGE_BYTES)
    except (OSError, ValueError, http.client.HTTPException):
        return None
    if status == 401:
        raise UnreadableError(
            url, "asks for a token; expected the service's OPERATIONS_TOKEN in the environment or .env"
        )
    if status != 200:
        raise UnreadableError(url, f"answered {status}; expected metrics")
    return Page(body.decode("utf-8", "replace"), url)
