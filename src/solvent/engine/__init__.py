"""The loop: sources, decide, journal, publish; and the files it reads."""
