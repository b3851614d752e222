"""`python -m app limits`. May import every room."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

__all__ = ["commands"]

commands = typer.Typer()


@commands.command()
def limits(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False) -> None:
    """List every limit: which route, how often, for whom, what happens while the store is down, who says so."""
    from app.chassis.cli.loading import load_service
    from app.chassis.cli.show import table

    service = load_service()
    rows = list(_rows(service.state.settings, service))
    typer.echo(json.dumps(rows, indent=2) if as_json else table(rows))
    if not service.state.settings.rate_limit_enabled:
        typer.echo("RATE_LIMIT_ENABLED is false: nothing of this is in force", err=True)


def _rows(settings: Any, service: Any) -> Iterator[dict[str, str]]:
    from fastapi.routing import iter_route_contexts

    from app.chassis.rate_limit.rules import read_rules

    rules = read_rules(settings, service.versions.apps.values())
    for version, app in (*service.versions.apps.items(), ("", service)):
        for context in iter_route_contexts(app.routes):
            if getattr(context.original_route, "is_guarded", False):
                methods, prefix = ",".join(sorted(context.methods or ())), f"/{version}" if version else ""
                rule = rules.of(version, context.name)
                yield _row(f"{methods} {prefix}{context.path}", context.name or "", rule, settings)
    yield _row("any other path or method", "", rules.default, settings)


def _row(route: str, operation: str, rule: Any, settings: Any) -> dict[str, str]:
    return {
        "route": route,
        "operation": operation,
        "limit": rule.limit,
        "per": rule.per,
        "when_store_is_down": rule.when_store_is_down,
        "counted": "in Redis" if settings.redis_url else "in this process",
        "from": rule.source,
    }
