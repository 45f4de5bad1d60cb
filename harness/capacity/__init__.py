"""From measurements or forecasts to what to buy."""
