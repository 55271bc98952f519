"""Load tests: what an event costs, how many a second, how late, compared with a naive baseline in the same round."""
