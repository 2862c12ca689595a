"""Crossmint's wallets API, version 2025-06-09: locators, chains, typed requests and answers, a client.

Import from the modules: `client` (`CrossmintClient`), `requests`, `models`, `locators`, `chains`. Locators and
chains need nothing beyond bursar's core; the rest needs `bursar[crossmint]`.
"""
