"""What an engine version accepts, and the linter that checks a parameter list against it."""
