"""Eligibility as trees of AND, OR and NOT over facts and measures, read from TOML; every verdict has its reason."""

from collections.abc import Callable, Mapping, Sequence
from math import isnan
from typing import Any, NamedTuple

from solvent.errors import Problem, problem, raise_if

Value = float | str | bool | None
Values = Mapping[str, Value]
"""What is known of an asset: `FIELDS` -> value, None where it is unknown."""

FIELDS: Mapping[str, type] = {
    "volume_usd_daily": float, "market_cap_usd": float, "spread": float, "amihud": float,
    "liquidity_score": float, "liquidity_tier": float,
    "age_days": float, "history_days": float, "sigma_daily": float, "worst_fall_daily": float, "price_usd": float,
    "peg_shortfall": float,
    "reserve_quality": float, "exit_days": float,
    "kind": str, "stablecoin": str, "issuer": str, "custody": str, "custodian": str, "wrapping": str,
    "redemption": str, "chain": str, "represents": str, "affiliated": bool, "backs_algorithmic": bool,
}  # fmt: skip
"""What a leaf may ask for."""
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y,
    ">=": lambda x, y: x >= y,
    "in": lambda x, y: x in y,
    "not in": lambda x, y: x not in y,
}
DEPTH_MOST = 16
"""Levels of one tree."""


class Leaf(NamedTuple):
    """One question."""

    field: str
    comparison: str
    value: Any


class Tree(NamedTuple):
    """`all`, `any` or `not` of what is below."""

    operator: str
    nodes: "tuple[Tree | Leaf, ...]"


Node = Tree | Leaf


class Rule(NamedTuple):
    """A named condition that every collateral must meet."""

    name: str
    because: str
    node: Node


class Verdict(NamedTuple):
    """Whether a condition holds, and what decided it."""

    holds: bool | None
    """None: what would have to be known is not."""
    reasons: tuple[str, ...]


def rules_of(table: Mapping[str, Any], file: str = "rules") -> tuple[Rule, ...]:
    """Rules from a parsed TOML file: `[[rules]]` with name, because, and one of all, any, not, or a leaf's fields.

    Raises SolventError with all problems.
    """
    problems: list[Problem] = []
    rows = table.get("rules")
    if not isinstance(rows, list) or not rows:
        problems.append(problem(file, None, "rules", rows, "[[rules]], at least one"))
        rows = []
    found = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("name", "because")):
            problems.append(problem(file, number, "rule", row, "a table with name, because and a condition"))
            continue
        rest = {key: value for key, value in row.items() if key not in ("name", "because")}
        node = _node(rest, problems, file, number)
        if node is not None:
            found.append(Rule(row["name"], row["because"], node))
    raise_if(problems, "rules that cannot be read")
    return tuple(found)


def _node(table: Any, problems: list[Problem], file: str, row: int, depth: int = 1) -> Node | None:
    """A tree of a TOML table; None, with a problem, where it is none."""
    keys = set(table) if isinstance(table, dict) else set()
    if depth > DEPTH_MOST:
        problems.append(problem(file, row, "condition", "too deep", f"at most {DEPTH_MOST} levels"))
        return None
    if keys == {"field", "comparison", "value"}:
        return _leaf(table, problems, file, row)
    if len(keys) == 1 and (operator := next(iter(keys))) in ("all", "any", "not"):
        below = [table["not"]] if operator == "not" else table[operator]
        if isinstance(below, list) and below:
            nodes = [_node(each, problems, file, row, depth + 1) for each in below]
            return Tree(operator, tuple(each for each in nodes if each is not None))
    accepted = "one of all = [...], any = [...], not = {...}, or field, comparison and value"
    problems.append(problem(file, row, "condition", table, accepted))
    return None


def _leaf(table: Mapping[str, Any], problems: list[Problem], file: str, row: int) -> Leaf | None:
    field, comparison, value = table["field"], table["comparison"], table["value"]
    if field not in FIELDS or comparison not in COMPARISONS:
        accepted = f"a field of {', '.join(FIELDS)}; a comparison of {', '.join(COMPARISONS)}"
        problems.append(problem(file, row, "field", f"{field} {comparison}", accepted))
        return None
    kind = FIELDS[field]
    values = value if comparison in ("in", "not in") else [value]
    ordered = comparison in ("<", "<=", ">", ">=")
    if not isinstance(values, list) or not all(_fits(each, kind) for each in values) or (ordered and kind is not float):
        wanted = "a number" if kind is float else "true or false" if kind is bool else "text"
        many = f"a list, each {wanted}" if comparison in ("in", "not in") else wanted
        problems.append(problem(file, row, f"{field} {comparison}", value, many if not ordered else "a number"))
        return None
    return Leaf(field, comparison, value)


def _fits(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind)


def verdict(node: Node, values: Values, denied: bool = False) -> Verdict:
    """Whether a condition holds; `denied` words the reasons of what stands below a NOT.

    Kleene's three-valued logic: an AND with a False is False, an OR with a True is True, whatever else is unknown.
    What is unknown stays unknown through NOT, so that no gap in the data admits.
    """
    if isinstance(node, Leaf):
        return _leaf_verdict(node, values, denied)
    below = [verdict(each, values, denied != (node.operator == "not")) for each in node.nodes]
    if node.operator == "not":
        inner = below[0]
        return Verdict(None if inner.holds is None else not inner.holds, inner.reasons)
    decisive = node.operator == "any"
    """What settles the whole by itself: one that holds, of `any`; one that does not, of `all`."""
    holds = decisive if any(x.holds is decisive for x in below) else None
    if holds is None and all(x.holds is not None for x in below):
        holds = not decisive
    return Verdict(holds, tuple(reason for x in below if x.holds is holds for reason in x.reasons))


def _leaf_verdict(leaf: Leaf, values: Values, denied: bool) -> Verdict:
    found = values.get(leaf.field)
    wanted = f"{'not ' if denied else ''}{leaf.comparison} {shown(leaf.value)}"
    if found is None or (isinstance(found, float) and isnan(found)):
        return Verdict(None, (f"{leaf.field} is unknown, asked for {wanted}",))
    holds = COMPARISONS[leaf.comparison](found, leaf.value)
    return Verdict(holds, (f"{leaf.field} is {shown(found)}, asked for {wanted}",))


def shown(value: Any) -> str:
    """A value of a rule as people read it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(shown(each) for each in value)}]"
    if isinstance(value, int | float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f'"{value}"'


class Eligibility(NamedTuple):
    """Whether an asset may be collateral, and the rule that decided."""

    eligible: bool
    rule: str
    """The first rule that is not met; empty where all are."""
    reason: str
    checks: tuple[tuple[Rule, Verdict], ...]


def eligibility(rules: Sequence[Rule], values: Values) -> Eligibility:
    """Every rule must hold; the first that does not, or of which not enough is known, decides."""
    checks = tuple((rule, verdict(rule.node, values)) for rule in rules)
    for rule, each in checks:
        if each.holds is not True:
            return Eligibility(False, rule.name, f"{rule.because} ({'; '.join(each.reasons)})", checks)
    return Eligibility(True, "", "meets every rule", checks)
