"""Long trials that people start: a soak and a storm."""
