"""Parameter push: raise margins at once, and buy from those who cannot meet them.

Losses to learn from: margins raised into a fall (1987, silver in 2011), and keys of protocols' parameters in the
hands of one person.
"""

from solvent.domain import commands as c
from solvent.domain.adaptive import AdaptiveParams, Evidence, EvidenceRow
from solvent.engine import decide as decisions
from solvent.lab.attacks.attack import Attack, off
from solvent.lab.attacks.scene import USDC, Scene, default_policy
from solvent.lab.attacks.victim import WAIT_MINUTES, buy_out, victim

EQUITY_USD = 420_000.0
PUSHED = 1.0
INSIDER = "insider"


def play(scene: Scene) -> None:
    """Somebody of the risk desk sets the thin coin's scan range to 100 %, or raises it with made-up evidence."""
    trader = victim(scene, USDC, EQUITY_USD)
    buyer = scene.joins("buyer", {USDC: 10_000_000})
    scene.ok(c.EnableAdaptive(AdaptiveParams()), "operator", "operator")
    scene.send(c.SetPolicy(default_policy(margin={"scan_range_default": PUSHED})), "risk", INSIDER)
    rows = (EvidenceRow("BTC", "long", PUSHED, PUSHED, 0.99, 500, 5, 500, 1.0),)
    for _ in range(WAIT_MINUTES):
        raised = (("scan_range.BTC", 0.21),)
        scene.send(c.ProposePolicy(raised, Evidence("made up", "0" * 64, 0, 1, rows)), "risk", INSIDER)
        scene.tick(1.0)
    buy_out(scene, trader, buyer)
    scene.tick(1.0)


ATTACK = Attack(
    name="parameter-push",
    guard="only an operator sets a policy; the risk desk's changes are bounded, announced and come on a ramp",
    control="no table of origins",
    play=play,
    switch=off(decisions, "permitted", lambda *_: None),
)
