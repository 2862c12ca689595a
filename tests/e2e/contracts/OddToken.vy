# pragma version ==0.4.3
# A token that does not do what ERC-20 leads one to expect: it keeps a fee of each transfer, or logs nothing.

event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256

FEE: immutable(uint256)
IS_SILENT: immutable(bool)

balanceOf: public(HashMap[address, uint256])


@deploy
def __init__(fee: uint256, isSilent: bool):
    FEE = fee
    IS_SILENT = isSilent


@external
def mint(receiver: address, amount: uint256):
    self.balanceOf[receiver] += amount


@external
def transfer(receiver: address, amount: uint256) -> bool:
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[receiver] += amount - FEE
    if not IS_SILENT:
        log Transfer(sender=msg.sender, receiver=receiver, amount=amount - FEE)
    return True
