"""What the documents show: generated tables, marked blocks, commands typed into a shell, the picture."""
