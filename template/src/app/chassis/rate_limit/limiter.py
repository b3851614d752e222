"""Lets a request in or refuses it, and says in headers how much is left. May import counting, exchange, http, rules.

The form of the headers: IETF draft-ietf-httpapi-ratelimit-headers-10.
"""

import logging
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from ipaddress import ip_address, ip_network
from typing import Any

from prometheus_client import CollectorRegistry, Counter
from starlette.types import Scope

from app.chassis.exchange import Exchange
from app.chassis.http.codes import CodedHTTPError
from app.chassis.rate_limit.counting import Limits, Store, StoreDownError, left_of, wait_of
from app.chassis.rate_limit.rules import Rule, Rules

__all__ = ["Limiter", "network_of"]

_log = logging.getLogger(__name__)
_DECISIONS = "allowed", "refused", "store_down_allowed", "store_down_refused"
_WHOM = {"caller": "each caller", "client": "each address", "all": "all callers together"}


@dataclass(frozen=True, slots=True)
class _Plan:
    """A route's rule, with everything that is the same for each request."""

    rule: Rule
    route: Any
    key: str
    limits: Limits
    policy: tuple[bytes, bytes]
    state: bytes


class Limiter:
    """Decides for every route of the service; its own work is a few microseconds."""

    def __init__(self, service: str, rules: Rules, store: Store, registry: CollectorRegistry, *, proxies: int) -> None:
        self._service = service
        self._rules = rules
        self._plans: dict[int, _Plan] = {}
        self.store = store
        self._is_quiet_about_proxies = proxies == 0
        counter = Counter(
            "rate_limit_decisions_total",
            "Requests that were counted against a limit, and those nobody could count",
            ("decision",),
            registry=registry,
        )
        self._count = {decision: counter.labels(decision).inc for decision in _DECISIONS}

    async def is_counting(self) -> bool:
        """Whether the store answers; an outage is logged by it."""
        try:
            await self.store.take(f"{self._service}:rate_limit:start", ((1_000_000, 1_000),))
        except StoreDownError:
            return False
        return True

    async def let_in(self, scope: Scope) -> None:
        """Count a request.

        Raises:
            CodedHTTPError: `too_many_requests`; `unavailable` while the store is down and the rule says closed.
        """
        exchange: Exchange = scope["exchange"]
        route = scope.get("route")
        if route is not None and scope["method"] not in route.methods:
            route = None
        plan = self._plans.get(id(route)) or self._plan(route, exchange.api_version)
        if exchange.headers is None:
            exchange.headers = []
        exchange.headers.append(plan.policy)
        try:
            is_allowed, counts = await self.store.take(plan.key + _who(exchange, plan.rule.per), plan.limits)
        except StoreDownError:
            self._without_store(plan)
            return
        wait_seconds = _tell(exchange.headers, plan, counts)
        self._count["allowed" if is_allowed else "refused"]()
        if is_allowed:
            return
        if self._is_quiet_about_proxies and any(name == b"x-forwarded-for" for name, _ in scope["headers"]):
            self._is_quiet_about_proxies = False
            _log.warning("clients behind a proxy share one limit", extra={"setting": "SECURITY_TRUSTED_PROXIES"})
        raise CodedHTTPError(
            "too_many_requests",
            f"the limit of this route is {plan.rule.limit} for {_WHOM[plan.rule.per]}",
            expected=f"the same request after {wait_seconds} seconds",
            headers={"Retry-After": str(wait_seconds)},
        )

    def _without_store(self, plan: _Plan) -> None:
        is_open = plan.rule.when_store_is_down == "open"
        self._count["store_down_allowed" if is_open else "store_down_refused"]()
        if is_open:
            return
        raise CodedHTTPError(
            "unavailable",
            "requests cannot be counted now, and this route lets nobody in uncounted",
            expected="the same request, a little later",
            headers={"Retry-After": "1"},
        )

    def _plan(self, route: Any, version: str | None) -> _Plan:
        name = "unmatched" if route is None else f"{version or 'service'}.{route.name}"
        rule = self._rules.default if route is None else self._rules.of(version, route.name)
        windows = rule.windows
        lengths = ".".join(str(one.milliseconds) for one in windows)
        policy = ", ".join(f'"{one.name}";q={one.count};w={one.milliseconds // 1000}' for one in windows)
        plan = _Plan(
            rule,
            route,
            f"{self._service}:rate_limit:{name}:{lengths}:",
            tuple((one.count, one.milliseconds) for one in windows),
            (b"ratelimit-policy", policy.encode()),
            ", ".join(f'"{one.name}";r=%d;t=%d' for one in windows).encode(),
        )
        self._plans[id(route)] = plan  # which holds the route, so the number is no other's
        return plan


def _tell(headers: list[tuple[bytes, bytes]], plan: _Plan, counts: Any) -> int:
    """Say what is left; returns the seconds until a request is let in again.

    `t` is when the running window ends, or where nothing is left, when something is left again.
    """
    place = longest = 0
    numbers: list[int] = []
    for count, milliseconds in plan.limits:
        elapsed, before, now = counts[place], counts[place + 1], counts[place + 2]
        left, wait = left_of(count, milliseconds, elapsed, before, now), milliseconds - elapsed
        if not left:
            wait = wait_of(count, milliseconds, elapsed, before, now)
            longest = max(longest, wait)
        numbers += left, (wait + 999) // 1000
        place += 3
    headers.append((b"ratelimit", plan.state % tuple(numbers)))
    return (longest + 999) // 1000


def _who(exchange: Exchange, per: str) -> str:
    if per == "all":
        return ""
    subject = exchange.caller.subject
    if subject is None or per == "client":
        return network_of(exchange.client)
    return "subject=" + (subject if len(subject) <= 64 else blake2b(subject.encode(), digest_size=24).hexdigest())


@lru_cache(maxsize=8_192)
def network_of(client: str | None) -> str:
    """What counts as one address: an IPv6 client has all of its /64, and IPv4 is IPv4 however it is written."""
    try:
        address = ip_address((client or "").partition("%")[0])
    except ValueError:
        return "client=unknown"
    address = getattr(address, "ipv4_mapped", None) or address
    return f"client={address if address.version == 4 else ip_network((address, 64), strict=False)}"
