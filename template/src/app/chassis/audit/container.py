"""How the service is packed: Dockerfile and Compose files, as text. May import checks, secrets, shapes, target."""

import re

from app.chassis.audit.checks import Finding, Verdict, judged
from app.chassis.audit.secrets import key_files
from app.chassis.audit.shapes import is_env_file, is_secret
from app.chassis.audit.target import Target

__all__ = ["baked", "base", "healthcheck", "privileges", "user"]

_ABSENT = Finding("UNKNOWN", "Dockerfile", "there is none; what packs the service?")
_COMPOSE = ("compose.yaml", "compose.override.yaml")
_WANTED = {
    "read_only": r"(?m)^ +read_only: [\"']?true",
    "cap_drop ALL": r"(?m)^ +cap_drop:\s+- [\"']?ALL",
    "no-new-privileges": r"- [\"']?no-new-privileges(?![:=]false)",
}
_TAKEN = re.compile(
    r"(?im)(?<![\w/.~$-])(privileged: [\"']?(?:true|yes|on)\b|read_only: [\"']?false|cap_add:|/:/|\w+[:=]unconfined"
    r"|(?:network_mode|pid|ipc|uts|cgroup|userns_mode): [\"']?host\b|/[\w/.-]*\b(?:docker|podman|containerd)\.sock"
    r"|source: [\"']?/[\"']?\s*$|label[:=]disable|user: [\"']?(?:root\b|\+?0+\b))"
)


def _instructions(target: Target) -> list[tuple[str, str]]:
    """(INSTRUCTION, rest) of the Dockerfile, lines joined, comments left out."""
    file = target.root / "Dockerfile"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    text = re.sub(r"\\\n", " ", "\n".join(line for line in lines if not line.lstrip().startswith("#")))
    found = [[*line.split(None, 1), ""] for line in text.splitlines() if line.strip()]
    return [(words[0].upper(), words[1].strip()) for words in found]


