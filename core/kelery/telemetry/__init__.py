"""What a process says about itself to the people who run it. Never injected into users' images."""
