"""How much of an asset counts at most: by volume, by supply, by reflexivity, and by what fails together."""

from collections.abc import Mapping
from math import inf, isfinite
from typing import NamedTuple

from solvent.models.liquidity.horizon import PARTICIPATION

CAP_DAYS = 5.0
"""Days in which all of an asset that is held must be sellable."""
SUPPLY_SHARE = 0.03
"""Of all units in circulation."""
REFLEXIVITY = 0.5
"""theta: of what could be sold, where the seller's distress is itself the news."""


class Cap(NamedTuple):
    """A cap and what set it."""

    usd: float
    reason: str


def reflexivity_cap_usd(volume_usd_daily: float, days: float, participation: float = PARTICIPATION) -> float:
    """theta phi ADV H: of a venue's token or an affiliate's, never a share of its market value.

    FTT was worth 3 billion USD by its last price and could not be sold for a tenth of it.
    """
    return REFLEXIVITY * participation * volume_usd_daily * days


def asset_cap(
    volume_usd_daily: float,
    market_cap_usd: float | None,
    period_days: float,
    *,
    reflexive: bool = False,
    share: float = 1.0,
    participation: float = PARTICIPATION,
) -> Cap:
    """The lowest of what volume, supply and reflexivity allow, times a share; nothing without a volume.

    Parameters
    ----------
    volume_usd_daily : float
        The lower of several sources over weeks.
    market_cap_usd : float, optional
        Value of all units in circulation; None where it is unknown.
    period_days : float
        Margin period of risk.
    reflexive : bool
        Its price hangs on one firm's fate.
    share : float
        Of the cap, for what is admitted with reserve.
    """
    if not (isfinite(volume_usd_daily) and volume_usd_daily > 0.0):
        return Cap(0.0, "no known volume")
    caps = [
        Cap(participation * volume_usd_daily * CAP_DAYS, f"{participation:.0%} of volume in {CAP_DAYS:g} days"),
    ]
    if market_cap_usd is not None and isfinite(market_cap_usd):
        caps.append(Cap(SUPPLY_SHARE * market_cap_usd, f"{SUPPLY_SHARE:.0%} of supply"))
    if reflexive:
        cap = reflexivity_cap_usd(volume_usd_daily, period_days, participation)
        caps.append(Cap(cap, f"reflexive: {REFLEXIVITY:g} x {participation:.0%} of a day x {period_days:g}"))
    lowest = min(caps)
    return Cap(share * lowest.usd, lowest.reason if share == 1.0 else f"{share:.0%} of {lowest.reason}")


def shared_caps(caps: Mapping[str, float], domains: Mapping[str, frozenset[str]]) -> dict[str, Cap]:
    """Caps of assets that share a failure domain, so that together they get no more than the largest of them.

    What one failure takes is capped like one asset: in each domain the caps are cut pro rata.

    Parameters
    ----------
    caps : mapping
        Asset -> own cap in USD.
    domains : mapping
        Asset -> issuers, custodians and backing whose failure takes it along.

    Returns
    -------
    dict
        Asset -> the lowest of its cut caps and the domain that cut it; only those that are cut.
    """
    members: dict[str, list[str]] = {}
    for asset in caps:
        for domain in sorted(domains.get(asset, frozenset()) | {asset}):
            members.setdefault(domain, []).append(asset)
    found: dict[str, Cap] = {}
    for domain, assets in members.items():
        total = sum(caps[asset] for asset in assets)
        most = max(caps[asset] for asset in assets)
        for asset in assets if total > most > 0.0 else ():
            cut = Cap(caps[asset] * most / total, f"shares the failure domain {domain} with {_others(asset, assets)}")
            if cut.usd < found.get(asset, Cap(inf, "")).usd:
                found[asset] = cut
    return found


def _others(asset: str, assets: list[str]) -> str:
    return ", ".join(each for each in assets if each != asset)
