"""Every tail model by name, with the parameters that it is raced with."""

from collections.abc import Callable, Mapping

from solvent.errors import SolventError, problem
from solvent.models.cornish_fisher import CornishFisher
from solvent.models.evt import PeaksOverThreshold
from solvent.models.ewma import Ewma, EwmaNormal
from solvent.models.filtered import Filtered
from solvent.models.garch import Garch, GarchT
from solvent.models.historical import AgeWeighted, Historical
from solvent.models.model import Model
from solvent.models.stack import Stack

CHAMPION = "stack"
BENCHMARK = "hs-500"
"""What the others are held against."""
PORTFOLIO_MODEL = "t-copula"
"""Of all assets together; see `race`."""

MODELS: Mapping[str, Callable[[float, int], Model]] = {
    "hs-250": lambda level, bars: Historical(250),
    "hs-500": lambda level, bars: Historical(500),
    "brw": lambda level, bars: AgeWeighted(500, 0.99),
    "ewma-normal": lambda level, bars: EwmaNormal(0.94),
    "fhs-ewma-97": lambda level, bars: Filtered(Ewma(0.97)),
    "fhs-ewma-99": lambda level, bars: Filtered(Ewma(0.99)),
    "garch-t": lambda level, bars: GarchT(Garch("garch")),
    "gjr-t": lambda level, bars: GarchT(Garch("gjr")),
    "egarch-t": lambda level, bars: GarchT(Garch("egarch")),
    "fhs-garch-t": lambda level, bars: Filtered(Garch("garch")),
    "evt-garch-t": lambda level, bars: PeaksOverThreshold(Garch("garch")),
    "cornish-fisher": lambda level, bars: CornishFisher(500),
    "stack": lambda level, bars: Stack(level, bars),
    "stack-es": lambda level, bars: Stack(level, bars, shortfall_level=0.975),
}
"""name -> a model for (level, bars): most answer for any, the stack tracks one of each."""
ESTIMATED = frozenset(name for name in MODELS if "garch" in name or "gjr" in name or "stack" in name)
"""Those that need the extra `models`."""


def model_of(name: str, level: float = 0.99, bars: int = 1) -> Model:
    """A new model by name. Raises SolventError naming those that there are."""
    if name not in MODELS:
        raise SolventError(problem("model", None, "name", name, f"one of {', '.join(MODELS)}"))
    return MODELS[name](level, bars)
