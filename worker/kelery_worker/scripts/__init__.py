"""Programs that run alone and import nothing of Kelery: a killed or broken worker must not stop them."""
