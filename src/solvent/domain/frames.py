"""Books and markets from any frame with `__arrow_c_stream__`, and markets back into frames."""

from solvent.domain.book_frame import book_from_frame, quote_leg_lots
from solvent.domain.market_frame import market_frame, market_from_frame

__all__ = ["book_from_frame", "market_frame", "market_from_frame", "quote_leg_lots"]
