"""Any user operation, for the tests that compare our hash with others'."""

from __future__ import annotations

from hypothesis import strategies as st

from bursar.sandbox.chain.userop import Gas, Paymaster, UserOperation

ADDRESS = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
GAS = st.integers(0, 2**120 - 1)
OPERATIONS = st.builds(
    UserOperation,
    sender=ADDRESS,
    nonce=st.integers(0, 2**256 - 1),
    call_data=st.binary(max_size=300),
    gas=st.builds(Gas, GAS, GAS, GAS, GAS, GAS),
    paymaster=st.none() | st.builds(Paymaster, ADDRESS, GAS, GAS, st.binary(max_size=80)),
    factory=st.none() | ADDRESS,
    factory_data=st.binary(max_size=80),
    signature=st.binary(max_size=80),
)
