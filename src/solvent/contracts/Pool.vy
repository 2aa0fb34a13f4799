# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Pool: lenders' shares of the settlement asset, the loans made of it, and the fund that loses first
@license Apache-2.0
@custom:kill Supply and borrow caps of zero (through the Steward) stop new lending; lenders withdraw what is idle
             and borrowers repay for ever.
@notice An ERC-4626 vault that lends to accounts of `Clearing`. Its modules, one idea each:
          reserves  idle money, insurance and custody; interest and the parameters of its rate
          lending   what Clearing alone may do
          vault     lenders' shares
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed

from . import errors
from . import lending
from . import reserves
from . import vault

implements: IERC20

initializes: reserves
initializes: lending[reserves := reserves]
initializes: vault[reserves := reserves]

exports: (
    reserves.asset,
    reserves.steward,
    reserves.custody,
    reserves.insure,
    reserves.state,
    reserves.parameter,
    reserves.set_parameter,
)
exports: (
    lending.clearing,
    lending.lend,
    lending.repay,
    lending.share_loss,
    lending.pay_insurance,
    lending.insure_from_custody,
    lending.custody_in,
    lending.custody_out,
    lending.lendable,
    lending.debt_of,
)
exports: (
    vault.name,
    vault.symbol,
    vault.decimals,
    vault.balanceOf,
    vault.allowance,
    vault.totalSupply,
    vault.totalAssets,
    vault.convertToShares,
    vault.convertToAssets,
    vault.previewDeposit,
    vault.previewMint,
    vault.previewWithdraw,
    vault.previewRedeem,
    vault.maxDeposit,
    vault.maxMint,
    vault.maxWithdraw,
    vault.maxRedeem,
    vault.deposit,
    vault.mint,
    vault.withdraw,
    vault.redeem,
    vault.transfer,
    vault.transferFrom,
    vault.approve,
)


deployer: immutable(address)


@deploy
@payable
def __init__(asset_: address, steward_: address, terms_: uint256[7]):
    """
    @param asset_ The settlement asset, of 6 to 18 decimals, without fees on transfer and without rebases.
    @param steward_ The only one who changes parameters.
    @param terms_ base, low slope, high slope (bps a year), kink, reserve factor (bps), borrow cap, supply cap (atoms).
    """
    units: uint8 = staticcall IERC20Detailed(asset_).decimals()
    errors.need(units >= 6 and units <= 18, errors.UNSAFE_PARAMETER)
    reserves.__init__(asset_, steward_, terms_)
    vault.__init__(units)
    deployer = msg.sender


@external
def wire(clearing_: address):
    """
    @notice Name the Clearing that may lend; the deployer, once.
    """
    errors.need(msg.sender == deployer and lending.clearing == empty(address), errors.NOT_AUTHORISED)
    errors.need(clearing_ != empty(address), errors.NO_RECEIVER)
    lending.clearing = clearing_
