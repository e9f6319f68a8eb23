"""The parts of the documents that are made from code: phases, reasons, and the fields of a TaskRun."""
