"""The TaskRun controller: the state of each run, the decision what to do, and the actions."""
