"""From recorded samples to the conditioned signal every encoder sees."""
