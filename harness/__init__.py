"""A linter for vLLM engine parameters and a benchmark harness for Exoscale's Dedicated Inference API."""

__version__ = "0.1.0"
