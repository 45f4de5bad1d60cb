"""Drive one endpoint and measure it."""
