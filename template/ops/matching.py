"""Whether what a command printed is what its page shows. Imports nothing."""


def fits(expected: list[str], output: str) -> bool:
    """Whether `output` is what the page promises; in a time that grows with the product of both, at most."""
    wanted, found = "\n".join(expected).rstrip().splitlines(), output.rstrip().splitlines()
    at = place = 0
    retry: tuple[int, int] | None = None
    while place < len(found):
        if at < len(wanted) and wanted[at].strip() == "...":
            retry, at = (at + 1, place), at + 1
        elif at < len(wanted) and _line_fits(wanted[at], found[place]):
            at, place = at + 1, place + 1
        elif retry:
            at, place = retry[0], retry[1] + 1
            retry = at, place
        else:
            return False
    return all(line.strip() == "..." for line in wanted[at:])


def _line_fits(wanted: str, found: str) -> bool:
    first, *rest = wanted.rstrip().split("...")
    found = found.rstrip()
    if not rest:
        return first == found
    if not found.startswith(first) or len(found) < len(first) + len(rest[-1]) or not found.endswith(rest[-1]):
        return False
    place, end = len(first), len(found) - len(rest[-1])
    for part in rest[:-1]:
        place = found.find(part, place, end)
        if place < 0:
            return False
        place += len(part)
    return True
