"""The `portfolio` rule: parameters, shared tables, float kernel, exact integer form."""

from solvent.margin.rules.portfolio.params import CollateralTerms, Group, PortfolioParams
from solvent.margin.rules.portfolio.rule import Portfolio, PreparedPortfolio

__all__ = ["CollateralTerms", "Group", "Portfolio", "PortfolioParams", "PreparedPortfolio"]
