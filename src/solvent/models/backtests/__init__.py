"""Whether margins held what they promised: coverage, shortfall, scores, live monitoring, procyclicality."""
