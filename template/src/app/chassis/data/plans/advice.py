"""Which index would help a step of a plan. May import facts, sql."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace

from sqlalchemy import MetaData, Table, UniqueConstraint

from app.chassis.data.plans.facts import Look, Step
from app.chassis.data.plans.sql import Block, Condition

__all__ = ["Advice", "advise", "idle_indexes", "keys_without_index"]


_PARTIAL = ("postgresql_where", "sqlite_where")


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do, in words; `is_there` if the index that helps is there already and the plan does without.

    `is_all` if as many rows are asked for as there are; `is_range` if it serves no more than a < or >.
    """

    told: str
    is_there: bool = False
    is_all: bool = False
    is_range: bool = False

    def told_of(self, query: str, look: Look) -> str:
        """The words for that query; a list without its last page can leave off counting."""
        if not query.endswith(".total") or not (self.is_there or self.is_all) or any(b.has_limit for b in look.blocks):
            return self.told
        told = "instead: count_to= of Order.slice, which counts no further"
        return f'{told}; or accept "{query.partition(".")[2]}" in plans.toml'


def _leads(table: Table, columns: Sequence[str], count: int) -> bool:
    """Whether an index of the table begins with the columns, the first `count` of them in any order."""
    found = [list(table.primary_key.columns.keys())]
    found += [list(one.columns.keys()) for one in table.constraints if isinstance(one, UniqueConstraint)]
    found += [
        list(one.columns.keys())
        for one in table.indexes
        if len(one.columns) == len(one.expressions) and not any(one.dialect_kwargs.get(k) is not None for k in _PARTIAL)
    ]
    rest = list(columns[count:])
    return any(
        set(one[:count]) == set(columns[:count]) and one[count : count + len(rest)] == rest
        for one in found
        if len(one) >= len(columns)
    )


def keys_without_index(metadata: MetaData) -> Iterator[tuple[str, str]]:
    """Each foreign key that no index begins with, `lines.item_id`, and the index that would help."""
    for table in metadata.tables.values():
        for columns in _keys(table):
            if not _leads(table, columns, len(columns)):
                yield f"{table.name}.{', '.join(columns)}", _index(table, columns, []).told


def _keys(table: Table) -> list[list[str]]:
    return sorted(list(key.column_keys) for key in table.foreign_key_constraints)


def idle_indexes(metadata: MetaData, used: Set[str]) -> Iterator[str]:
    """Indexes that no plan used, but those that are a rule or serve a foreign key."""
    for table in metadata.tables.values():
        keys = [set(columns) for columns in _keys(table)]
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            serves = any(set(list(index.columns.keys())[: len(key)]) == key for key in keys)
            if not index.unique and not serves and str(index.name) not in used:
                yield f"{index.name} on {table.name}"


def advise(step: Step, look: Look, metadata: MetaData) -> Advice:
    """The index in the words of a model, or what else to do."""
    table = metadata.tables.get(step.table)
    if table is None:
        return Advice("instead: look at the plan: it is no table of the models")
    if all(step.table not in one.tables.values() for one in look.blocks):  # what refers to a row that is deleted
        missing = [columns for columns in _keys(table) if not _leads(table, columns, len(columns))]
        return (
            _index(table, missing[0], [])
            if missing
            else Advice("instead: look at the plan: the statement does not name it")
        )
    blocks = [one for one in look.blocks if one.tables.get(step.alias) == step.table] or [
        one for one in look.blocks if step.table in one.tables.values()
    ]
    conditions = [one for block in blocks for one in _own(block, step, table)]
    order = [entry for block in blocks for entry in _order(block, step, table)]
    if any(one.arm for one in conditions):
        return _advise_arms(conditions, table)
    equal = _columns([one for one in conditions if one.kind == "equal" and not one.is_join])
    is_looked_up = any(one.kind == "equal" and not one.is_join for block in blocks for one in block.conditions)
    if not equal and (is_looked_up or not order):  # else a list in order leads, and its rows find their partners
        equal = _columns([one for one in conditions if one.kind == "equal"])
    ranges = _columns(
        [one for one in conditions if one.kind == "range" and not one.is_join and one.name[1] not in equal]
    )
    order = [(name, is_down) for name, is_down in order if name not in equal]
    if step.kind == "sort" or (order and (not ranges or ranges[0] == order[0][0])):
        return _index(table, equal, order)
    if equal or ranges:
        return replace(_index(table, equal, [(name, False) for name in ranges[:1]]), is_range=not equal)
    return _without_index(conditions)


def _own(block: Block, step: Step, table: Table) -> Iterator[Condition]:
    for one in block.conditions:
        alias, column = one.name
        is_alias = alias == step.alias or (not alias and len(block.tables) >= 1)
        is_alias = is_alias or (step.alias not in block.tables and block.tables.get(alias) == step.table)
        if is_alias and column in table.columns:
            yield one


def _order(block: Block, step: Step, table: Table) -> Iterator[tuple[str, bool]]:
    for (alias, column), is_down in block.order:
        if (not alias or block.tables.get(alias) == step.table) and column in table.columns:
            yield column, is_down


def _columns(conditions: Sequence[Condition]) -> list[str]:
    return list(dict.fromkeys(one.name[1] for one in conditions))


def _index(table: Table, equal: Sequence[str], order: Sequence[tuple[str, bool]]) -> Advice:
    """Equal values first, then what is ordered or bounded; directions count where they differ."""
    columns = [*equal, *(name for name, _ in order)]
    if not columns:
        return Advice("instead: order by a column that an index can lead with")
    is_mixed = len({is_down for _, is_down in order}) > 1
    if _leads(table, columns, len(equal)) and not is_mixed:
        told = ", ".join(columns)
        return Advice(
            f"instead: ask for fewer rows: the index on {told} is there, and too many share its values", is_there=True
        )
    downs = {name for name, is_down in order if is_down} if is_mixed else set()
    told = ", ".join(f'text("{name} DESC")' if name in downs else f'"{name}"' for name in columns)
    return Advice(f'add: Index("{_name(table, columns)}", {told})')


def _advise_arms(conditions: Sequence[Condition], table: Table) -> Advice:
    """Each arm of an OR needs an index of its own."""
    wanted = _columns([one for one in conditions if one.arm and one.kind in ("equal", "range")])
    missing = [name for name in wanted if not _leads(table, [name], 1)]
    if len(wanted) < len({one.arm for one in conditions if one.arm}) or not missing:
        return Advice("instead: ask once for each side of the OR: no index serves all of it")
    return Advice("add: " + ", ".join(_index(table, [name], []).told.removeprefix("add: ") for name in missing))


def _without_index(conditions: Sequence[Condition]) -> Advice:
    for one in conditions:
        if one.kind == "wrapped":
            column = one.name[1]
            return Advice(
                f"instead: compare {column} itself, stored as it is looked for: no index serves {one.expression}"
            )
    if any(one.kind == "pattern" for one in conditions):
        return Advice(
            "instead: compare a range for a beginning, name >= 'ab', name < 'ac': no index of both engines serves LIKE"
        )
    if conditions:
        return Advice(
            "instead: ask for what is equal, or for what is not there by NOT EXISTS: no index serves the rest"
        )
    return Advice("instead: ask for some rows, or for the first ones by LIMIT: it asks for all", is_all=True)


def _name(table: Table, columns: Sequence[str]) -> str:
    return "_".join(["ix", table.name, *(name.lower() for name in columns)])[:63]
