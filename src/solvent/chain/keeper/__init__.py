"""The keeper: finds what can be liquidated, prices it, fills a block with it, bids for its place."""
