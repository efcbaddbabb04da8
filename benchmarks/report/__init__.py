"""The page docs/results.md, written from what stands in benchmarks/results."""
