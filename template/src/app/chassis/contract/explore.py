"""Sends a service what its contract allows, and what it forbids, with schemathesis.

May import findings, http, operations, plausible, testing.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.failures import AcceptedNegativeData, Failure, FailureGroup
from schemathesis.core.result import Err
from schemathesis.generation import GenerationMode
from schemathesis.openapi.checks import RejectedPositiveData

from app.chassis.contract.findings import Exploration, Finding, error_of, refusal_of
from app.chassis.contract.operations import Operation, operations_of, overlap
from app.chassis.contract.plausible import plausible_query
from app.chassis.http.cursor import CURSOR_FORMAT
from app.chassis.http.recordings import ContractError
from app.chassis.testing.client import Client
from app.chassis.testing.rooms import caller_headers
from app.chassis.testing.team import Team

__all__ = ["explore"]

# What a request that fits the contract may be answered with: a success, or a refusal that depends on what is stored.
_FITTING = ["2xx", "3xx", "401", "403", "404", "409", "410", "412", "429"]
_BY_RULE = {401, 403, 404, 409, 410, 412, 422, 428, 429}  # what a route's own work may answer: its codes are declared
_CHECKS = {
    "positive_data_acceptance": {"expected-statuses": _FITTING},
    "missing_required_header": {"expected-statuses": ["400", "401", "403", "406", "415", "422", "428"]},
}


# schemathesis' name of a failure -> ours, and what it means; another one speaks for itself.
_KINDS = {
    "RejectedPositiveData": ("request", "a request that the contract allows is refused"),
    "JsonSchemaError": ("response", "the answer is not of the shape that the contract gives it"),
    "UndefinedStatusCode": ("status", "the contract does not declare that status"),
    "UndefinedContentType": ("content-type", "the contract does not declare that content type"),
    "ServerError": ("server-error", "the service fails"),
}


class _Explorer:
    def __init__(self, contract: dict[str, Any], version: str, client: Client, team: Team) -> None:
        document = deepcopy(contract)
        for item in document["paths"].values():
            for operation in item.values():
                operation["responses"].pop("default", None)  # it would make every status a declared one
                given = [one for one in operation.get("parameters", ()) if one["schema"].get("format") != CURSOR_FORMAT]
                operation["parameters"] = given  # nobody can make up a cursor
        config = schemathesis.Config.from_dict({"checks": _CHECKS})
        self.schema = schemathesis.openapi.from_dict(document, config=config)
        self.schema.config.update(base_url=f"http://{client.address}/{version}")
        self.operations = {(one.method, one.template): one for one in operations_of(contract).values()}
        self.contract, self.version, self.client, self.team = contract, version, client, team
        self.session = requests.Session()
        self.session.headers.update(caller_headers())
        self.done = Exploration()

    def explore(self, modes: Sequence[GenerationMode], examples: int) -> Exploration:
        for result in self.schema.get_all_operations():
            if isinstance(result, Err):
                raise ContractError(f"the OpenAPI document cannot be read: {result.err()}")
            one: Any = result.ok()
            operation = self.operations.get((one.method.upper(), one.path))
            if operation is None:
                continue
            content = operation.about.get("requestBody", {}).get("content", {"application/json": {}})
            # Every text is a legal form, whatever it was meant to break.
            own = modes if "application/json" in content else [GenerationMode.POSITIVE]
            keys = list(self._known_keys(operation))
            generation = self.schema.config.generation_for(operation=one)
            for case in self.schema.iter_coverage_cases(one, generation_modes=list(own), generation_config=generation):
                if case.method.upper() != operation.method and self._is_shared(operation):
                    continue  # that method is another operation's
                self._ask(case, operation)
                if keys and case.meta and case.meta.generation.mode == GenerationMode.POSITIVE:
                    case.path_parameters = dict.fromkeys(case.path_parameters, keys[-1])
                    case.headers.update({name: "*" for name in case.headers if name.lower() == "if-match"})
                    self._ask(case, operation)
            if examples:
                self._fuzz(one, operation, own, examples)
        self.session.close()
        return self.done

    def _fuzz(self, one: Any, operation: Operation, modes: Sequence[GenerationMode], examples: int) -> None:
        for mode in modes:
            if mode == GenerationMode.NEGATIVE and not operation.parameters and "requestBody" not in operation.about:
                continue  # there is nothing to make wrong

            @settings(
                max_examples=max(1, examples // len(modes)),
                derandomize=True,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=one.as_strategy(generation_mode=mode))
            def send(case: Any) -> None:
                self._ask(case, operation)

            send()

    def _is_shared(self, operation: Operation) -> bool:
        """Whether a path of the operation may be one of another template too, as `/items/all` of `/items/{item_id}`."""
        others = {template for _, template in self.operations} - {operation.template}
        return any(overlap(operation.template, other) for other in others)

    def _known_keys(self, operation: Operation) -> Iterator[Any]:
        """Keys of the things in the list above a path such as `/items/{item_id}`."""
        above = self.operations.get(("GET", operation.template.partition("/{")[0]))
        if operation.template.count("{") == 1 and above is not None:
            headers = self.team.headers("GET", above.template)
            self.client.close()  # the service may have closed it meanwhile
            path = f"/{self.version}{above.template}{plausible_query(above.about, self.contract)}"
            answer = self.client.request("GET", path, headers=headers, check=False)
            is_list = answer.status == 200 and answer.headers.get("content-type") == "application/json"
            things = answer.data if is_list else ()
            yield from (thing["id"] for thing in things if isinstance(thing, dict) and "id" in thing)

    def _ask(self, case: Any, operation: Operation) -> None:
        answer = case.call(session=self.session, headers=self.team.headers(operation.method, operation.template))
        if case.method.upper() == operation.method:
            self.done.note(operation.id, answer.status_code)
        try:
            case.validate_response(answer)
        except FailureGroup as group:
            for failure in group.exceptions:
                if not _is_own_rule(failure, answer, operation):
                    self._tell(failure, case, operation, answer)
        if answer.status_code in _BY_RULE and (code := error_of(answer)["code"]) not in operation.codes:
            told = f"{operation} fails with {code}, which it does not declare\n  {self._to_try(case)}"
            self._add(Finding(operation.id, "code", f".{code}", told))

    def _tell(self, failure: Failure, case: Any, operation: Operation, answer: requests.Response) -> None:
        name = type(failure).__name__
        kind, meaning = _KINDS.get(name, (name, failure.title))
        fields = error_of(answer)["fields"] if answer.status_code >= 400 else []
        pointer = fields[0]["pointer"] if kind == "request" and fields else ""
        if fields and fields[0]["in"] == "query":
            pointer = pointer.replace("/", "?", 1)
        detail = refusal_of(answer) if answer.status_code >= 400 else failure.message.splitlines()[0]
        told = f"{operation}: {meaning}: {detail}\n  {self._to_try(case)}"
        self._add(Finding(operation.id, kind, pointer, told))

    def _add(self, finding: Finding) -> None:
        """Each way once: the first request that shows it is enough."""
        key = finding.operation, finding.kind, finding.pointer
        if key not in {(one.operation, one.kind, one.pointer) for one in self.done.findings}:
            self.done.findings.append(finding)

    def _to_try(self, case: Any) -> str:
        """The request as a command, for a service that `make run` started."""
        return str(case.as_curl_command()).replace(self.client.address, "127.0.0.1:8000")


def _is_own_rule(failure: Exception, answer: requests.Response, operation: Operation) -> bool:
    """A domain may refuse what its schema cannot say, by a code of its own that the contract declares.

    And a list in the query cannot be told from a text: `?word=a` is both.
    """
    if isinstance(failure, AcceptedNegativeData):
        lists = [one for (place, _), one in operation.parameters.items() if place == "query" and "items" in str(one)]
        return bool(lists)
    if not isinstance(failure, RejectedPositiveData) or answer.status_code != 422:
        return False
    code = error_of(answer)["code"]
    return code != "validation_failed" and code in operation.codes


def explore(
    contract: dict[str, Any],
    version: str,
    client: Client,
    team: Team,
    *,
    is_only_allowed: bool = False,
    examples: int = 0,
) -> Exploration:
    """Ask every operation of a contract at the edges of what it allows and, unless told not to, of what it forbids.

    Args:
        contract: OpenAPI document: the service's own, or one that was released.
        version: API version whose paths are asked.
        client: Knows where the service is.
        team: Headers a route needs.
        is_only_allowed: Send only what the contract allows.
        examples: Random requests an operation, on top.
    """
    modes = [GenerationMode.POSITIVE] if is_only_allowed else list(GenerationMode)
    return _Explorer(contract, version, client, team).explore(modes, examples)