def _variables(every: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Names and values of ENV and ARG, also as `ENV NAME VALUE`."""
    pairs = []
    for word, rest in every:
        if word == "ENV" and (old := re.match(r"(\w+)\s+(.*)", rest)):
            pairs.append((old[1], old[2]))
        elif word in ("ENV", "ARG"):
            pairs += re.findall(r"(\w+)=(\"[^\"]*\"|'[^']*'|\S+)", rest)
    return [(name, value.strip("\"'")) for name, value in pairs]


def _resolved(text: str, values: dict[str, str]) -> str:
    """Variables as their values, else as the defaults that stand there, else as a `$`."""
    shape = r"\$(?:(\w+)|\{(\w+)(?::?-([^}]*)|[^}]*)\})"
    return re.sub(shape, lambda found: values.get(found[1] or found[2]) or found[3] or "$", text)


def _last_stage(target: Target) -> list[tuple[str, str]]:
    every = _instructions(target)
    starts = [place for place, (word, _) in enumerate(every) if word == "FROM"]
    return every[starts[-1] :] if starts else []


def user(target: Target) -> Finding:
    """Whoever breaks out of the service is then nobody."""
    if not (stage := _last_stage(target)):
        return _ABSENT
    name = ([rest for word, rest in stage if word == "USER"] or ["root"])[-1]
    one = _resolved(name.strip("\"'"), dict(_variables(_instructions(target)))).partition(":")[0]
    verdict: Verdict = "FAIL" if re.fullmatch(r"root|[+-]?0+|", one) else "UNKNOWN" if "$" in one else "pass"
    return Finding(verdict, "the last stage of the Dockerfile", f"USER {name}")


def base(target: Target) -> Finding:
    """`latest` is another image tomorrow."""
    every = _instructions(target)
    if not every:
        return _ABSENT
    values = dict(_variables(every))
    stages, bad, seen = {"scratch"}, [], 0
    for rest in [rest for word, rest in every if word == "FROM"]:
        words = [word for word in rest.split() if not word.startswith("--")]
        image = _resolved(words[0], values)
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
    pairs = _variables(every)
    bad = [f"{name} has a value" for name, value in pairs if is_secret(name, value)]
    files = [".env", *(file.as_posix() for file in key_files(target) if not file.is_absolute())]
    copied = [source for word, rest in every if word in ("COPY", "ADD") for source in re.split(r"[\s\",\[\]]+", rest)]
    bad += [f"{one} is copied" for one in copied if one.removeprefix("./") in files or is_env_file(one)]
    bad += [f"{one} is not in .dockerignore" for one in files if not _is_kept_out(target, one)]
    bad += [
        f"{file}: {variable} has a value"
        for file, _, text in _built(target)
        for variable, value in re.findall(r"(\w+)[\"']?(?::[ \t]+|=)[\"']?([^\s\"',{}\[\]]+)", text)
        if is_secret(variable, value)
    ]
    return judged(f"{len(pairs)} values, {len(copied)} words of COPY, .dockerignore, Compose files", bad, [], "none")


def _is_kept_out(target: Target, path: str) -> bool:
    """The last pattern that fits the file or a folder above it decides. Source: Docker, ".dockerignore files"."""
    file, is_kept_out = target.root / ".dockerignore", False
    parts = path.split("/")
    places = ["/".join(parts[:number]) for number in range(1, len(parts) + 1)]
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        shape = re.escape(line.strip().lstrip("!").removeprefix("./").strip("/")).replace(r"\*\*/", "(?:.*/)?")
        shape = shape.replace(r"\*\*", ".*").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
        if any(re.fullmatch(shape, place) for place in places):
            is_kept_out = not line.strip().startswith("!")
    return is_kept_out


def healthcheck(target: Target) -> Finding:
    """What does not answer is then replaced."""
    if not (stage := _last_stage(target)):
        return _ABSENT
    has_one = any(word == "HEALTHCHECK" and rest.upper() != "NONE" for word, rest in stage)
    return Finding("pass" if has_one else "FAIL", "the last stage of the Dockerfile", "one" if has_one else "none")


def privileges(target: Target) -> Finding:
    """Read as text: Compose itself need not be here."""
    built = _built(target)
    main = [(name, block) for file, name, block in built if file == _COMPOSE[0]]
    lacks = [(name, what) for name, block in main for what, shape in _WANTED.items() if not re.search(shape, block)]
    bad = [f"{name}: no {what}" for name, what in lacks]
    bad += [f"{file}: {name} has {found}" for file, name, block in built for found in _TAKEN.findall(block)]
    unclear = [] if built else ["no service that is built here"]
    return judged(", ".join(sorted({name for _, name, _ in built})) or _COMPOSE[0], bad, unclear, "all of them")


def _built(target: Target) -> list[tuple[str, str, str]]:
    """(file, name, text) of the services that are built here, variables as they are without settings."""
    every = [(file, name, _resolved(text, {})) for file in _COMPOSE for name, text in _blocks(target, file)]
    names = {name for _, name, text in every if re.search(r"^ +build:", text, re.MULTILINE)}
    return [one for one in every if one[1] in names]


def _blocks(target: Target, name: str) -> list[tuple[str, str]]:
    """(name, text) of each service of a Compose file, comments left out, with that of the one that it merges."""
    file = target.root / name
    text = re.sub(r"^\s*#.*\n", "", file.read_text(encoding="utf-8") if file.is_file() else "", flags=re.MULTILINE)
    services = re.search(r"^services:\n((?:[ \t].*\n|\n)*)", text + "\n", re.MULTILINE)
    shape = r"^( +)(\w[\w.-]*):(?: &[\w-]+)?\n((?:\1[ \t].*\n|\n)*)"
    every = [(found[2], found[3]) for found in re.finditer(shape, services[1] if services else "", re.MULTILINE)]
    return [(one, text + "".join(more for other, more in every if f"<<: *{other}\n" in text)) for one, text in every]
