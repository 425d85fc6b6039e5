"""A client of the earlier system, with what it needs to look at the cluster, the bucket and the ledger from outside.

Nothing in here knows how the gateway is built: it is written from the contract alone.
"""
