"""Doing it: preflight, deployers, the run loop, interrupts, clean-up."""
