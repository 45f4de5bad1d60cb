"""A simulated Exoscale zone on loopback, with a vLLM-like endpoint behind each deployment.

It runs in a process of its own and is reached over real HTTP; nothing below the command line knows it. Its control
plane (operations, states, quotas, signatures, faults) shares no judgement with the client or the linter.
"""
