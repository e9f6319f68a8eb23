"""The TaskRun controller: what is known of each run, what to do about it, and doing it."""
