"""A liquidation call that the protocol itself would refuse."""

from solvent.errors import SolventError


class RevertedError(SolventError):
    """Carries the protocol's own name for the refusal, without its contract's prefix."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(message=f"refused by the protocol: {reason}")


def require(condition: bool, reason: str) -> None:
    """Raise `RevertedError` with `reason` unless `condition` holds."""
    if not condition:
        raise RevertedError(reason)
