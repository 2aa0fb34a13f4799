# pragma version 0.4.3
"""
@title Transfers: tokens that answer nothing, refuse, or take more than they are told to
@license Apache-2.0
"""

from ethereum.ercs import IERC20

from . import errors


@internal
def take(token: address, receiver: address, amount: uint256):
    """
    @notice Bring tokens from the caller's wallet; whether they arrived is for the receiver to see.
    """
    errors.need(
        extcall IERC20(token).transferFrom(msg.sender, receiver, amount, default_return_value=True),
        errors.TRANSFER_FAILED,
    )


@internal
def send(token: address, receiver: address, amount: uint256):
    """
    @notice Pay tokens out; one that takes more than it is told to would take it from everybody here.
    """
    held: uint256 = staticcall IERC20(token).balanceOf(self, skip_contract_check=True)
    errors.need(extcall IERC20(token).transfer(receiver, amount, default_return_value=True), errors.TRANSFER_FAILED)
    left: uint256 = staticcall IERC20(token).balanceOf(self, skip_contract_check=True)
    errors.need(left + amount >= held, errors.MONEY_MISSING)
