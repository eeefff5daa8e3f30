"""What would change the conclusion: placebos, negative controls, other choices."""
