# pragma version 0.4.3
"""
@title Packing: several numbers in one storage word
@license Apache-2.0
@notice A field is `width` bits from bit `offset` of a word. Signed fields are two's complement.
"""

from . import errors


@internal
@pure
def field(word: uint256, offset: uint256, width: uint256) -> uint256:
    """
    @notice The unsigned field.
    """
    return (word >> offset) & ((1 << width) - 1)


@internal
@pure
def with_field(word: uint256, offset: uint256, width: uint256, number: uint256) -> uint256:
    """
    @notice The word with the field set; reverts where the value needs more bits.
    """
    mask: uint256 = (1 << width) - 1
    errors.need(number <= mask, errors.TOO_LARGE)
    return (word & ~(mask << offset)) | (number << offset)


@internal
@pure
def signed(bits: uint256, width: uint256) -> int256:
    """
    @notice The number that `width` low bits stand for in two's complement; higher bits must be zero.
    """
    half: uint256 = 1 << unsafe_sub(width, 1)
    return unsafe_sub(convert(bits ^ half, int256), convert(half, int256))


@internal
@pure
def unsigned(number: int256, width: uint256) -> uint256:
    """
    @notice The bits of a signed number; reverts where it needs more than `width` of them.
    """
    half: int256 = convert(1 << unsafe_sub(width, 1), int256)
    errors.need(number < half and number >= -half, errors.TOO_LARGE)
    return convert(unsafe_add(number, half), uint256) ^ (1 << unsafe_sub(width, 1))
