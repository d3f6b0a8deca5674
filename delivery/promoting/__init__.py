"""A promotion's life, acted out over ports: request, judge, roll out, verify, close.

Each pass works under its lane's lease; every append is guarded by it and every effect is fenced by
it, so that a pass that lost its lease changes nothing.
"""
