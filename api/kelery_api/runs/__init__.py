"""What the gateway does with runs; knows no route."""
