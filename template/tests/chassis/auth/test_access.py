"""Every route says who may come in, and lets in nobody else. Taken from the routes; needs no edit when one is added."""

from typing import Any

import pytest
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from app.chassis.auth.access import requires
from app.chassis.auth.guards import all_scopes, is_public, wanted
from app.chassis.auth.testing import token
from app.chassis.http import Router
from app.chassis.http.versions import discover_versions
from app.chassis.testing import Client
from tests.chassis.test_routes import filled

ROUTES = [
    pytest.param(version.name, context, id=f"{min(context.methods or [''])} /{version.name}{context.path}")
    for version in discover_versions("app.api")
    for router in version.routers
    for context in iter_route_contexts(router.routes)
    if isinstance(context.original_route, APIRoute)
]


JSON = {"Content-Type": "application/json"}


def bearer(*scopes: str) -> dict[str, str]:
    """What a caller with these scopes sends."""
    return {"Authorization": f"Bearer {token(*scopes)}"}


def asked(client: Client, version: str, route: RouteContext, contracts: dict[str, Any], **headers: str) -> Any:
    """Send what no route can read, so that nothing is done, with these headers and no others."""
    client.headers = {}
    method = min(route.methods)
    path = filled(route.path, contracts[version]["paths"][route.path].get(method.lower(), {}))
    return client.request(method, f"/{version}{path}", body=b'{"', headers=JSON | headers)


@pytest.mark.parametrize(("version", "route"), ROUTES)
def test_every_route_says_who_may_come_in(version: str, route: RouteContext) -> None:
    """By a parameter: `Public`, or one made by `requires`. A route with neither was forgotten."""
    says_who = wanted(route.dependant) is not None or is_public(route.dependant)
    where = f"{getattr(route.endpoint, '__module__', version)}.{route.name}"
    expected = "expected a parameter such as `_who: Public` or `_who: Annotated[Caller, requires(…)]`"
    assert says_who, f"{where} takes nobody as its caller; {expected}"


@pytest.mark.parametrize(("version", "route"), ROUTES)
def test_every_route_refuses_whom_it_must(
    version: str, route: RouteContext, client: Client, contracts: dict[str, Any]
) -> None:
    """Without a token and with a wrong one 401, with too little 403, before a body is read; a public route never."""
    scopes = wanted(route.dependant)
    nobody = asked(client, version, route, contracts)
    wrong = asked(client, version, route, contracts, Authorization="Bearer wrong")
    little = asked(client, version, route, contracts, Authorization=f"Bearer {token('of:nothing')}")
    if scopes is None:
        assert not {nobody.status, wrong.status, little.status} & {401, 403}
        return
    assert (nobody.status, nobody.headers["www-authenticate"]) == (401, "Bearer")
    assert wrong.status == 401
    assert wrong.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    if scopes:
        assert (little.status, little.error["code"]) == (403, "forbidden")
        assert f'scope="{" ".join(scopes)}"' in little.headers["www-authenticate"]
    else:
        assert little.status not in (401, 403)


def test_guarded_operation_declares_scheme_and_refusals(contracts: dict[str, Any]) -> None:
    """The contract says which token and scopes, and that 401 and 403 may come."""
    for version, route in ((param.values[0], param.values[1]) for param in ROUTES):
        assert isinstance(route, RouteContext)
        operation = contracts[str(version)]["paths"][route.path][min(route.methods).lower()]
        scopes = wanted(route.dependant)
        assert operation.get("security") == (None if scopes is None else [{"bearer": list(scopes)}]), route.path
        statuses = {status for status in ("401", "403") if status in operation["responses"]}
        assert scopes is None or statuses == ({"401", "403"} if scopes else {"401"}), route.path


def test_scopes_of_a_dependency_count(client: Client) -> None:
    """A dependency that asks for a scope guards the route beside the route's own parameter."""
    for scopes, status in [
        ((), 403),
        (("probe:read",), 403),
        (("probe:write",), 403),
        (("probe:read", "probe:write"), 200),
    ]:
        answer = client.request("GET", "/-probe/both-scoped", headers={"Authorization": f"Bearer {token(*scopes)}"})
        assert answer.status == status, scopes


def test_public_route_answers_whatever_token(client: Client) -> None:
    """A client that always sends its token, even an old one, still reaches what is open to all."""
    bad = client.request("GET", "/-probe/anybody", headers={"Authorization": "Bearer old"})
    good = client.request("GET", "/-probe/anybody", headers={"Authorization": f"Bearer {token(subject='ada')}"})
    assert (bad.status, bad.data) == (200, {"subject": None})
    assert good.data == {"subject": "ada"}


def test_scopes_of_an_included_router_count(client: Client) -> None:
    """Before the body is read, in `make token`, and in the tests above: FastAPI keeps such routes one floor lower."""
    little = client.request("POST", "/-probe/inner", body=b'{"', headers=bearer() | JSON)
    assert (little.status, little.error["code"]) == (403, "forbidden")
    assert client.request("POST", "/-probe/inner", json_body={"number": 1}, headers=bearer("probe:inner")).status == 200
    outer, inner = Router(), Router()

    @inner.get("/forgotten", dependencies=[requires("in:two")])
    async def _route() -> None:
        """Asks for nobody itself."""

    outer.include_router(inner, dependencies=[requires("in:one")])
    assert all_scopes([outer]) == ("in:one", "in:two")
