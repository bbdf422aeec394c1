"""What can be measured: the packaged workload programs and the suites that combine them."""
