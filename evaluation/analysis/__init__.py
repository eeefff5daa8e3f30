"""What happened to them: follow-up, curves, effects, subgroups."""
