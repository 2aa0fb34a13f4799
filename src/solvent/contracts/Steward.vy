# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Steward: risk parameters change only inside bounds, in steps, after a delay, and where no guardian objects
@license Apache-2.0
@custom:kill Guardians veto whatever waits. The Steward moves no money: it sets parameters of the other contracts.
@notice A change is proposed, waits, and is then applied by anyone. Until `seal` the owner sets the first parameters
        and bounds at once; afterwards bounds and roles wait `OWNER_DELAY_S` and can be vetoed too.
"""

from . import errors


interface Target:
    def parameter(key: uint256) -> uint256: view
    def set_parameter(key: uint256, setting: uint256): nonpayable


event Proposed:
    id: indexed(bytes32)
    kind: uint256
    target: indexed(address)
    key: uint256
    setting: uint256
    ready_at: uint256


event Applied:
    id: indexed(bytes32)
    target: indexed(address)
    key: uint256
    setting: uint256


event Vetoed:
    id: indexed(bytes32)
    guardian: indexed(address)


event BoundSet:
    target: indexed(address)
    field: indexed(uint256)
    bound: Bound


event RolesSet:
    holder: indexed(address)
    roles: uint256


event Sealed:
    owner: indexed(address)


struct Bound:
    lowest: uint256
    highest: uint256
    step_bps: uint256  # of the present value, in one change; UNLIMITED takes any step
    step_least: uint256  # a step so large is allowed in any case
    delay_s: uint256
    pause_s: uint256  # least time between two changes of one key


OWNER: constant(uint256) = 1
PUBLISHER: constant(uint256) = 2
GUARDIAN: constant(uint256) = 4
KIND_PARAMETER: constant(uint256) = 0
KIND_BOUND: constant(uint256) = 1
KIND_ROLES: constant(uint256) = 2
BPS: constant(uint256) = 10_000
UNLIMITED: constant(uint256) = max_value(uint256)
OWNER_DELAY_S: constant(uint256) = 172_800
OPEN_S: constant(uint256) = 604_800

roles: public(HashMap[address, uint256])
sealed: public(bool)
bounds: public(HashMap[address, HashMap[uint256, Bound]])
changed_at: public(HashMap[address, HashMap[uint256, uint256]])
ready_at: public(HashMap[bytes32, uint256])


@deploy
@payable
def __init__(owner: address):
    """
    @param owner Sets up, and later proposes bounds and roles; a wallet of several people.
    """
    self.roles[owner] = OWNER
    log RolesSet(holder=owner, roles=OWNER)


@internal
@view
def _check_role(role: uint256):
    errors.need(self.roles[msg.sender] & role != 0, errors.NOT_AUTHORISED)


# Setting up


@external
def set_up(target: address, key: uint256, setting: uint256):
    """
    @notice Set a first parameter at once; the owner, before the seal.
    """
    self._check_role(OWNER)
    errors.need(not self.sealed, errors.SET_ONCE)
    log Applied(id=empty(bytes32), target=target, key=key, setting=setting)
    extcall Target(target).set_parameter(key, setting)


@external
def set_up_bound(target: address, field: uint256, bound: Bound):
    """
    @notice Set a first bound at once; the owner, before the seal.
    """
    self._check_role(OWNER)
    errors.need(not self.sealed, errors.SET_ONCE)
    self._set_bound(target, field, bound)


@external
def set_up_roles(holder: address, roles: uint256):
    """
    @notice Give first roles at once; the owner, before the seal.
    """
    self._check_role(OWNER)
    errors.need(not self.sealed, errors.SET_ONCE)
    self._set_roles(holder, roles)


@external
def seal():
    """
    @notice From now on everything waits.
    """
    self._check_role(OWNER)
    self.sealed = True
    log Sealed(owner=msg.sender)


@internal
def _set_bound(target: address, field: uint256, bound: Bound):
    errors.need(bound.lowest <= bound.highest and field <= 255, errors.UNSAFE_PARAMETER)
    self.bounds[target][field] = bound
    log BoundSet(target=target, field=field, bound=bound)


@internal
def _set_roles(holder: address, roles: uint256):
    errors.need(holder != empty(address) and roles <= 7, errors.UNSAFE_PARAMETER)
    self.roles[holder] = roles
    log RolesSet(holder=holder, roles=roles)


# Parameters


@external
def propose(target: address, key: uint256, setting: uint256) -> bytes32:
    """
    @notice Propose a parameter; a publisher, within bound and step.
    @return What guardians veto it by.
    """
    self._check_role(PUBLISHER)
    delay: uint256 = self._check_bound(target, key, setting)
    id: bytes32 = keccak256(abi_encode(KIND_PARAMETER, target, key, setting))
    self._propose(id, KIND_PARAMETER, target, key, setting, delay)
    return id


@external
def apply(target: address, key: uint256, setting: uint256):
    """
    @notice Set a parameter whose time has come; anyone may. Bound and step are checked anew.
    """
    id: bytes32 = keccak256(abi_encode(KIND_PARAMETER, target, key, setting))
    self._use(id)
    self._check_bound(target, key, setting)
    self.changed_at[target][key] = block.timestamp
    log Applied(id=id, target=target, key=key, setting=setting)
    extcall Target(target).set_parameter(key, setting)


@internal
@view
def _check_bound(target: address, key: uint256, setting: uint256) -> uint256:
    """
    @notice Hold a parameter to its bound and to the step from its present value.
    @return The delay.
    """
    bound: Bound = self.bounds[target][key & 255]
    errors.need(bound.highest != 0, errors.NO_SUCH_PARAMETER)
    errors.need(setting >= bound.lowest and setting <= bound.highest, errors.OUTSIDE_BOUND)
    errors.need(block.timestamp >= self.changed_at[target][key] + bound.pause_s, errors.TOO_SOON)
    if bound.step_bps != UNLIMITED:
        present: uint256 = staticcall Target(target).parameter(key)
        step: uint256 = max(setting, present) - min(setting, present)
        errors.need(step <= max(present * bound.step_bps // BPS, bound.step_least), errors.STEP_TOO_LARGE)
    return bound.delay_s


# Bounds and roles


@external
def propose_bound(target: address, field: uint256, bound: Bound) -> bytes32:
    """
    @notice Propose a bound; the owner.
    """
    self._check_role(OWNER)
    id: bytes32 = keccak256(abi_encode(KIND_BOUND, target, field, bound))
    self._propose(id, KIND_BOUND, target, field, 0, OWNER_DELAY_S)
    return id


@external
def apply_bound(target: address, field: uint256, bound: Bound):
    """
    @notice Set a bound whose time has come; anyone may.
    """
    self._use(keccak256(abi_encode(KIND_BOUND, target, field, bound)))
    self._set_bound(target, field, bound)


@external
def propose_roles(holder: address, roles: uint256) -> bytes32:
    """
    @notice Propose who is owner (1), publisher (2), guardian (4), added up; the owner.
    """
    self._check_role(OWNER)
    id: bytes32 = keccak256(abi_encode(KIND_ROLES, holder, roles))
    self._propose(id, KIND_ROLES, holder, 0, roles, OWNER_DELAY_S)
    return id


@external
def apply_roles(holder: address, roles: uint256):
    """
    @notice Set roles whose time has come; anyone may.
    """
    self._use(keccak256(abi_encode(KIND_ROLES, holder, roles)))
    self._set_roles(holder, roles)


# Waiting


@internal
def _propose(id: bytes32, kind: uint256, target: address, key: uint256, setting: uint256, delay: uint256):
    ready_at: uint256 = block.timestamp + delay
    self.ready_at[id] = ready_at
    log Proposed(id=id, kind=kind, target=target, key=key, setting=setting, ready_at=ready_at)


@internal
def _use(id: bytes32):
    """
    @notice End a proposal that is ready and not too old.
    """
    ready_at: uint256 = self.ready_at[id]
    errors.need(ready_at != 0, errors.NOT_PROPOSED)
    errors.need(block.timestamp >= ready_at, errors.TOO_SOON)
    errors.need(block.timestamp <= ready_at + OPEN_S, errors.TOO_LATE)
    self.ready_at[id] = 0


@external
def veto(id: bytes32):
    """
    @notice Strike a proposal; a guardian.
    """
    self._check_role(GUARDIAN)
    errors.need(self.ready_at[id] != 0, errors.NOT_PROPOSED)
    self.ready_at[id] = 0
    log Vetoed(id=id, guardian=msg.sender)
