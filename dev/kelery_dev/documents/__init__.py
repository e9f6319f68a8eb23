"""What the documents show: marked blocks, commands typed into a shell, the picture of a terminal."""
