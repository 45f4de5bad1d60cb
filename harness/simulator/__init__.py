"""A cloud and its vLLM endpoints on loopback, in a process of its own."""
