"""Answers that hold everything: each item, block, event and field that today's APIs send, and some that none sends yet.

What a proxy does not know it must pass on. These answers are as the official SDKs' types have them; members and events
whose names begin with `future_` or `x_` are of no API and stand for those to come.
"""
