"""What mcproxy costs, beside other programs under the same load: ``python -m benchmarks.run``."""
