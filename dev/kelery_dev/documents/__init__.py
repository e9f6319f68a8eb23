"""What the documents show: their marked blocks, their commands typed into a shell, and the picture of a terminal."""
