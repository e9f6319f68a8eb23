"""How single figures are read: times, processor time, stored bytes."""
