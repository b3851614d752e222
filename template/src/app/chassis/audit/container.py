"""How the service is packed: Dockerfile and Compose files, as text. May import checks, target, observability."""

import re

from app.chassis.audit.checks import Finding, judged
from app.chassis.audit.target import Target
from app.chassis.observability.redact import HIDDEN, redact

__all__ = ["baked", "base", "healthcheck", "privileges", "user"]

_ABSENT = Finding("UNKNOWN", "Dockerfile", "there is none; what packs the service?")


def _instructions(target: Target) -> list[tuple[str, str]]:
    """(INSTRUCTION, rest) of the Dockerfile, lines joined, comments left out."""
    file = target.root / "Dockerfile"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    text = re.sub(r"\\\n", " ", "\n".join(line for line in lines if not line.lstrip().startswith("#")))
    found = [line.strip().partition(" ") for line in text.splitlines() if line.strip()]
    return [(word.upper(), rest.strip()) for word, _, rest in found]


def _last_stage(target: Target) -> list[tuple[str, str]]:
    every = _instructions(target)
    starts = [place for place, (word, _) in enumerate(every) if word == "FROM"]
    return every[starts[-1] :] if starts else []


def user(target: Target) -> Finding:
    """Whoever breaks out of the service is then nobody."""
    if not (stage := _last_stage(target)):
        return _ABSENT
    name = ([rest for word, rest in stage if word == "USER"] or ["root"])[-1]
    is_good = name.partition(":")[0] not in ("root", "0", "")
    return Finding("pass" if is_good else "FAIL", "the last stage of the Dockerfile", f"USER {name}")


def base(target: Target) -> Finding:
    """`latest` is another image tomorrow."""
    every = _instructions(target)
    if not every:
        return _ABSENT
    values = dict(rest.partition("=")[::2] for word, rest in every if word == "ARG" and "=" in rest)
    stages, bad, seen = {"scratch"}, [], 0
    for rest in [rest for word, rest in every if word == "FROM"]:
        words = [word for word in rest.split() if not word.startswith("--")]
        image = re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], ""), words[0])
        tag = image.rpartition("/")[2].partition(":")[2]
        seen += image not in stages
        if image not in stages and "@sha256:" not in image and (not re.search(r"\d", tag) or tag.startswith("latest")):
            bad.append(words[0])
        stages.add(words[-1])
    return judged(f"{seen} images", bad, [], "all of them")


def baked(target: Target) -> Finding:
    """Whoever can pull an image can read both."""
    if not (every := _instructions(target)):
        return _ABSENT
    pairs = [pair for word, rest in every if word in ("ENV", "ARG") for pair in re.findall(r"(\w+)=(\S+)", rest)]
    bad = [f"{name} has a value" for name, value in pairs if redact(value, name) == HIDDEN]
    file = target.root / ".dockerignore"
    lines = file.read_text(encoding="utf-8").split() if file.is_file() else []
    kept_out = any(line in ("*", ".env", "**/.env", ".env*") for line in lines) and "!.env" not in lines
    bad += [] if kept_out else [".env is not in .dockerignore"]
    return judged(f"{len(pairs)} values, .dockerignore", bad, [], "none")


def healthcheck(target: Target) -> Finding:
    """What does not answer is then replaced."""
    if not (stage := _last_stage(target)):
        return _ABSENT
    has_one = any(word == "HEALTHCHECK" and rest != "NONE" for word, rest in stage)
    return Finding("pass" if has_one else "FAIL", "the last stage of the Dockerfile", "one" if has_one else "none")


def privileges(target: Target) -> Finding:
    """Read as text: Compose itself need not be here."""
    texts = {name: _blocks(target, name) for name in ("compose.yaml", "compose.override.yaml")}
    built = [(name, block) for name, block in texts["compose.yaml"] if re.search(r"^ +build:", block, re.MULTILINE)]
    if not built:
        return Finding("UNKNOWN", "compose.yaml", "no service that is built here")
    wanted = {
        "read_only": r"^ +read_only: true",
        "cap_drop ALL": r"^ +cap_drop:\s+- \"?ALL",
        "no-new-privileges": r"- \"?no-new-priv",
    }
    taken = r"^ +(privileged: true|read_only: false|cap_add:|network_mode: \"?host|pid: \"?host|user: \"?(?:root|0)\b)"
    bad = [
        f"{name}: no {what}"
        for name, block in built
        for what, shape in wanted.items()
        if not re.search(shape, block, re.MULTILINE)
    ]
    names = {name for name, _ in built}
    for file, blocks in texts.items():
        bad += [
            f"{file}: {name} has {found}"
            for name, block in blocks
            if name in names
            for found in re.findall(taken, block, re.MULTILINE)
        ]
    return judged(", ".join(sorted(names)), bad, [], "all of them")


def _blocks(target: Target, name: str) -> list[tuple[str, str]]:
    """(name, text) of each service of a Compose file, comments left out."""
    file = target.root / name
    text = re.sub(r"^\s*#.*\n", "", file.read_text(encoding="utf-8") if file.is_file() else "", flags=re.MULTILINE)
    services = re.search(r"^services:\n((?:[ \t].*\n|\n)*)", text + "\n", re.MULTILINE)
    shape = r"^( +)(\w[\w.-]*):\n((?:\1[ \t].*\n|\n)*)"
    return [(found[2], found[3]) for found in re.finditer(shape, services[1] if services else "", re.MULTILINE)]
