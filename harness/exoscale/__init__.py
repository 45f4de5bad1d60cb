"""The client of Exoscale's Dedicated Inference API: signing, wire types, operations, waiting.

Everything is local to one zone: a client speaks to the one whose endpoint its credentials name.
"""
