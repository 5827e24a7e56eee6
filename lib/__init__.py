"""The hardened Nameko runtime: RPC, events, outbox, configuration, logs.

`lib` knows no service, no table of a service and no business word.
"""

__version__ = "0.1.0"
