"""Coverage-guided fuzzing: `scripts/fuzz`. Not collected by pytest."""
