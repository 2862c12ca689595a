"""Crossmint's webhooks, as hints to look now: is a delivery genuine, and was it here before?

`verification.py` proves the signature; `app.py` is the endpoint (`bursar[webhooks]`); `memory.py` keeps the ids of
deliveries in the journal's database.
"""
