"""A measure of the service, and whether another one is worse. Standard library only."""

from dataclasses import asdict, dataclass, fields

from scrape import Answers

# A measure is worse where it is so much larger than noise: a share, and an amount below which nobody notices.
SLOWER, SLOWER_SECONDS = 1.5, 0.02
MORE_FAILED = 0.01


@dataclass(frozen=True)
class Measure:
    """Answers in a time: how many, how many of them failed (5xx), and the seconds in which a share was answered."""

    requests: int
    failed: int
    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, answers: Answers) -> "Measure":
        """What a histogram tells."""
        p50, p95, p99 = (answers.seconds(share) for share in (0.5, 0.95, 0.99))
        return cls(round(answers.count), round(answers.failed), p50, p95, p99)

    @classmethod
    def from_json(cls, found: object) -> "Measure":
        """What `to_json` wrote.

        Raises:
            ValueError: it did not.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(found, dict) or sorted(found) != sorted(names):
            raise ValueError(f"is no measure; expected {', '.join(names)}")
        for name, value in found.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
            if not is_number and (value is not None or name in {"requests", "failed"}):
                raise ValueError(f"has {name} {value!r}; expected a number")
        return cls(**found)

    def to_json(self) -> dict[str, float | None]:
        """Its members, for a line of JSON."""
        return asdict(self)

    @property
    def failed_share(self) -> float:
        """Of one."""
        return self.failed / self.requests if self.requests else 0.0

    def worse_than(self, before: "Measure", shares: tuple[str, ...] = ("p50", "p95", "p99")) -> list[str]:
        """What became worse, in words; empty if nothing did, or if one of the two saw no request."""
        if not self.requests or not before.requests:
            return []
        found = []
        if self.failed_share > before.failed_share + MORE_FAILED:
            found.append(f"{percent(before.failed_share)} failed then, {percent(self.failed_share)} now")
        for name in shares:
            was, now = getattr(before, name), getattr(self, name)
            if was is not None and now is not None and now > was * SLOWER and now > was + SLOWER_SECONDS:
                found.append(f"{name} was {milliseconds(was)}, is {milliseconds(now)}")
        return found


def milliseconds(seconds: float | None) -> str:
    """Seconds for eyes."""
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def percent(share: float) -> str:
    """A share for eyes."""
    return f"{share:.1%}".replace(".0%", "%")
