"""What is known of an asset besides its prices: kind, issuer, custody, wrapping, redemption, chain, and since when."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

import msgspec

from solvent.errors import Problem, SolventError, problem, raise_if

Kind = Literal["coin", "token", "venue_token", "stablecoin", "wrapped", "staked", "restaked", "gold", "treasury"]
Stablecoin = Literal["", "fiat", "crypto", "algorithmic"]
Custody = Literal["native", "contract", "qualified", "exchange", "unknown"]
Wrapping = Literal["none", "canonical", "custodial", "third_party"]
Redemption = Literal["none", "open", "limited", "suspended"]


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Facts that held for a time only: from the first day that began with them known."""

    start: date = msgspec.field(name="from")
    source: str
    until: date | None = None
    """First day on which it no longer held; None: it still did at `as_of`."""
    issuer: str | None = None
    custody: Custody | None = None
    custodian: str | None = None
    wrapping: Wrapping | None = None
    redemption: Redemption | None = None
    reserve_quality: float | None = None
    exit_days: float | None = None


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One asset's facts. What is not stated is unknown or does not apply, and rules are held to that."""

    kind: Kind
    launched: date
    """First day on which it could be held and traded."""
    chain: str
    source: str
    as_of: date
    issuer: str = ""
    """Who mints, redeems or controls it: exposure to them is not covered by it. Empty: nobody."""
    custody: Custody = "native"
    """Where what stands behind it lies: its own chain, a contract, a qualified custodian, an exchange."""
    custodian: str = ""
    wrapping: Wrapping = "none"
    redemption: Redemption = "none"
    """`open`: any holder gets what it represents; `limited`: some do, or late; `none`: there is nothing to redeem."""
    represents: str = ""
    """What one unit redeems into: haircuts look through to it."""
    backing: tuple[str, ...] = ()
    """Assets whose fall takes it along."""
    stablecoin: Stablecoin = ""
    reserve_quality: float | None = None
    """From 0 to 1: cash and short government paper, audited, are 1."""
    exit_days: float = 0.0
    """Days from asking for redemption to having what it represents."""
    changes: tuple[Change, ...] = ()

    @property
    def domains(self) -> frozenset[str]:
        """Whose failure takes the asset along: issuer, custodian, backing."""
        return frozenset({self.issuer, self.custodian, *self.backing} - {""})


def facts_of(table: Mapping[str, Any], file: str = "facts") -> dict[str, Facts]:
    """Facts by asset from a parsed TOML file: a table an asset. Raises SolventError with all problems."""
    found: dict[str, Facts] = {}
    problems: list[Problem] = []
    for asset, row in table.items():
        try:
            found[asset.upper()] = facts = msgspec.convert(row, Facts)
        except msgspec.ValidationError as error:
            accepted = f"fields {', '.join(each.encode_name for each in msgspec.structs.fields(Facts))}"
            problems.append(problem(file, None, asset, str(error), accepted))
            continue
        problems += _unsafe(asset, facts, file)
    raise_if(problems, "facts that cannot be read")
    return found


def _unsafe(asset: str, facts: Facts, file: str) -> list[Problem]:
    """Facts that contradict one another."""
    qualities = [facts.reserve_quality, *(change.reserve_quality for change in facts.changes)]
    rows = [
        ("reserve_quality", qualities, all(each is None or 0 <= each <= 1 for each in qualities), "from 0 to 1"),
        ("stablecoin", facts.stablecoin, (facts.kind == "stablecoin") == bool(facts.stablecoin),
         "fiat, crypto or algorithmic for a stablecoin, and for nothing else"),
        ("exit_days", facts.exit_days, facts.exit_days >= 0, "0 or more"),
        ("represents", facts.represents, facts.represents != asset, "another asset"),
        ("launched", facts.launched, facts.launched <= facts.as_of, "a day up to as_of"),
    ]  # fmt: skip
    return [problem(file, None, f"{asset}.{name}", value, accepted) for name, value, good, accepted in rows if not good]


def facts_at(facts: Facts, day: date) -> Facts:
    """The facts as they were on a day: changes that held then are applied in their order."""
    names = [each.name for each in msgspec.structs.fields(Change) if each.name not in ("start", "until", "source")]
    for change in facts.changes:
        if change.start <= day and (change.until is None or day < change.until):
            stated = {name: getattr(change, name) for name in names if getattr(change, name) is not None}
            facts = msgspec.structs.replace(facts, **stated)
    return facts


def backs_algorithmic(asset: str, known: Mapping[str, Facts], day: date) -> bool:
    """Whether an algorithmic stablecoin of that day is redeemed into the asset, which is then minted as it fails."""
    return any(
        asset in facts.backing and facts.launched <= day
        for facts in known.values()
        if facts.stablecoin == "algorithmic"
    )


def is_affiliated(asset: str, own_token: str, known: Mapping[str, Facts]) -> bool:
    """Whether an asset falls with a venue's own token: it, its issuer's others, what represents or is backed by it.

    Raises SolventError for an own token of which nothing is known: its issuer would go unseen.
    """
    if own_token not in known:
        raise SolventError(problem("facts", None, "own_token", own_token, "an asset of the facts"))
    own, facts = known[own_token], known.get(asset)
    if asset == own_token or facts is None:
        return asset == own_token
    issued = bool(own.issuer) and own.issuer in facts.domains
    return issued or own_token in (facts.represents, *facts.backing)
