"""Does the road find the truth? Worlds whose true effect is known, and what many answers say together."""
