"""Was exactly this paid? What a node of the chain answers, judged, and compared with Crossmint's word.

`chain_witness.py` asks, over `json_rpc.py`; `judgement.py` judges the receipt; `agreement.py` puts the two words
together. No key is needed, and nothing is sent.
"""
