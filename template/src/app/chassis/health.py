"""Is it up, is it ready, what is wrong: `/livez`, `/readyz`, `/health`, `/metrics`.

May import about, errors, http, observability.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Header, Request, Response
from pydantic import BaseModel, SecretStr
from pydantic.json_schema import SkipJsonSchema

from app.chassis.about import about
from app.chassis.errors import UnauthenticatedError, UnavailableError
from app.chassis.http.routing import ProbeRoute, Router
from app.chassis.observability.metrics import CONTENT_TYPE

__all__ = ["Health", "health_router"]

_log = logging.getLogger(__name__)
_CHECK_SECONDS = 2.0

Check = Callable[[], Awaitable[None]]


class NotReadyError(UnavailableError):
    """The service lives but must not get traffic now."""

    code = "not_ready"


class Health:
    """Named readiness checks, and whether the service is draining."""

    def __init__(self, checks: dict[str, Check]) -> None:
        self.checks = checks
        self.is_draining = False

    async def failures(self) -> dict[str, str]:
        """Check -> what is wrong, for each that fails; all run at once, each for at most 2 seconds."""
        results = await asyncio.gather(*(self._run(name) for name in self.checks))
        found = {name: problem for name, problem in zip(self.checks, results, strict=True) if problem}
        if self.is_draining:
            found["drain"] = "the service is stopping"
        return found

    async def _run(self, name: str) -> str | None:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self.checks[name]()
        except TimeoutError:
            return f"no answer within {_CHECK_SECONDS:g} seconds"
        except UnavailableError as error:
            return error.detail
        except Exception as error:  # noqa: BLE001  # any failure of a check is an answer, not an error of this route
            _log.warning(
                "readiness check failed", extra={"check": name, "problem": type(error).__name__}, exc_info=error
            )
            return f"failed with {type(error).__name__}"
        return None


class Alive(BaseModel):
    """The process answers."""

    ok: bool


class Ready(BaseModel):
    """The process may get traffic; and which one it is, so that nobody takes the one before for it."""

    ok: bool
    version: str
    deploy_id: str


class CheckResult(BaseModel):
    """One readiness check."""

    name: str
    ok: bool
    detail: str | None


class Report(BaseModel):
    """State of the service, for people and dashboards."""

    ok: bool
    service: str
    version: str
    api_versions: list[str]
    is_draining: bool
    checks: list[CheckResult]


def health_router() -> Router:
    """Routes for probes and operators; the edge lets them pass its limits."""
    router = Router(tags=["health"], route_class=ProbeRoute)

    @router.get("/livez", summary="Is the process alive? Touches nothing else")
    async def livez() -> Alive:
        return Alive(ok=True)

    @router.get("/readyz", summary="May it get traffic now? 503 if not")
    async def readyz(request: Request) -> Ready:
        failures = await _health(request).failures()
        if failures:
            detail = "; ".join(f"{name}: {problem}" for name, problem in failures.items())
            raise NotReadyError(detail, expected="every check passes and the service is not stopping", retry_after=2)
        return Ready(ok=True, version=about().version, deploy_id=request.app.state.settings.deploy_id)

    @router.get("/health", summary="Version and every check, always 200")
    async def health(request: Request) -> Report:
        state = _health(request)
        failures = await state.failures()
        checks = [CheckResult(name=name, ok=name not in failures, detail=failures.get(name)) for name in state.checks]
        return Report(
            ok=not failures,
            service=about().slug,
            version=about().version,
            api_versions=list(request.app.versions.apps),
            is_draining=state.is_draining,
            checks=checks,
        )

    router.routes.extend(_metrics_router().routes)
    return router


def _metrics_router() -> Router:
    router = Router(tags=["health"], route_class=ProbeRoute)

    @router.get(
        "/metrics", summary="Prometheus metrics; needs OPERATIONS_TOKEN where one is set", response_class=Response
    )
    async def metrics(
        request: Request, authorization: Annotated[str | SkipJsonSchema[None], Header()] = None
    ) -> Response:
        _require_token(request.app.state.settings.operations_token, authorization)
        state = _health(request)
        failures = await state.failures()
        checks = {name: name not in failures for name in state.checks}
        body = request.app.state.metrics.render(request.app.state.writer.dropped, checks)
        return Response(body, media_type=CONTENT_TYPE)

    return router


def _health(request: Request) -> Health:
    health: Health = request.app.state.health
    return health


def _require_token(expected: SecretStr | None, given: Any) -> None:
    if expected is None:
        return
    wanted = f"Bearer {expected.get_secret_value()}"
    if not hmac.compare_digest(wanted.encode(), str(given or "").encode()):
        raise UnauthenticatedError(
            "the operations token is missing or wrong", expected="Authorization: Bearer <OPERATIONS_TOKEN>"
        )
